//! Programs built from Go modules: pinned, with patches of the user's own if there are any, built once and cached by all
//! that they are made of.

use super::bootstrap::find_program;
use super::cache::Cache;
use super::error::ComponentError;
use super::manifest::{Pinned, Source};
use super::program::{Birth, Built, cached};
use super::spec::short_digest;
use super::{Progress, identity, staged};
use crate::process::{Exec, ExecError};
use crate::record::{ComponentRecord, Millis};
use serde::Deserialize;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Version of how things are built here: another one builds all anew.
const BUILDER: u32 = 1;

/// The whole of Kubernetes takes 12 minutes from nothing on two busy cores; fetching its sources a minute.
pub(super) const WHOLE: Duration = Duration::from_secs(90 * 60);
/// Looking at files, copying the sources of a module.
const SHORT: Duration = Duration::from_secs(300);
const TAIL_LINES: usize = 12;

/// Patches for a module: the files `*.patch` of a folder, in the order of their names, as `patch -p1` takes them in the
/// module's own folder.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Patches {
    dir: PathBuf,
    /// Name and content.
    files: Vec<(String, String)>,
}

impl Patches {
    /// Reads a folder. One without a `*.patch` is an error.
    fn read(dir: &Path) -> Result<Patches, ComponentError> {
        let read = |path: &Path| ComponentError::io("can't read", path);
        let mut files = Vec::new();
        for entry in fs::read_dir(dir).map_err(read(dir))? {
            let path = entry.map_err(read(dir))?.path();
            if path.extension().is_some_and(|e| e == "patch") {
                let text = fs::read_to_string(&path).map_err(read(&path))?;
                files.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text));
            }
        }
        files.sort();
        match files.is_empty() {
            true => Err(read(dir)(std::io::Error::new(std::io::ErrorKind::NotFound, "no file *.patch is in it"))),
            false => Ok(Patches { dir: dir.to_owned(), files }),
        }
    }

    fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

/// Those that come with podferry, name and content: without them it is not to be built.
fn shipped_patches(source: &Source) -> impl Iterator<Item = (&str, &str)> {
    source.pinned.iter().flat_map(|pinned| pinned.patches.iter().copied())
}

