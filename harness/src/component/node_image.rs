use super::bootstrap::{ensure_tool, unpack};
use super::cache::{Cache, Held, Unfinished, write_whole};
use super::contained::Contained;
use super::error::ComponentError;
use super::manifest::Manifest;
use super::spec::{NodeImageSpec, short_digest};
use super::{Progress, fixup, identity, with_system_path};
use crate::process::Exec;
use crate::record::{ComponentRecord, Millis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Version of what is made here and of its form on disk: another one makes all images anew.
const BUILDER: u32 = 3_000 + fixup::VERSION;

/// A node image in the cache. Nobody prunes it as long as a clone of this value lives.
#[derive(Clone, Debug)]
pub struct NodeImage {
    /// The folder that nodes have as their lower layer; not to be written to.
    pub rootfs: PathBuf,
    /// The suite.
    pub suite: String,
    /// Names the content: packages with versions.
    pub key: String,
    /// Whether it was made by this call; else it was in the cache.
    pub built: bool,
    /// Packages with their versions.
    pub packages: BTreeMap<String, String>,
    /// The programs of the stack in it.
    pub components: Vec<ComponentRecord>,
    _held: Arc<Held>,
}

/// `image.json`: how an image came to be.
#[derive(Debug, Serialize, Deserialize)]
struct Birth {
    spec: NodeImageSpec,
    key: String,
    builder: u32,
    /// Wall time at which it was done, RFC 3339.
    made: String,
    /// How long it took.
    took_ms: Millis,
    size_mib: u64,
    /// The programs that made it, with versions.
    tools: BTreeMap<String, String>,
    packages: BTreeMap<String, String>,
    components: Vec<ComponentRecord>,
}

/// The node image of a description: out of the cache, or made (which needs root and takes half a minute and the
/// network). Two runs that need one image make it once. No network and at most a few ms when it is in the cache.
///
/// # Errors
/// The bootstrap tool is not to be had, the suite or a package does not exist, no network, no room.
pub async fn node_image(
    spec: &NodeImageSpec,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<NodeImage, ComponentError> {
    let spec_key = spec.key(BUILDER);
    if let Some(image) = cached(cache, &spec_key) {
        return Ok(image);
    }
    let _lock = cache.lock(&spec_key, &format!("node image {}", spec.name), progress).await?;
    // The one that held the lock before may have made it.
    match cached(cache, &spec_key) {
        Some(image) => Ok(image),
        None => make(spec, &spec_key, cache, progress).await,
    }
}

/// Like [`node_image`], but makes it anew with the packages of today, and removes older ones that nobody uses.
///
/// # Errors
/// As [`node_image`].
pub async fn refresh_node_image(
    spec: &NodeImageSpec,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<NodeImage, ComponentError> {
    let spec_key = spec.key(BUILDER);
    let _lock = cache.lock(&spec_key, &format!("node image {}", spec.name), progress).await?;
    make(spec, &spec_key, cache, progress).await
}

fn cached(cache: &Cache, spec_key: &str) -> Option<NodeImage> {
    let held = cache.find(spec_key)?;
    let birth: Birth = serde_json::from_slice(&fs::read(held.dir.join("image.json")).ok()?).ok()?;
    // Someone may have tidied up below the cache's folder.
    held.dir.join("rootfs/usr/bin").is_dir().then(|| image(birth, held, false))
}

fn image(birth: Birth, held: Held, built: bool) -> NodeImage {
    NodeImage {
        rootfs: held.dir.join("rootfs"),
        suite: birth.spec.suite,
        key: birth.key,
        built,
        packages: birth.packages,
        components: birth.components,
        _held: Arc::new(held),
    }
}

async fn make(
    spec: &NodeImageSpec,
    spec_key: &str,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<NodeImage, ComponentError> {
    let from = Instant::now();
    let tool = ensure_tool(progress).await?;
    progress.say(&format!("node image {}: making it (kept in {})", spec.name, cache.dir().display()));
    let unfinished = cache.unfinished(spec_key, progress)?;
    let rootfs = unfinished.dir.join("rootfs");
    let packages = unpack(spec, &rootfs, progress).await?;
    finish_root(spec, &rootfs).await?;
    let components = components(&rootfs, &packages, &spec.suite).await?;
    let key = short_digest(&(BUILDER, std::env::consts::ARCH, &packages));
    let birth = Birth {
        spec: spec.clone(),
        key: key.clone(),
        builder: BUILDER,
        made: jiff::Timestamp::now().to_string(),
        took_ms: from.elapsed().into(),
        size_mib: blocks(&rootfs).map_err(ComponentError::io("can't read", &rootfs))? * 512 / 1_048_576,
        tools: [("mmdebstrap".to_owned(), tool), ("podferry".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into(),
        packages,
        components,
    };
    write_birth(&unfinished, &birth)?;
    let held = cache.publish(spec, spec_key, &key, unfinished)?;
    let took = Millis::from(from.elapsed());
    let (count, size) = (birth.packages.len(), birth.size_mib);
    progress.say(&format!("node image {}: {count} packages, {size} MiB, made in {took}", spec.name));
    Ok(image(birth, held, true))
}

fn write_birth(unfinished: &Unfinished, birth: &Birth) -> Result<(), ComponentError> {
    let path = unfinished.dir.join("image.json");
    let json = serde_json::to_vec_pretty(birth).expect("plain data is JSON");
    write_whole(&path, &json).map_err(ComponentError::io("can't write", &path))
}

/// Does what the packages' scripts would have done.
async fn finish_root(spec: &NodeImageSpec, rootfs: &Path) -> Result<(), ComponentError> {
    let root = Contained::open(rootfs).map_err(ComponentError::io("can't read", rootfs))?;
    fixup::fix_up(&root).map_err(|(path, source)| match source.kind() {
        std::io::ErrorKind::NotFound => ComponentError::Build {
            name: spec.name.clone(),
            reason: format!("its packages bring no /{path}"),
            tail: Vec::new(),
            remedy: "name ?essential, or base-files, base-passwd and libc-bin, in the package list".to_owned(),
        },
        _ => ComponentError::Io { doing: "can't write", path: rootfs.join(path), source },
    })?;
    // The root's own one: it knows the places of its libraries.
    let ldconfig = with_system_path(Exec::new("chroot").arg(rootfs).arg("/usr/sbin/ldconfig"));
    let failed = |source| ComponentError::Exec { doing: format!("can't finish the node image {}", spec.name), source };
    ldconfig.timeout(Duration::from_secs(60)).run().await.map_err(failed)?;
    Ok(())
}

/// Which of the stack's programs are in it. One that is there but does not run is an error: the nodes would meet it.
async fn components(
    rootfs: &Path,
    packages: &BTreeMap<String, String>,
    suite: &str,
) -> Result<Vec<ComponentRecord>, ComponentError> {
    let root = Contained::open(rootfs).map_err(ComponentError::io("can't read", rootfs))?;
    let (mut records, manifest) = (Vec::new(), Manifest::shipped());
    for known in &identity::KNOWN {
        let path = known.path.trim_start_matches('/');
        if !root.exists(path) {
            continue;
        }
        let no = ComponentError::io("can't read", &rootfs.join(path));
        let digest = root.open_file(path).and_then(identity::digest).map_err(no)?;
        let ask = identity::ask_version(rootfs, known, None);
        let said = ask.run().await.map_err(|source| ComponentError::Exec {
            doing: format!("{} of the node image does not run", known.name),
            source,
        })?;
        let package = manifest.package(known.name).unwrap_or(known.name);
        let version = packages.get(package);
        let source = format!("package {package}{} ({suite})", version.map(|v| format!(" {v}")).unwrap_or_default());
        let mut record = identity::record(known, &identity::said(&said), source, digest);
        // CNI's plugins of Debian's do not know it.
        if let (None, Some(version)) = (identity::version_in(&identity::said(&said)), version) {
            record.version.clone_from(version);
        }
        records.push(record);
    }
    Ok(records)
}

/// How many blocks of 512 bytes a folder takes.
fn blocks(dir: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += meta.blocks() + if meta.is_dir() { blocks(&entry.path())? } else { 0 };
    }
    Ok(sum)
}
