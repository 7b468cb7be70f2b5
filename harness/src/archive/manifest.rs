use super::listing::{Item, Listing};
use super::{ArchiveError, Form};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What a checkpoint consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its files, in the order of the archive; of a folder sorted by name.
    pub entries: Vec<ManifestEntry>,
    /// Bytes of the archive, or of all files of the folder.
    pub bytes: u64,
    /// `sha256:...` of the archive, or over the folder's lines `path size sha256`, sorted by path;
    /// lines `path -> target` follow for links.
    pub digest: String,
}

/// A file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    /// Its name in the checkpoint.
    pub name: String,
    /// Its bytes.
    pub size: u64,
}

/// Lists a checkpoint and digests it. Reads all of it, at the speed of SHA-256.
///
/// # Errors
/// It cannot be read, or the tar file breaks off. An archive that is no tar file at all is an error too: what can be
/// said of such a file without its list is [`digest`].
pub fn manifest(path: &Path) -> Result<Manifest, ArchiveError> {
    let form = Form::of(path)?;
    let listing = Listing::read(path, form)?;
    let entries = listing.items.iter().map(|i| ManifestEntry { name: i.name.clone(), size: i.size }).collect();
    let (bytes, digest) = digest_of(&listing)?;
    Ok(Manifest { entries, bytes, digest })
}

/// Bytes and digest of a checkpoint, as [`manifest`] gives them, also of an archive that is no readable tar file.
///
/// # Errors
/// It cannot be read.
pub fn digest(path: &Path) -> Result<(u64, String), ArchiveError> {
    match Form::of(path)? {
        Form::CriArchive | Form::PodmanArchive | Form::OciArchive => digest_file(path),
        Form::ImageFolder => digest_of(&Listing::read(path, Form::ImageFolder)?),
    }
}

fn digest_of(listing: &Listing) -> Result<(u64, String), ArchiveError> {
    if listing.form.is_archive() {
        return digest_file(&listing.path);
    }
    let mut lines = Sha256::new();
    let mut bytes = 0;
    let mut items: Vec<&Item> = listing.items.iter().collect();
    items.sort_by(|a, b| a.name.cmp(&b.name));
    for item in items {
        let (size, digest) = sha256(listing.open(item)?, &listing.path.join(&item.name))?;
        lines.update(format!("{} {size} {digest}\n", item.name));
        bytes += size;
    }
    // Links carry no bytes, but one that was added or bent is a change.
    let mut links: Vec<_> =
        listing.links.iter().map(|(name, target, _)| format!("{name} -> {}\n", target.display())).collect();
    links.sort_unstable();
    lines.update(links.concat());
    Ok((bytes, format!("sha256:{}", hex(&lines.finalize()))))
}

fn digest_file(path: &Path) -> Result<(u64, String), ArchiveError> {
    let file = File::open(path).map_err(|e| ArchiveError::io("read", path, e))?;
    let (bytes, digest) = sha256(file, path)?;
    Ok((bytes, format!("sha256:{digest}")))
}

fn sha256(mut file: File, path: &Path) -> Result<(u64, String), ArchiveError> {
    let mut hash = Sha256::new();
    // Large enough that the calls cost nothing, small enough for the cache.
    let mut chunk = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        let n = file.read(&mut chunk).map_err(|e| ArchiveError::io("read", path, e))?;
        if n == 0 {
            return Ok((bytes, hex(&hash.finalize())));
        }
        hash.update(&chunk[..n]);
        bytes += n as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(64), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}
