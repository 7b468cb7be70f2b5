use super::criu;
use super::listing::{Item, LinkKind, Listing, Window, leads_out, plain};
use super::{ArchiveError, Form};
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Checks that a checkpoint is whole as far as its structure tells, without reading its memory pages: the tar file
/// reads to its end, nothing in it leads out of the folder that it is unpacked to, all entries are there that a restore
/// needs, CRIU's images are not cut, and each `pages-N.img` has exactly the bytes that its pagemaps say.
///
/// The last is what matters most: criu 4.2.1 reads a pages image that is cut for ever, at full load, and writes
/// gigabytes of log. And `rootfs-diff.tar` is asked for because containerd 2.1 restores without it in silence, and
/// without the container's files.
///
/// A bit that is turned inside a page is not seen here: that is the digest's task ([`super::manifest`]).
///
/// # Errors
/// [`ArchiveError::Invalid`] and [`ArchiveError::Escaping`] name the entry and what is wrong with it.
pub fn verify(path: &Path, form: Form) -> Result<(), ArchiveError> {
    let listing = Listing::read(path, form)?;
    check_places(&listing)?;
    if form.is_archive() {
        check_trailer(&listing)?;
    }
    check_presence(&listing)?;
    for item in listing.items.iter().filter(|i| is_metadata(&i.name)) {
        let bytes = listing.bytes(item, 1 << 26)?;
        serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
            .map_err(|e| about(&listing, item, format!("it is no JSON: {e}")))?;
    }
    for (item, image) in images(&listing).filter(|(_, image)| criu::has_framing(image)) {
        let bytes = listing.bytes(item, criu::LARGEST_IMAGE)?;
        criu::check_framing(image, &bytes).map_err(|what| about(&listing, item, what))?;
    }
    check_processes(&listing)?;
    check_pages(&listing)?;
    check_rootfs_diff(&listing)
}

/// The changes of the root file system.
const ROOT_CHANGES: &str = "rootfs-diff.tar";
const CRI_ENTRIES: [&str; 6] = [
    "config.dump",
    "spec.dump",
    "status.dump",
    ROOT_CHANGES,
    "checkpoint/descriptors.json",
    "checkpoint/inventory.img",
];
/// podman leaves `rootfs-diff.tar` out where nothing was changed, and `deleted.files` where nothing was deleted: that one of
/// them was lost only the digest tells.
const PODMAN_ENTRIES: [&str; 4] =
    ["config.dump", "spec.dump", "checkpoint/descriptors.json", "checkpoint/inventory.img"];
const FOLDER_ENTRIES: [&str; 4] =
    ["meta.json", ROOT_CHANGES, "checkpoint/descriptors.json", "checkpoint/inventory.img"];

const OCI_ENTRIES: [&str; 5] =
    ["oci-layout", "index.json", "rootfs-diff.tar", "checkpoint/descriptors.json", "checkpoint/inventory.img"];

fn is_metadata(name: &str) -> bool {
    ["config.dump", "spec.dump", "status.dump", "meta.json", "checkpoint/descriptors.json"].contains(&name)
}

fn about(listing: &Listing, item: &Item, what: impl Into<String>) -> ArchiveError {
    ArchiveError::invalid(&listing.path, Some(&item.name), what)
}

fn escaping(listing: &Listing, entry: &str, what: impl Into<String>) -> ArchiveError {
    ArchiveError::Escaping { archive: listing.path.clone(), entry: entry.to_owned(), what: what.into() }
}

fn images(listing: &Listing) -> impl Iterator<Item = (&Item, &str)> {
    listing.items.iter().filter_map(|i| Some((i, i.name.strip_prefix("checkpoint/")?)))
}

fn check_places(listing: &Listing) -> Result<(), ArchiveError> {
    let names = listing.items.iter().map(|i| &i.name).chain(listing.links.iter().map(|l| &l.0)).chain(&listing.strange);
    for name in names {
        if let Some(what) = leads_out(Path::new(name)) {
            return Err(escaping(listing, name, what));
        }
    }
    for (name, target, kind) in &listing.links {
        let from = match kind {
            LinkKind::Symbolic => Path::new(name).parent().unwrap_or(Path::new("")),
            LinkKind::Hard => Path::new(""),
        };
        if target.is_absolute() || leads_out(&from.join(target)).is_some() {
            return Err(escaping(listing, name, format!("it is a link to {}", target.display())));
        }
    }
    if let Some(name) = listing.strange.first() {
        let what = "it is neither a file, a folder nor a link";
        return Err(ArchiveError::invalid(&listing.path, Some(name), what));
    }
    let mut names: Vec<_> = listing.items.iter().map(|i| &i.name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ArchiveError::invalid(&listing.path, Some(pair[0]), "it is there twice")),
        None => Ok(()),
    }
}

