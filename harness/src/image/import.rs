//! Images of the user's own.

use super::bundle::{Bundle, Hashing};
use super::inspect::Tree;
use super::store::{Blob, digest_of, identity};
use super::{Image, ImageError, Store};
use flate2::bufread::MultiGzDecoder;
use oci_spec::image::{ImageConfiguration, ImageIndex, ImageManifest};
use serde::Deserialize;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// The largest document (manifest, configuration) that is read; real ones have some kilobytes.
const DOCUMENT: u64 = 8 << 20;

/// Layers by their media types: OCI's and Docker's names for plain, gzip and zstd tars.
const LAYERS: [&str; 5] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];

/// A layer as an archive has it.
struct Source {
    entry: String,
    /// Its digest as it lies there, where the archive says it.
    digest: Option<String>,
}

/// Takes in an image from an archive: an OCI layout in a tar, or what `docker save` writes; as it is or compressed as a
/// whole (gzip, zstd); with layers plain, gzip or zstd. An archive that was taken in before, and has not changed since,
/// is only looked up. Blocks for as long as reading and decompressing takes.
pub fn import(store: &Store, archive: &Path) -> Result<Image, ImageError> {
    let note = store.dir().join("builds").join(key(archive)?);
    let name = repository(archive);
    if let Ok(digest) = fs::read_to_string(&note)
        && let Ok(image) = store.image(&name, &digest)
    {
        return Ok(image);
    }
    let mut bundle = Bundle::open(store, archive)?;
    let (config, sources) = if bundle.has("index.json") { oci(&mut bundle)? } else { docker(&mut bundle)? };
    let diff_ids = check_config(&bundle, &config)?;
    if diff_ids.len() != sources.len() {
        let what =
            format!("its configuration tells of {} layers and its manifest of {}", diff_ids.len(), sources.len());
        return Err(bundle.invalid(what));
    }
    let mut tree = Tree::default();
    let mut layers = Vec::new();
    for (source, diff_id) in sources.iter().zip(&diff_ids) {
        let blob = take_layer(store, &mut bundle, source)?;
        if blob.digest != *diff_id {
            let entry = format!("{}, decompressed", source.entry);
            return Err(bundle.mismatch(&entry, diff_id, &blob.digest));
        }
        if let Some(path) = store.blob(&blob.digest) {
            tree.add_layer(archive, &path)?;
        }
        layers.push(blob);
    }
    let image = store.publish_with(&name, &config, &layers, &[])?;
    store.write_named(&note, image.digest.as_bytes())?;
    Ok(image)
}

fn key(archive: &Path) -> Result<String, ImageError> {
    let meta = fs::metadata(archive).map_err(ImageError::io("read", archive))?;
    if !meta.is_file() {
        return Err(ImageError::Invalid { archive: archive.to_owned(), what: "is no file".to_owned() });
    }
    Ok(digest_of(format!("import 1 {}", identity(archive)?).as_bytes()).replace(':', "-"))
}

/// The repository that an archive's image goes to: its file name, in the characters that repositories have.
fn repository(archive: &Path) -> String {
    let stem = archive.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let stem = stem.split('.').next().unwrap_or_default();
    let plain: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let plain = plain.trim_matches('-').to_owned();
    let name = if plain.is_empty() { "image".to_owned() } else { plain };
    format!("archive/{name}")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    layers: Vec<String>,
}

/// `manifest.json` of `docker save`.
fn docker(bundle: &mut Bundle) -> Result<(Vec<u8>, Vec<Source>), ImageError> {
    if !bundle.has("manifest.json") {
        return Err(bundle.invalid("holds neither index.json nor manifest.json: it is no image archive".to_owned()));
    }
    let bytes = bundle.read("manifest.json", DOCUMENT)?;
    let mut images: Vec<DockerEntry> = bundle.parse("manifest.json", &bytes)?;
    let image = match (images.pop(), images.len()) {
        (Some(image), 0) => image,
        (_, n) => return Err(bundle.invalid(format!("holds {} images; one is needed", n + 1))),
    };
    let config = bundle.read(&image.config, DOCUMENT)?;
    let layers = image.layers.into_iter().map(|entry| Source { entry, digest: None }).collect();
    Ok((config, layers))
}

fn blob_entry(bundle: &Bundle, digest: &str) -> Result<String, ImageError> {
    match digest.strip_prefix("sha256:") {
        Some(hex) => Ok(format!("blobs/sha256/{hex}")),
        None => Err(bundle.invalid(format!("the digest {digest} is of a kind that is not supported: sha256 is"))),
    }
}

fn verified(bundle: &mut Bundle, digest: &str) -> Result<Vec<u8>, ImageError> {
    let entry = blob_entry(bundle, digest)?;
    let bytes = bundle.read(&entry, DOCUMENT)?;
    let found = digest_of(&bytes);
    if found == digest { Ok(bytes) } else { Err(bundle.mismatch(&entry, digest, &found)) }
}

