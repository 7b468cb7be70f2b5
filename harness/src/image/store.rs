//! Content on disk: blobs by digest, and tags that name manifests.

use super::{Image, ImageError, REGISTRY};
use oci_spec::image::{ImageConfiguration, ImageManifest};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Half-written files of a process that was killed; a younger one may belong to a living process.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// An OCI content store in a folder of the host. Several processes may use one folder at a time: every file is written
/// aside and renamed, and no file's content ever changes.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
}

/// Content in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    /// `sha256:...`
    pub(super) digest: String,
    pub(super) size: u64,
}

/// What goes into an image's configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) entrypoint: Vec<String>,
    pub(super) env: Vec<String>,
    pub(super) working_dir: String,
    pub(super) labels: Vec<(String, String)>,
}

impl Store {
    /// Opens the store in a folder, making it if need be.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, ImageError> {
        let store = Store { dir: dir.into() };
        for sub in ["blobs/sha256", "tags", "builds", "tmp"] {
            let dir = store.dir.join(sub);
            fs::create_dir_all(&dir).map_err(ImageError::io("make the folder", &dir))?;
        }
        store.sweep();
        Ok(store)
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(self.dir.join("tmp")) else { return };
        for entry in entries.flatten() {
            let age = entry.metadata().and_then(|m| m.modified()).ok();
            if age.and_then(|t| SystemTime::now().duration_since(t).ok()).is_some_and(|a| a > ABANDONED) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// The file of a blob, if the store has it. A digest that is none has no file.
    pub fn blob(&self, digest: &str) -> Option<PathBuf> {
        let path = self.blob_path(digest)?;
        path.is_file().then_some(path)
    }

    fn blob_path(&self, digest: &str) -> Option<PathBuf> {
        let hex = digest.strip_prefix("sha256:")?;
        let good = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        good.then(|| self.dir.join("blobs/sha256").join(hex))
    }

    fn temp(&self) -> Result<NamedTempFile, ImageError> {
        let dir = self.dir.join("tmp");
        NamedTempFile::new_in(&dir).map_err(ImageError::io("make a file in", dir))
    }

    fn keep(file: NamedTempFile, path: &Path) -> Result<(), ImageError> {
        file.persist(path).map_err(|e| ImageError::Io { what: "write", path: path.to_owned(), source: e.error })?;
        Ok(())
    }

    /// Starts a blob of unknown digest.
    pub(super) fn writer(&self) -> Result<BlobWriter<'_>, ImageError> {
        Ok(BlobWriter { store: self, file: self.temp()?, hash: Hasher::default(), size: 0 })
    }