/// Two blocks of zeros end a tar file. A file that lacks them was cut; bytes after them are left over from an older
/// and longer archive, which containerd 2.1 overwrites without truncating.
fn check_trailer(listing: &Listing) -> Result<(), ArchiveError> {
    let invalid = |what: String| ArchiveError::invalid(&listing.path, None, what);
    if listing.end == 0 {
        return Err(invalid("it is empty".into()));
    }
    let length = std::fs::metadata(&listing.path).map_err(|e| ArchiveError::io("read", &listing.path, e))?.len();
    if length < listing.end + 1024 {
        return Err(invalid(format!("it is cut: it ends at byte {length}, within its last blocks")));
    }
    match behind(listing)? {
        None => Ok(()),
        Some(at) => {
            let end = listing.end;
            Err(invalid(format!("its entries end at byte {end}, but something follows at byte {at}")))
        }
    }
}

/// The first byte behind the entries of a tar file that is not zero.
pub(super) fn behind(listing: &Listing) -> Result<Option<u64>, ArchiveError> {
    let fail = |e| ArchiveError::io("read", &listing.path, e);
    let mut file = std::fs::File::open(&listing.path).map_err(fail)?;
    file.seek(SeekFrom::Start(listing.end)).map_err(fail)?;
    let mut at = listing.end;
    let mut chunk = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut chunk).map_err(fail)?;
        if n == 0 {
            return Ok(None);
        }
        if let Some(i) = chunk[..n].iter().position(|b| *b != 0) {
            return Ok(Some(at + i as u64));
        }
        at += n as u64;
    }
}

fn check_presence(listing: &Listing) -> Result<(), ArchiveError> {
    let wanted: &[&str] = match listing.form {
        Form::CriArchive => &CRI_ENTRIES,
        Form::PodmanArchive => &PODMAN_ENTRIES,
        Form::ImageFolder => &FOLDER_ENTRIES,
        Form::OciArchive => &OCI_ENTRIES,
    };
    let wanted = wanted.iter().filter(|name| **name != ROOT_CHANGES || has_root_changes(listing));
    match wanted.into_iter().find(|name| listing.get(name).is_none()) {
        Some(name) => Err(ArchiveError::invalid(&listing.path, Some(name), "it is missing")),
        None => Ok(()),
    }
}

/// An engine that keeps no changes of the root says so in `meta.json`.
fn has_root_changes(listing: &Listing) -> bool {
    let says_no = |bytes: Vec<u8>| {
        serde_json::from_slice::<serde_json::Value>(&bytes).is_ok_and(|meta| meta["root_changes"] == false)
    };
    let meta = listing.get("meta.json").and_then(|item| listing.bytes(item, 1 << 26).ok());
    !meta.is_some_and(says_no)
}