/// A component out of the cache, or built now: which needs Go, the network, and minutes. Two runs that need one program build
/// it once.
pub(super) async fn build(
    source: &Source,
    patches: Option<&Path>,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Built, ComponentError> {
    let patches = patches.map(Patches::read).transpose()?;
    let patches = patches.as_ref();
    let key = key(source, patches);
    if let Some(built) = cached(cache, &source.name, &key) {
        return Ok(built);
    }
    let what = format!("component {} {}", source.name, source.version);
    let _lock = cache.lock(&key, &what, progress).await?;
    // The one that held the lock before may have built it.
    match cached(cache, &source.name, &key) {
        Some(built) => Ok(built),
        None => make(source, patches, &key, cache, progress).await,
    }
}

/// Fetches the sources of a component and of all that it is made of, so that it can be built without a network.
pub(super) async fn fetch(source: &Source) -> Result<(), ComponentError> {
    let work = tempfile::tempdir().map_err(ComponentError::io("can't make", Path::new("a temporary folder")))?;
    write_module(source, work.path()).await?;
    let failed = failed(source, "its sources can't be fetched");
    go(work.path(), ["mod", "download"])?.timeout(WHOLE).run().await.map(drop).map_err(failed)
}

/// A component without patches, if the cache has it.
pub(super) fn built(source: &Source, cache: &Cache) -> Option<Built> {
    cached(cache, &source.name, &key(source, None))
}

fn key(source: &Source, patches: Option<&Patches>) -> String {
    let contents: Vec<&str> = patches.iter().flat_map(|p| p.files.iter().map(|(_, text)| text.as_str())).collect();
    short_digest(&(BUILDER, std::env::consts::ARCH, source, contents))
}

async fn make(
    source: &Source,
    patches: Option<&Patches>,
    key: &str,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Built, ComponentError> {
    let from = Instant::now();
    let Source { name, from: module, version, .. } = source;
    let unfinished = cache.unfinished_program(key, progress)?;
    let work = unfinished.dir.join("source");
    fs::create_dir(&work).map_err(ComponentError::io("can't make", &work))?;
    let said = go(&work, ["version"])?.run().await.map_err(failed(source, "Go does not run"))?.text();
    progress.say(&format!("component {name}: building it from {module}@{version} (kept in {})", cache.dir().display()));
    write_module(source, &work).await?;
    let files: Vec<(&str, &str)> = shipped_patches(source).chain(patches.iter().flat_map(|p| p.texts())).collect();
    if !files.is_empty() {
        patch(source, &files, &work).await?;
    }
    let program = unfinished.dir.join(name);
    let mut linker = "-s -w".to_owned();
    source.set.iter().for_each(|set| linker += &format!(" -X {set}"));
    let build = go(&work, ["build", "-trimpath", "-buildvcs=false", "-ldflags", &linker, "-o"])?;
    let build = build.arg(&program).arg(&source.package).timeout(WHOLE);
    build.run().await.map_err(failed(source, "it does not compile"))?;
    fs::remove_dir_all(&work).map_err(ComponentError::io("can't remove", &work))?;

    let shipped: String = shipped_patches(source).map(|(name, _)| format!(" with {name}")).collect();
    let patched = patches.map(|p| format!(" with the patches of {}", p.dir.display())).unwrap_or_default();
    let record = identify(source, &program, format!("module {module}@{version}{shipped}{patched}")).await?;
    let birth = Birth {
        go: Some(said),
        patches: files.iter().map(|(name, _)| (*name).to_owned()).collect(),
        ..Birth::now(&record, from)
    };
    let built = birth.publish(cache, key, &unfinished)?;
    progress.say(&format!("component {name}: built in {}", Millis::from(from.elapsed())));
    Ok(built)
}

/// What a program is: its own word on its version, and its digest.
pub(super) async fn identify(source: &Source, program: &Path, from: String) -> Result<ComponentRecord, ComponentError> {
    let said = Exec::new(program).args(&source.says).run().await.map_err(failed(source, "the program does not run"))?;
    let said = identity::said(&said);
    let read = ComponentError::io("can't read", program);
    let digest = File::open(program).and_then(identity::digest).map_err(read)?;
    let version = identity::version_in(&said).unwrap_or_else(|| said.lines().take(1).collect());
    Ok(ComponentRecord { name: source.name.clone(), version, source: from, digest })
}

/// The committed module, or one that is made for the version.
async fn write_module(source: &Source, dir: &Path) -> Result<(), ComponentError> {
    const NEW: &str = "module podferry.invalid/component\n\ngo 1.24.0\n";
    let (go_mod, go_sum) = match &source.pinned {
        Some(Pinned { go_mod, go_sum, .. }) => ((*go_mod).to_owned(), *go_sum),
        None if source.staged => (staged::go_mod(source, dir).await?, ""),
        None => (NEW.to_owned(), ""),
    };
    for (file, text) in [("go.mod", go_mod.as_str()), ("go.sum", go_sum)] {
        let path = dir.join(file);
        fs::write(&path, text).map_err(ComponentError::io("can't write", &path))?;
    }
    if source.pinned.is_some() {
        return Ok(());
    }
    let package = format!("{}@{}", source.package, source.version);
    let got = go(dir, ["get", "-tool", &package])?.timeout(WHOLE).run().await;
    got.map(drop).map_err(failed(source, &format!("{package} can't be fetched")))
}

/// Takes a copy of the module, patches it, and has it built in the place of the one that is fetched.
async fn patch(source: &Source, files: &[(&str, &str)], work: &Path) -> Result<(), ComponentError> {
    let dir = fetched(source, work).await?;
    let copy = work.join("patched");
    // What lies in Go's own store is read-only.
    let copying = Exec::new("cp").args(["-r", "--no-preserve=mode,ownership"]).arg(dir).arg(&copy).timeout(SHORT);
    copying.run().await.map_err(failed(source, "its sources can't be copied"))?;
    for (name, text) in files {
        // Not --batch: it takes a patch that is in already for a reversed one, and takes it out.
        let patch = Exec::new("patch").args(["-p1", "--forward", "--no-backup-if-mismatch"]).cwd(&copy);
        let applied = patch.stdin(text.as_bytes()).timeout(SHORT).run().await;
        applied.map_err(failed(source, &format!("patch {name} does not apply")))?;
    }
    let replace = format!("-replace={}=./patched", source.from);
    go(work, ["mod", "edit", &replace])?.run().await.map(drop).map_err(failed(source, "go.mod can't be changed"))
}

/// The sources of a component's module, in Go's own store: read-only.
///
/// # Errors
/// As [`build`].
pub(crate) async fn sources(name: &str) -> Result<PathBuf, ComponentError> {
    let source = super::manifest::Manifest::shipped().source(name)?;
    let work = tempfile::tempdir().map_err(ComponentError::io("can't make", Path::new("a temporary folder")))?;
    write_module(&source, work.path()).await?;
    fetched(&source, work.path()).await
}

async fn fetched(source: &Source, work: &Path) -> Result<PathBuf, ComponentError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Download {
        dir: PathBuf,
    }
    let module = format!("{}@{}", source.from, source.version);
    let fetched = go(work, ["mod", "download", "-json", &module])?.timeout(WHOLE).run().await;
    let fetched = fetched.map_err(failed(source, "its sources can't be fetched"))?.text();
    let Download { dir } = serde_json::from_str(&fetched)
        .map_err(|e| ComponentError::io("can't read", Path::new("what go says"))(e.into()))?;
    Ok(dir)
}

/// A call of Go in a folder that has a module. Static programs, and nothing of the user's own settings that changes them.
pub(super) fn go<const N: usize>(dir: &Path, args: [&str; N]) -> Result<Exec, ComponentError> {
    let remedy = "install Go 1.26 or newer (https://go.dev/dl), or give a program of your own by --component NAME=PATH";
    let go = find_program("go").or_else(|| Some(PathBuf::from("/usr/local/go/bin/go")).filter(|p| p.is_file()));
    let go = go.ok_or_else(|| ComponentError::Lacks {
        what: "go".to_owned(),
        why: "it is what components are built with".to_owned(),
        remedy: remedy.to_owned(),
    })?;
    Ok(Exec::new(go).args(args).cwd(dir).env("CGO_ENABLED", "0").env("GOWORK", "off").env("GOFLAGS", "-mod=readonly"))
}

pub(super) fn failed(source: &Source, reason: &str) -> impl FnOnce(ExecError) -> ComponentError + use<> {
    let (name, reason) = (source.name.clone(), reason.to_owned());
    move |e| {
        let lines: Vec<String> = match &e {
            ExecError::Status { tail, .. } => tail.lines().map(str::to_owned).collect(),
            other => vec![crate::record::Chain(other).to_string()],
        };
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].to_vec();
        let offline = tail.iter().any(|l| l.contains("dial tcp") || l.contains("no such host"));
        let remedy = match offline {
            true => "podferry fetches Go modules from where GOPROXY says: see `go env GOPROXY`",
            false => "the lines above say why; a program of your own is taken by --component NAME=PATH",
        };
        ComponentError::Module { name, reason, tail, remedy: remedy.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Manifest;

    fn kubelet() -> Source {
        Manifest::shipped().source("kubelet").unwrap()
    }

    fn patches(dir: &Path, text: &str) -> Patches {
        fs::write(dir.join("a.patch"), text).unwrap();
        Patches::read(dir).unwrap()
    }

    #[test]
    fn what_a_program_is_made_of_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let plain = key(&kubelet(), None);
        assert_eq!(plain, key(&kubelet(), None));
        assert_ne!(plain, key(&Manifest::shipped().source("kubectl").unwrap(), None));
        let one = key(&kubelet(), Some(&patches(dir.path(), "x")));
        let other = key(&kubelet(), Some(&patches(dir.path(), "y")));
        assert!(plain != one && one != other);
    }

    #[test]
    fn a_folder_without_patches_is_none() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("notes.txt"), "x").unwrap();
        let error = Patches::read(dir.path()).unwrap_err();
        assert!(crate::record::Chain(&error).to_string().ends_with("no file *.patch is in it"), "{error:?}");
        fs::write(dir.path().join("b.patch"), "b").unwrap();
        fs::write(dir.path().join("a.patch"), "a").unwrap();
        let names: Vec<String> = Patches::read(dir.path()).unwrap().files.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a.patch", "b.patch"]);
    }

    #[test]
    fn an_offline_failure_says_where_modules_come_from() {
        let status = ExecError::Status {
            command: "go".into(),
            code: 1,
            tail: "go: k8s.io/x: dial tcp: lookup modules.example: no such host".into(),
            output: Box::default(),
        };
        let error = failed(&kubelet(), "its sources can't be fetched")(status);
        assert!(error.hint().unwrap().contains("GOPROXY"), "{error}");
        assert!(
            error.to_string().starts_with("can't build kubelet: its sources can't be fetched\n  | go: "),
            "{error}"
        );
    }
}