    /// Adds a blob that is at hand.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<Blob, ImageError> {
        let mut writer = self.writer()?;
        let path = writer.file.path().to_owned();
        writer.write_all(bytes).map_err(ImageError::io("write", path))?;
        writer.commit()
    }

    /// Adds a blob from a stream.
    pub(super) fn put_from(&self, from: &mut impl Read) -> Result<Blob, ImageError> {
        let mut writer = self.writer()?;
        let path = writer.file.path().to_owned();
        copy(from, &mut writer).map_err(ImageError::io("write", path))?;
        writer.commit()
    }

    /// Writes configuration and manifest over layers that the store has, and tags them by the manifest's digest.
    pub(super) fn publish(
        &self,
        repository: &str,
        settings: &Settings,
        layers: &[Blob],
        annotations: &[(&str, &str)],
    ) -> Result<Image, ImageError> {
        let map = |pairs: &[(String, String)]| pairs.iter().map(|(k, v)| (k.clone(), json!(v))).collect::<Value>();
        let config = json!({
            "architecture": super::architecture(),
            "os": "linux",
            "config": {
                "Entrypoint": settings.entrypoint,
                "Env": settings.env,
                "WorkingDir": settings.working_dir,
                "Labels": map(&settings.labels),
            },
            "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|l| &l.digest).collect::<Vec<_>>()},
        });
        self.publish_with(repository, config.to_string().as_bytes(), layers, annotations)
    }

    /// Like [`Store::publish`], with a configuration that is at hand.
    pub(super) fn publish_with(
        &self,
        repository: &str,
        config: &[u8],
        layers: &[Blob],
        annotations: &[(&str, &str)],
    ) -> Result<Image, ImageError> {
        let config = self.put(config)?;
        let descriptor = |kind: &str, b: &Blob| json!({"mediaType": kind, "digest": b.digest, "size": b.size});
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config),
            "layers": layers.iter().map(|l| descriptor(LAYER, l)).collect::<Vec<_>>(),
        });
        if !annotations.is_empty() {
            manifest["annotations"] = annotations.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        }
        let manifest = self.put(manifest.to_string().as_bytes())?;
        self.tag(repository, &manifest.digest)?;
        self.image(repository, &manifest.digest)
    }

    fn tag(&self, repository: &str, digest: &str) -> Result<(), ImageError> {
        let dir = self.dir.join("tags").join(repository);
        fs::create_dir_all(&dir).map_err(ImageError::io("make the folder", &dir))?;
        self.write_named(&dir.join(tag_of(digest)), digest.as_bytes())
    }

    /// Writes a small file of the store whole or not at all.
    pub(super) fn write_named(&self, path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
        let mut file = self.temp()?;
        file.write_all(bytes).map_err(ImageError::io("write", path))?;
        Store::keep(file, path)
    }

    /// The digest of the manifest that a tag or a digest names in a repository. Each repository answers for its own
    /// images alone.
    pub fn resolve(&self, repository: &str, tag_or_digest: &str) -> Option<String> {
        let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !repository.split('/').all(|part| plain(part) && !part.starts_with('.')) {
            return None;
        }
        let is_digest = tag_or_digest.starts_with("sha256:");
        let tag = if is_digest { tag_of(tag_or_digest) } else { tag_or_digest };
        if !plain(tag) || tag.starts_with('.') {
            return None;
        }
        let digest = fs::read_to_string(self.dir.join("tags").join(repository).join(tag)).ok()?;
        (!is_digest || digest == tag_or_digest).then_some(digest)
    }

    /// An image that the store has, whole: every layer is there in its full length.
    pub fn image(&self, repository: &str, tag_or_digest: &str) -> Result<Image, ImageError> {
        let unknown =
            || ImageError::Unknown { reference: format!("{repository}:{tag_or_digest}"), store: self.dir.clone() };
        let digest = self.resolve(repository, tag_or_digest).ok_or_else(unknown)?;
        let manifest: ImageManifest = self.document(&digest)?;
        let config: ImageConfiguration = self.document(manifest.config().digest().as_ref())?;
        let mut layers = Vec::new();
        for layer in manifest.layers() {
            let path = self.blob(layer.digest().as_ref()).ok_or_else(unknown)?;
            let size = path.metadata().map_err(ImageError::io("read", &path))?.len();
            if size != layer.size() {
                return Err(ImageError::Invalid { archive: path, what: format!("{size} bytes, not {}", layer.size()) });
            }
            layers.push(path);
        }
        let settings = config.config().as_ref();
        let list = |l: Option<&Vec<String>>| l.cloned().unwrap_or_default();
        let mut entrypoint = list(settings.and_then(|c| c.entrypoint().as_ref()));
        entrypoint.extend(list(settings.and_then(|c| c.cmd().as_ref())));
        let dir = settings.and_then(|c| c.working_dir().clone()).filter(|d| !d.is_empty());
        Ok(Image {
            reference: format!("{REGISTRY}/{repository}:{}", tag_of(&digest)),
            digest,
            layers,
            entrypoint,
            env: list(settings.and_then(|c| c.env().as_ref())),
            working_dir: dir.unwrap_or_else(|| "/".to_owned()),
        })
    }

    fn document<T: serde::de::DeserializeOwned>(&self, digest: &str) -> Result<T, ImageError> {
        let unknown = || ImageError::Unknown { reference: digest.to_owned(), store: self.dir.clone() };
        let path = self.blob(digest).ok_or_else(unknown)?;
        let bytes = fs::read(&path).map_err(ImageError::io("read", &path))?;
        serde_json::from_slice(&bytes).map_err(|e| ImageError::Invalid { archive: path, what: e.to_string() })
    }
}

/// The tag of an image: so many digits that no two images of a store ever share one.
fn tag_of(digest: &str) -> &str {
    digest.get(7..19).unwrap_or("")
}

/// `sha256:...` of bytes.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    Hasher(Sha256::new_with_prefix(bytes)).digest()
}

/// Names a file's content without reading it: its place in the file system and its times. Whoever writes to it changes
/// the last of them, which nobody can set.
pub(super) fn identity(file: &Path) -> Result<String, ImageError> {
    let m = fs::metadata(file).map_err(ImageError::io("read", file))?;
    let times = (m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec());
    Ok(format!("{} {} {} {} {times:?}", file.display(), m.dev(), m.ino(), m.size()))
}

/// A digest in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// `sha256:...`
    pub(super) fn digest(self) -> String {
        let mut out = String::with_capacity(71);
        out.push_str("sha256:");
        for byte in self.0.finalize() {
            let _ = write!(out, "{byte:02x}");
        }
        out
    }
}

/// Like [`io::copy`], in pieces large enough that hashing and writing a gigabyte costs what they cost and no calls.
pub(super) fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => to.write_all(&buffer[..n])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// A blob that is being written; dropped without [`BlobWriter::commit`], nothing is left of it.
pub(super) struct BlobWriter<'a> {
    store: &'a Store,
    file: NamedTempFile,
    hash: Hasher,
    size: u64,
}

impl BlobWriter<'_> {
    /// Ends it and gives it its name.
    pub(super) fn commit(mut self) -> Result<Blob, ImageError> {
        self.file.flush().map_err(ImageError::io("write", self.file.path()))?;
        let digest = self.hash.digest();
        let hex = &digest["sha256:".len()..];
        Store::keep(self.file, &self.store.dir.join("blobs/sha256").join(hex))?;
        Ok(Blob { digest, size: self.size })
    }
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hash.update(&bytes[..n]);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