/// Each thread has a core image, each process with an address space has its pagemap.
fn check_processes(listing: &Listing) -> Result<(), ArchiveError> {
    let missing = |name: &str, what: String| ArchiveError::invalid(&listing.path, Some(name), what);
    let name = "checkpoint/pstree.img";
    let item = listing.get(name).ok_or_else(|| missing(name, "it is missing".into()))?;
    let bytes = listing.bytes(item, criu::LARGEST_IMAGE)?;
    for process in criu::pstree(&bytes).map_err(|what| about(listing, item, what))? {
        for thread in process.threads.iter().chain([&process.pid]) {
            let core = format!("checkpoint/core-{thread}.img");
            if listing.get(&core).is_none() {
                return Err(missing(&core, format!("it is missing: process {} has a thread {thread}", process.pid)));
            }
        }
        let pid = process.pid;
        let has = |kind: &str| listing.get(&format!("checkpoint/{kind}-{pid}.img")).is_some();
        // A zombie has neither.
        match (has("mm"), has("pagemap")) {
            (true, false) => {
                return Err(missing(
                    &format!("checkpoint/pagemap-{pid}.img"),
                    "it is missing beside its mm image".into(),
                ));
            }
            (false, true) => {
                return Err(missing(&format!("checkpoint/mm-{pid}.img"), "it is missing beside its pagemap".into()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_pages(listing: &Listing) -> Result<(), ArchiveError> {
    let page = page_size();
    let mut wanted = BTreeMap::<String, u64>::new();
    for (item, image) in images(listing) {
        if !image.starts_with("pagemap-") {
            continue;
        }
        let bytes = listing.bytes(item, criu::LARGEST_IMAGE)?;
        let (id, pages) = criu::pagemap(&bytes).map_err(|what| about(listing, item, what))?;
        let sum = wanted.entry(format!("checkpoint/pages-{id}.img")).or_default();
        let more = pages.checked_mul(page).and_then(|bytes| sum.checked_add(bytes));
        *sum = more.ok_or_else(|| about(listing, item, "its page counts overflow"))?;
    }
    if wanted.is_empty() {
        return Err(ArchiveError::invalid(
            &listing.path,
            None,
            "it has no pagemap-*.img: no process's memory is in it",
        ));
    }
    for (name, bytes) in &wanted {
        match listing.get(name) {
            None if *bytes > 0 => {
                return Err(ArchiveError::invalid(
                    &listing.path,
                    Some(name),
                    "it is missing, and its pagemap is there",
                ));
            }
            Some(item) if item.size != *bytes => {
                let what = format!("it has {} bytes, and its pagemap says {bytes}", item.size);
                return Err(about(listing, item, what));
            }
            _ => {}
        }
    }
    let stray = images(listing).find(|(item, image)| image.starts_with("pages-") && !wanted.contains_key(&item.name));
    match stray {
        Some((item, _)) => Err(about(listing, item, "no pagemap belongs to it")),
        None => Ok(()),
    }
}

/// CRIU writes whole pages of the machine that it runs on; a checkpoint is restored on the same kind of machine.
fn page_size() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|s| u64::try_from(s).ok()).unwrap_or(4096)
}

/// Reads the changes of the root filesystem to their end. Links may point anywhere in there (the container resolves
/// them), names may not.
fn check_rootfs_diff(listing: &Listing) -> Result<(), ArchiveError> {
    let Some(item) = listing.get(ROOT_CHANGES) else { return Ok(()) };
    let file = listing.open(item)?;
    let window = || Window { file: &file, start: item.data, length: item.size, at: 0 };
    let mut magic = [0; 2];
    let gzip = window().read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    if gzip {
        // The checksum at its end tells a cut one from a whole one.
        let mut plain = flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(1 << 18, window()));
        check_names(listing, item, &mut plain).and_then(|()| read_out(listing, item, &mut plain))
    } else {
        let mut window = window();
        check_names(listing, item, &mut window).and_then(|()| check_end(listing, item, window))
    }
}

fn check_names(listing: &Listing, item: &Item, tar: &mut dyn Read) -> Result<(), ArchiveError> {
    let broken = |e: io::Error| about(listing, item, format!("it is no readable tar file: {}", plain(&e)));
    let mut tar = tar::Archive::new(tar);
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.into_owned();
        // Some writers begin every name with `/`; unpackers take that as the root that they unpack to.
        let relative = name.strip_prefix("/").unwrap_or(&name);
        if let Some(what) = leads_out(relative) {
            return Err(escaping(listing, &format!("{}!{}", item.name, name.display()), what));
        }
        io::copy(&mut entry, &mut io::sink()).map_err(broken)?;
    }
    Ok(())
}

fn read_out(listing: &Listing, item: &Item, rest: &mut dyn Read) -> Result<(), ArchiveError> {
    io::copy(rest, &mut io::sink()).map(drop).map_err(|e| about(listing, item, format!("it is cut or damaged: {e}")))
}

/// An uncompressed one must end in two blocks of zeros.
fn check_end(listing: &Listing, item: &Item, mut window: Window<'_>) -> Result<(), ArchiveError> {
    let cut = || about(listing, item, "it is cut: the blocks that end a tar file are missing");
    let mut end = [0; 1024];
    window.seek(SeekFrom::Start(item.size.checked_sub(1024).ok_or_else(cut)?)).map_err(|_| cut())?;
    window.read_exact(&mut end).map_err(|_| cut())?;
    if item.size.is_multiple_of(512) && end.iter().all(|b| *b == 0) { Ok(()) } else { Err(cut()) }
}