/// An OCI layout: index -> (index ->) manifest.
fn oci(bundle: &mut Bundle) -> Result<(Vec<u8>, Vec<Source>), ImageError> {
    let mut entry = "index.json".to_owned();
    let mut bytes = bundle.read(&entry, DOCUMENT)?;
    // An index in an index is what multi-platform tools write; deeper ones nobody does.
    for _ in 0..3 {
        let index: ImageIndex = bundle.parse(&entry, &bytes)?;
        let ours = super::architecture();
        let fits = |d: &&oci_spec::image::Descriptor| {
            d.platform().as_ref().is_none_or(|p| p.architecture().to_string() == ours && p.os().to_string() == "linux")
        };
        let fitting: Vec<_> = index.manifests().iter().filter(fits).collect();
        let [chosen] = fitting.as_slice() else {
            let all = index.manifests().len();
            let what = format!("{entry} names {} images for linux/{ours} (of {all}); one is needed", fitting.len());
            return Err(bundle.invalid(what));
        };
        let (digest, kind) = (chosen.digest().to_string(), chosen.media_type().to_string());
        entry = blob_entry(bundle, &digest)?;
        bytes = verified(bundle, &digest)?;
        match kind.as_str() {
            "application/vnd.oci.image.index.v1+json" | "application/vnd.docker.distribution.manifest.list.v2+json" => {
            }
            "application/vnd.oci.image.manifest.v1+json" | "application/vnd.docker.distribution.manifest.v2+json" => {
                return manifest(bundle, &entry, &bytes);
            }
            other => return Err(bundle.invalid(format!("`{entry}` has the media type {other}, which is no image"))),
        }
    }
    Err(bundle.invalid("its indexes are nested too deep".to_owned()))
}

fn manifest(bundle: &mut Bundle, entry: &str, bytes: &[u8]) -> Result<(Vec<u8>, Vec<Source>), ImageError> {
    let manifest: ImageManifest = bundle.parse(entry, bytes)?;
    let mut sources = Vec::new();
    for layer in manifest.layers() {
        let (digest, kind) = (layer.digest().to_string(), layer.media_type().to_string());
        if !LAYERS.contains(&kind.as_str()) {
            let what = format!("the layer {digest} has the media type {kind}; supported are {}", LAYERS.join(", "));
            return Err(bundle.invalid(what));
        }
        sources.push(Source { entry: blob_entry(bundle, &digest)?, digest: Some(digest) });
    }
    Ok((verified(bundle, manifest.config().digest().as_ref())?, sources))
}

/// The digests that the decompressed layers must have.
fn check_config(bundle: &Bundle, bytes: &[u8]) -> Result<Vec<String>, ImageError> {
    let config: ImageConfiguration = bundle.parse("its configuration", bytes)?;
    let (found, ours) = (config.architecture().to_string(), super::architecture());
    if found != ours {
        return Err(bundle.invalid(format!("is an image for {found}, and this machine is {ours}")));
    }
    Ok(config.rootfs().diff_ids().clone())
}

/// Decompresses a layer into the store, by what its first bytes say it is.
fn take_layer(store: &Store, bundle: &mut Bundle, source: &Source) -> Result<Blob, ImageError> {
    let archive = bundle.path().to_owned();
    let mut raw = BufReader::with_capacity(256 << 10, Hashing::new(bundle.stream(&source.entry)?));
    let start = raw.fill_buf().map_err(ImageError::io("read", &archive))?;
    let taken = if start.starts_with(&[0x1f, 0x8b]) {
        store.put_from(&mut MultiGzDecoder::new(&mut raw))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::Decoder::with_buffer(&mut raw).map_err(ImageError::io("decompress", &archive))?;
        store.put_from(&mut { decoder })
    } else {
        store.put_from(&mut raw)
    };
    // What a decompressor left unread counts for the digest too.
    let rest = std::io::copy(&mut raw, &mut std::io::sink());
    let found = raw.into_inner().digest();
    if let (Some(expected), Ok(_)) = (&source.digest, &rest)
        && *expected != found
    {
        return Err(bundle.mismatch(&source.entry, expected, &found));
    }
    match (taken, rest) {
        (Ok(blob), Ok(_)) => Ok(blob),
        (Err(ImageError::Io { source: cause, .. }), _) | (_, Err(cause))
            if matches!(cause.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData)
                || cause.kind() == std::io::ErrorKind::UnexpectedEof
                || cause.kind() == std::io::ErrorKind::Other =>
        {
            Err(bundle.invalid(format!("the layer `{}` can't be decompressed: {cause}", source.entry)))
        }
        (Err(e), _) => Err(e),
        (_, Err(e)) => Err(ImageError::io("read", &archive)(e)),
    }
}

#[cfg(test)]
mod tests;
