//! Images made from parts of a node image, of podferry's own programs and of texts.

use super::layer::Layer;
use super::libraries::libraries;
use super::store::{Settings, Store, digest_of, identity};
use super::{Image, ImageError};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Raised when the same spec is to give other bytes, so that caches forget what they have.
const FORMAT: u32 = 1;

/// What an image is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImageSpec {
    /// `podferry/redis`.
    pub repository: String,
    /// Programs of the node image, taken with the libraries that they need.
    pub programs: Vec<String>,
    /// Files and whole folders of the node image, taken as they are; a last name may end in `*`.
    pub files: Vec<String>,
    /// Static programs of podferry's own: where in the image, and the file's name in [`WorkloadBinaries`].
    pub binaries: Vec<(String, String)>,
    /// Texts: where, what, and the mode.
    pub texts: Vec<(String, String, u32)>,
    /// Symbolic links: where, and to what.
    pub links: Vec<(String, String)>,
    /// Folders and their modes.
    pub dirs: Vec<(String, u32)>,
    /// Program and arguments.
    pub entrypoint: Vec<String>,
    /// Environment, `KEY=value`.
    pub env: Vec<String>,
}

/// The node image that parts are taken from.
#[derive(Clone, Copy, Debug)]
pub struct NodeRoot<'a> {
    /// Its root folder on the host.
    pub dir: &'a Path,
    /// What names its content: two roots with one key are the same.
    pub key: &'a str,
}

/// The folder that holds podferry's own static programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadBinaries {
    /// The folder.
    pub dir: PathBuf,
}

impl WorkloadBinaries {
    /// The folder named in `PODFERRY_WORKLOADS`; else where cargo puts static programs, in the target folder that the running
    /// program lies in; else the one that it lies in itself.
    pub fn find() -> Self {
        let named = std::env::var_os("PODFERRY_WORKLOADS").filter(|d| !d.is_empty()).map(PathBuf::from);
        let beside = || std::env::current_exe().ok()?.parent().map(Path::to_owned);
        let of_cargo = || {
            let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
            let all = beside()?;
            let mut there = all.ancestors().map(|dir| dir.join(&target).join("release"));
            there.find(|dir| dir.join("counter").is_file())
        };
        WorkloadBinaries { dir: named.or_else(of_cargo).or_else(beside).unwrap_or_default() }
    }

    /// The file of a program.
    fn find_file(&self, name: &str) -> Result<PathBuf, ImageError> {
        let path = self.dir.join(name);
        if !path.is_file() {
            return Err(ImageError::NoBinary { path });
        }
        let mut head = Vec::new();
        let file = fs::File::open(&path).map_err(ImageError::io("read", &path))?;
        file.take(4096).read_to_end(&mut head).map_err(ImageError::io("read", &path))?;
        if needs_loader(&head) { Err(ImageError::NotStatic { path }) } else { Ok(path) }
    }
}

/// Whether a program (its first bytes: headers stand there) asks for a loader. In an image that holds the program alone
/// such a one ends with `exec: no such file or directory`, which names the program and means its loader.
fn needs_loader(head: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let number = |at: usize, bytes: usize| {
        let part = head.get(at..at.checked_add(bytes)?)?;
        Some(part.iter().rev().fold(0_usize, |n, b| n << 8 | usize::from(*b)))
    };
    // Offsets of a 64-bit little-endian ELF header: where the program headers are, how long each is, how many.
    let (Some(from), Some(length), Some(count)) = (number(0x20, 8), number(0x36, 2), number(0x38, 2)) else {
        return false;
    };
    let kinds = (0..count).filter_map(|i| number(from.checked_add(i * length)?, 4));
    head.starts_with(b"\x7fELF\x02\x01") && kinds.into_iter().any(|kind| kind == INTERPRETER as usize)
}

/// What a finished build is remembered by.
#[derive(Serialize, Deserialize)]
struct Built {
    repository: String,
    digest: String,
}

/// Makes an image, or finds the one that was made of the same parts before. Needs root the first time: the libraries of
/// programs are asked of the node image's own loader, in a chroot.
pub async fn build(
    store: &Store,
    root: NodeRoot<'_>,
    binaries: &WorkloadBinaries,
    spec: &ImageSpec,
) -> Result<Image, ImageError> {
    let note = store.dir().join("builds").join(key(root, binaries, spec)?);
    if let Some(image) = remembered(store, &note) {
        return Ok(image);
    }
    let layer = collect(root, binaries, spec).await?.write(store)?;
    let settings = Settings {
        entrypoint: spec.entrypoint.clone(),
        env: spec.env.clone(),
        working_dir: "/".to_owned(),
        labels: Vec::new(),
    };
    let image = store.publish(&spec.repository, &settings, &[layer], &[])?;
    let built = Built { repository: spec.repository.clone(), digest: image.digest.clone() };
    store.write_named(&note, serde_json::json!(built).to_string().as_bytes())?;
    Ok(image)
}

