//! An image in one file, a checkpoint's or any other: what a user makes who has no registry.

use super::checkpoint::annotations;
use super::store::{Hasher, copy, digest_of};
use super::{Image, ImageError};
use oci_spec::image::ImageManifest;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const BLOCK: u64 = 512;

/// Writes an OCI layout as a tar file: one image, named `reference`, whose only layer is a checkpoint archive as it is, with
/// the annotations that containerd and CRI-O tell a checkpoint by. `container`: the name of the container that it is of.
///
/// # Errors
/// The archive can't be read, or the file not be written.
pub fn checkpoint_layout(archive: &Path, into: &Path, container: &str, reference: &str) -> Result<(), ImageError> {
    // CRI names images by the digest of the configuration: the reference in it makes each its own.
    let config = json!({"Labels": {"podferry.checkpoint.name": reference}});
    let annotations = annotations(container).into_iter().collect::<BTreeMap<_, _>>();
    layout(archive, into, reference, &config, &json!(annotations))
}

/// Writes likewise an image of one layer, a tar file, that starts the program `entrypoint`.
///
/// # Errors
/// The layer can't be read, or the file not be written.
pub(crate) fn program_layout(
    layer: &Path,
    into: &Path,
    reference: &str,
    entrypoint: &[&str],
) -> Result<(), ImageError> {
    let env = ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
    layout(layer, into, reference, &json!({"Entrypoint": entrypoint, "Env": env}), &json!({}))
}

/// Writes an image of the store likewise, under its own reference and with its own digest.
///
/// # Errors
/// A part of it can't be read, or the file not be written.
pub fn image_layout(image: &Image, into: &Path) -> Result<(), ImageError> {
    let unknown = || ImageError::Unknown { reference: image.reference.clone(), store: into.to_owned() };
    let blobs = image.layers.first().and_then(|layer| layer.parent()).ok_or_else(unknown)?;
    let blob = |digest: &str| blobs.join(digest.trim_start_matches("sha256:"));
    let place = blob(&image.digest);
    let bytes = std::fs::read(&place).map_err(ImageError::io("read", &place))?;
    let invalid = |what: String| ImageError::Invalid { archive: place.clone(), what };
    let manifest: ImageManifest = serde_json::from_slice(&bytes).map_err(|e| invalid(e.to_string()))?;
    let parts = std::iter::once(manifest.config()).chain(manifest.layers());
    let mut digests: Vec<&str> = parts.map(|part| part.digest().as_ref()).collect();
    // Two layers may be one.
    digests.sort_unstable();
    digests.dedup();
    let written = || -> io::Result<()> {
        let mut out = begin(into)?;
        for digest in digests {
            let mut from = File::open(blob(digest))?;
            let size = from.metadata()?.len();
            out.write_all(header(&path(digest), size)?.as_bytes())?;
            copy(&mut from, &mut out)?;
            pad(&mut out, size)?;
        }
        entry(&mut out, &path(&image.digest), &bytes)?;
        end(out, &image.reference, &image.digest, bytes.len() as u64)
    }();
    written.map_err(ImageError::io("write", into))
}

fn layout(
    layer: &Path,
    into: &Path,
    reference: &str,
    config: &serde_json::Value,
    annotations: &serde_json::Value,
) -> Result<(), ImageError> {
    let mut from = File::open(layer).map_err(ImageError::io("read", layer))?;
    let written = || -> io::Result<()> {
        let mut out = begin(into)?;
        let (layer, size) = blob(&mut out, &mut from)?;
        let config = json!({
            "architecture": super::architecture(),
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer]},
        });
        let (config, config_size) = document(&mut out, &config)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": config, "size": config_size},
            "layers": [{"mediaType": LAYER, "digest": layer, "size": size}],
            "annotations": annotations,
        });
        let (manifest, manifest_size) = document(&mut out, &manifest)?;
        end(out, reference, &manifest, manifest_size)
    }();
    written.map_err(ImageError::io("write", into))
}

fn begin(into: &Path) -> io::Result<BufWriter<File>> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(into)?);
    entry(&mut out, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(out)
}

/// Says which image all of it is.
fn end(mut out: BufWriter<File>, reference: &str, manifest: &str, size: u64) -> io::Result<()> {
    // Docker's name for it is containerd's, too; the second is the standard's, and only a tag.
    let tag = reference.rsplit(':').next().unwrap_or(reference);
    let index = json!({"schemaVersion": 2, "manifests": [{
        "mediaType": MANIFEST, "digest": manifest, "size": size,
        "annotations": {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": tag},
    }]});
    entry(&mut out, "index.json", index.to_string().as_bytes())?;
    // Two empty blocks end an archive.
    out.write_all(&[0; 2 * BLOCK as usize])?;
    out.into_inner().map(drop).map_err(io::IntoInnerError::into_error)
}

fn document(out: &mut BufWriter<File>, value: &serde_json::Value) -> io::Result<(String, u64)> {
    let bytes = value.to_string().into_bytes();
    let digest = digest_of(&bytes);
    entry(out, &path(&digest), &bytes)?;
    Ok((digest, bytes.len() as u64))
}

fn path(digest: &str) -> String {
    format!("blobs/sha256/{}", digest.trim_start_matches("sha256:"))
}

fn header(path: &str, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path)?;
    header.set_size(size);
    header.set_mode(0o600);
    header.set_cksum();
    Ok(header)
}

fn entry(out: &mut BufWriter<File>, path: &str, bytes: &[u8]) -> io::Result<()> {
    out.write_all(header(path, bytes.len() as u64)?.as_bytes())?;
    out.write_all(bytes)?;
    pad(out, bytes.len() as u64)
}

fn pad(out: &mut BufWriter<File>, size: u64) -> io::Result<()> {
    let over = size % BLOCK;
    out.write_all(&vec![0; if over == 0 { 0 } else { BLOCK - over } as usize])
}

/// Writes a blob whose digest is known only when it has been read: its header comes last, into its place. So the memory of a
/// big container is read once.
fn blob(out: &mut BufWriter<File>, from: &mut File) -> io::Result<(String, u64)> {
    let place = out.stream_position()?;
    out.write_all(&[0; BLOCK as usize])?;
    let mut hashed = Hashed { out, hash: Hasher::default(), size: 0 };
    copy(from, &mut hashed)?;
    let (digest, size) = (hashed.hash.digest(), hashed.size);
    pad(out, size)?;
    let end = out.stream_position()?;
    out.seek(SeekFrom::Start(place))?;
    out.write_all(header(&path(&digest), size)?.as_bytes())?;
    out.seek(SeekFrom::Start(end))?;
    Ok((digest, size))
}

struct Hashed<'a> {
    out: &'a mut BufWriter<File>,
    hash: Hasher,
    size: u64,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Store;
    use std::io::Read;

    #[test]
    fn each_blob_is_what_its_name_says_and_the_archive_is_the_layer() {
        let dir = tempfile::tempdir().unwrap();
        let (archive, into) = (dir.path().join("cp.tar"), dir.path().join("oci.tar"));
        let content: Vec<u8> = (0..100_001_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(&archive, &content).unwrap();
        checkpoint_layout(&archive, &into, "redis", "localhost/x/checkpoint:redis-1").unwrap();

        let entries = entries(&into);
        let json = |name: &str| -> serde_json::Value { serde_json::from_slice(&entries[name]).unwrap() };
        let index = json("index.json");
        let named = &index["manifests"][0];
        assert_eq!(named["annotations"]["io.containerd.image.name"], "localhost/x/checkpoint:redis-1");
        let manifest = json(&path(named["digest"].as_str().unwrap()));
        assert_eq!(manifest["annotations"]["org.criu.checkpoint.container.name"], "redis");
        assert_eq!(manifest["annotations"]["io.kubernetes.cri-o.annotations.checkpoint.name"], "redis");
        let layer = &manifest["layers"][0];
        assert_eq!(entries[&path(layer["digest"].as_str().unwrap())], content);
        assert_eq!(layer["size"], 100_001);
        let config = json(&path(manifest["config"]["digest"].as_str().unwrap()));
        assert_eq!(config["rootfs"]["diff_ids"][0], layer["digest"]);
    }

    fn entries(archive: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut entries = BTreeMap::new();
        for entry in tar::Archive::new(File::open(archive).unwrap()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let (name, mut bytes) = (entry.path().unwrap().display().to_string(), Vec::new());
            entry.read_to_end(&mut bytes).unwrap();
            if let Some(hex) = name.strip_prefix("blobs/sha256/") {
                assert_eq!(digest_of(&bytes), format!("sha256:{hex}"));
            }
            assert!(entries.insert(name, bytes).is_none());
        }
        entries
    }

    #[test]
    fn an_image_of_the_store_is_the_same_when_it_is_taken_in_again() {
        let dir = tempfile::tempdir().unwrap();
        let (archive, into) = (dir.path().join("cp.tar"), dir.path().join("oci.tar"));
        std::fs::write(&archive, layer()).unwrap();
        program_layout(&archive, &into, "localhost/x/y:1", &["/y"]).unwrap();
        let store = Store::open(dir.path().join("store")).unwrap();
        let image = crate::image::import(&store, &into).unwrap();

        let again = dir.path().join("again.tar");
        image_layout(&image, &again).unwrap();
        let index: serde_json::Value = serde_json::from_slice(&entries(&again)["index.json"]).unwrap();
        assert_eq!(index["manifests"][0]["digest"], image.digest);
        assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], image.reference);
        let other = Store::open(dir.path().join("other")).unwrap();
        assert_eq!(crate::image::import(&other, &again).unwrap().digest, image.digest);
    }

    /// A tar file with a file in it.
    fn layer() -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_data(&mut header("y", 1).unwrap(), "y", &b"x"[..]).unwrap();
        tar.into_inner().unwrap()
    }

    #[test]
    fn an_archive_that_is_not_there_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let error = checkpoint_layout(&dir.path().join("none"), &dir.path().join("out"), "x", "y:1").unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
        assert!(!dir.path().join("out").exists());
    }
}