/// A name for all that goes into the image.
fn key(root: NodeRoot<'_>, binaries: &WorkloadBinaries, spec: &ImageSpec) -> Result<String, ImageError> {
    let mut own = Vec::new();
    for (_, name) in &spec.binaries {
        own.push(identity(&binaries.find_file(name)?)?);
    }
    // What takes nothing from the node image does not change with it.
    let node = if spec.programs.is_empty() && spec.files.is_empty() { "" } else { root.key };
    let inputs = serde_json::json!([FORMAT, super::architecture(), node, own, spec]);
    Ok(digest_of(inputs.to_string().as_bytes()).replace(':', "-"))
}

/// The image of an earlier build; `None` also if anything of it is missing or cut, so that it is made anew.
fn remembered(store: &Store, note: &Path) -> Option<Image> {
    let built: Built = serde_json::from_slice(&fs::read(note).ok()?).ok()?;
    store.image(&built.repository, &built.digest).ok()
}

async fn collect(root: NodeRoot<'_>, binaries: &WorkloadBinaries, spec: &ImageSpec) -> Result<Layer, ImageError> {
    let mut layer = Layer::default();
    furnish(&mut layer);
    let mut files = spec.files.clone();
    for program in &spec.programs {
        files.push(program.clone());
        files.extend(libraries(root.dir, program).await?);
    }
    for file in &matching(root.dir, &files) {
        if !layer.take_from(root.dir, file)? {
            return Err(ImageError::NotInNode { file: file.clone(), repository: spec.repository.clone() });
        }
    }
    for (inside, name) in &spec.binaries {
        layer.host_file(inside, &binaries.find_file(name)?, 0o755);
    }
    for (inside, mode) in &spec.dirs {
        layer.dir(inside, *mode);
    }
    for (inside, text, mode) in &spec.texts {
        layer.text(inside, text, *mode);
    }
    for (inside, target) in &spec.links {
        layer.link(inside, target);
    }
    Ok(layer)
}

/// The files, with each one that ends in `*` replaced by what begins like it: folders that carry a version in their
/// names. One that nothing is like stays, to be told as missing.
fn matching(root: &Path, files: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for file in files {
        let Some((dir, start)) = file.strip_suffix('*').and_then(|f| f.rsplit_once('/')) else {
            out.push(file.clone());
            continue;
        };
        let names = fs::read_dir(root.join(dir.trim_start_matches('/'))).into_iter().flatten().flatten();
        let names = names.filter_map(|e| e.file_name().into_string().ok()).filter(|n| n.starts_with(start));
        let before = out.len();
        out.extend(names.map(|n| format!("{dir}/{n}")));
        if out.len() == before {
            out.push(file.clone());
        }
    }
    out
}

/// What each image has: the places that engines mount on (made by the engine they would show up in every checkpoint as
/// changes of the root), and the one user there is. Other users than root cannot be dumped without CAP_SYS_RESOURCE.
fn furnish(layer: &mut Layer) {
    for (dir, mode) in [("dev", 0o755), ("proc", 0o555), ("sys", 0o555), ("run", 0o755), ("tmp", 0o1777)] {
        layer.dir(dir, mode);
    }
    for file in ["etc/hosts", "etc/hostname", "etc/resolv.conf"] {
        layer.text(file, "", 0o644);
    }
    layer.text("etc/passwd", "root:x:0:0:root:/:/bin/sh\n", 0o644);
    layer.text("etc/group", "root:x:0:\n", 0o644);
}

#[cfg(test)]
mod tests {
    use super::{ImageError, WorkloadBinaries, needs_loader};
    use std::fs;

    #[test]
    fn a_program_that_needs_a_loader_is_refused_before_it_is_put_into_an_image() {
        let dir = tempfile::tempdir().expect("a folder");
        // The test itself is dynamic.
        let own = std::env::current_exe().expect("this program");
        fs::copy(own, dir.path().join("counter")).expect("copied");
        let binaries = WorkloadBinaries { dir: dir.path().to_owned() };
        let error = binaries.find_file("counter").expect_err("it is dynamic");
        assert!(matches!(error, ImageError::NotStatic { .. }), "{error}");
        assert!(matches!(binaries.find_file("memory"), Err(ImageError::NoBinary { .. })));
    }

    #[test]
    fn headers_that_make_no_sense_ask_for_nothing() {
        let mut head = vec![0_u8; 128];
        assert!(!needs_loader(&head));
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[0x20..0x28].copy_from_slice(&u64::MAX.to_le_bytes());
        head[0x38..0x3a].copy_from_slice(&u16::MAX.to_le_bytes());
        assert!(!needs_loader(&head) && !needs_loader(&head[..8]));
    }
}
