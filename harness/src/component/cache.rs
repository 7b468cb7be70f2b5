use super::Progress;
use super::error::ComponentError;
use super::spec::NodeImageSpec;
use crate::ledger::{Ledger, UNFINISHED_IMAGE};
use crate::record::Millis;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// The user's cache folder: node images by the content they came to.
///
/// - `images/<content key>/`: `rootfs/`, `image.json`, and `in-use`, a file that users of the image hold a shared lock
///   on, so that nobody prunes it under them;
/// - `components/<key>/`: a program that was built, and `component.json`;
/// - `specs/<spec key>.json`: to which content a description came last;
/// - `locks/<spec key>`: held by the one that makes it.
#[derive(Clone, Debug)]
pub struct Cache {
    dir: PathBuf,
    ledger: Option<Arc<Ledger>>,
}

/// What a description came to.
#[derive(Debug, Serialize, Deserialize)]
struct Pointer {
    /// The description's name, so that what an older podferry made of it can be told.
    name: String,
    key: String,
}

impl Cache {
    /// The user's cache: `$PODFERRY_CACHE`, else `$XDG_CACHE_HOME/podferry`, else `~/.cache/podferry`.
    pub fn of_user() -> Cache {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let home = || std::env::home_dir().unwrap_or_else(|| PathBuf::from("/root"));
        let dir = absolute("PODFERRY_CACHE")
            .or_else(|| absolute("XDG_CACHE_HOME").map(|d| d.join("podferry")))
            .unwrap_or_else(|| home().join(".cache/podferry"));
        Cache::at(dir)
    }

    /// A cache in a folder of one's choice.
    pub fn at(dir: impl Into<PathBuf>) -> Cache {
        Cache { dir: dir.into(), ledger: None }
    }

    /// Notes unfinished images in the run's ledger too. Without it they are still found, by the next one that makes the
    /// same image.
    #[must_use]
    pub fn with_ledger(self, ledger: Arc<Ledger>) -> Cache {
        Cache { ledger: Some(ledger), ..self }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn images(&self) -> PathBuf {
        self.dir.join("images")
    }

    fn pointer(&self, spec_key: &str) -> PathBuf {
        self.dir.join("specs").join(format!("{spec_key}.json"))
    }

    /// The folder of the image that a description came to last, held against pruning; `None` if there is none.
    pub(super) fn find(&self, spec_key: &str) -> Option<Held> {
        let bytes = fs::read(self.pointer(spec_key)).ok()?;
        let pointer: Pointer = serde_json::from_slice(&bytes).ok()?;
        Held::of(self.images().join(pointer.key)).ok().flatten()
    }

    /// Waits for the right to make `what`: `node image sid`. The wait ends with the one that makes it: a lock dies with its
    /// process.
    pub(super) async fn lock(
        &self,
        spec_key: &str,
        what: &str,
        progress: &dyn Progress,
    ) -> Result<File, ComponentError> {
        for sub in ["images", "specs", "locks", PROGRAMS] {
            let dir = self.dir.join(sub);
            fs::create_dir_all(&dir).map_err(ComponentError::io("can't make", &dir))?;
        }
        let path = self.dir.join("locks").join(spec_key);
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(ComponentError::io("can't make", &path))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(ComponentError::io("can't lock", &path)(e)),
        }
        progress.say(&format!("{what}: another run is making it; waiting for it to be done"));
        let from = Instant::now();
        let (send, done) = tokio::sync::oneshot::channel();
        // A thread of its own and not one of the runtime's: an interrupted run does not have to wait for it.
        std::thread::spawn(move || {
            let locked = file.lock().map(|()| file);
            let _ = send.send(locked);
        });
        let locked = done.await.unwrap_or_else(|_| Err(io::Error::other("the waiting thread died")));
        let file = locked.map_err(ComponentError::io("can't lock", &path))?;
        progress.say(&format!("{what}: the other run is done after {}", Millis::from(from.elapsed())));
        Ok(file)
    }

    /// An empty folder to make an image in; the caller holds the lock for it, so what is there is of a dead run.
    pub(super) fn unfinished(&self, spec_key: &str, progress: &dyn Progress) -> Result<Unfinished, ComponentError> {
        self.unfinished_in("images", "node image", spec_key, progress)
    }

    /// Likewise for a program that is built.
    pub(super) fn unfinished_program(&self, key: &str, progress: &dyn Progress) -> Result<Unfinished, ComponentError> {
        self.unfinished_in(PROGRAMS, "component", key, progress)
    }

    fn unfinished_in(
        &self,
        folder: &str,
        what: &str,
        key: &str,
        progress: &dyn Progress,
    ) -> Result<Unfinished, ComponentError> {
        let dir = self.dir.join(folder).join(format!("{UNFINISHED}{key}"));
        if dir.exists() {
            progress.say(&format!("{what}: removing what an interrupted run had begun"));
            fs::remove_dir_all(&dir).map_err(ComponentError::io("can't remove", &dir))?;
        }
        let unfinished = Unfinished { dir, ledger: self.ledger.clone() };
        if let Some(ledger) = &self.ledger {
            let claim = ledger.claim(UNFINISHED_IMAGE, &unfinished.name());
            claim.map_err(ComponentError::io("can't write the ledger", ledger.path()))?;
        }
        fs::create_dir(&unfinished.dir).map_err(ComponentError::io("can't make", &unfinished.dir))?;
        Ok(unfinished)
    }

    /// The folder of a program that was built, by the key of all that it is made of.
    pub(super) fn program(&self, key: &str) -> PathBuf {
        self.dir.join(PROGRAMS).join(key)
    }

    /// Puts a program that was built in its place. The caller holds the lock for it.
    pub(super) fn publish_program(&self, key: &str, unfinished: &Unfinished) -> Result<(), ComponentError> {
        let place = self.program(key);
        let no = || ComponentError::io("can't put in place", &place);
        if place.exists() {
            fs::remove_dir_all(&place).map_err(no())?;
        }
        fs::rename(&unfinished.dir, &place).map_err(no())
    }

    /// Puts a finished image in its place. One of the same content that is there already goes.
    pub(super) fn publish(
        &self,
        spec: &NodeImageSpec,
        spec_key: &str,
        key: &str,
        unfinished: Unfinished,
    ) -> Result<Held, ComponentError> {
        let place = self.images().join(key);
        let no = |path: &Path| ComponentError::io("can't put in place", path);
        let in_use = unfinished.dir.join(IN_USE);
        File::create(&in_use).map_err(no(&in_use))?;
        // Held before it is seen: it has no pointer yet, and a prune would take it for an old one.
        let mut held = Held::of(unfinished.dir.clone()).map_err(no(&in_use))?.expect("nobody else knows it");
        // One at a time: a prune that removed a folder by its name would remove half of one that came there meanwhile.
        let _turn = self.turn()?;
        if place.exists() {
            let old = self.images().join(format!(".old-{key}-{}-{}", std::process::id(), nanos()));
            fs::rename(&place, &old).map_err(no(&place))?;
        }
        fs::rename(&unfinished.dir, &place).map_err(no(&place))?;
        held.dir = place;
        let pointer = Pointer { name: spec.name.clone(), key: key.to_owned() };
        let path = self.pointer(spec_key);
        let json = serde_json::to_vec(&pointer).expect("plain strings are JSON");
        write_whole(&path, &json).map_err(no(&path))?;
        self.prune(&spec.name, spec_key)?;
        Ok(held)
    }

    /// Held while images are put in their place and removed, whatever description they are of. It takes a second at most.
    fn turn(&self) -> Result<File, ComponentError> {
        let path = self.dir.join("locks").join("images");
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(ComponentError::io("can't make", &path))?;
        file.lock().map_err(ComponentError::io("can't lock", &path))?;
        Ok(file)
    }

    /// Removes what other versions of podferry, or other contents of the file, made of this name, and every image that
    /// no description comes to and nobody uses.
    fn prune(&self, name: &str, spec_key: &str) -> Result<(), ComponentError> {
        let mut keep = Vec::new();
        for path in entries(&self.dir.join("specs"))? {
            let pointer = fs::read(&path).ok().and_then(|b| serde_json::from_slice::<Pointer>(&b).ok());
            match pointer {
                Some(p) if p.name != name || path == self.pointer(spec_key) => keep.push(p.key),
                _ => fs::remove_file(&path).map_err(ComponentError::io("can't remove", &path))?,
            }
        }
        for path in entries(&self.images())? {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            if file.starts_with(UNFINISHED) || keep.iter().any(|k| *k == file) {
                continue;
            }
            let lock = OpenOptions::new().write(true).open(path.join(IN_USE)).ok();
            if lock.as_ref().is_none_or(|lock| lock.try_lock().is_ok()) {
                fs::remove_dir_all(&path).map_err(ComponentError::io("can't remove", &path))?;
            }
        }
        Ok(())
    }
}

const IN_USE: &str = "in-use";
const UNFINISHED: &str = ".unfinished-";
/// Where programs lie that were built, each in a folder of its own.
const PROGRAMS: &str = "components";

/// Removes the unfinished node image of a dead run (claim kind [`UNFINISHED_IMAGE`]; `path` is the claim's name), unless
/// another run is making that image now: then it did so already, and what is there is its own.
///
/// # Errors
/// The path is not one of an unfinished image, or can't be removed.
pub fn sweep_unfinished(path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let spec_key = name.strip_prefix(UNFINISHED).filter(|_| path.is_absolute());
    let cache = path.parent().and_then(Path::parent);
    let (Some(spec_key), Some(cache)) = (spec_key, cache) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no unfinished node image"));
    };
    if !path.exists() {
        return Ok(());
    }
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(cache.join("locks").join(spec_key))?;
    match lock.try_lock() {
        Ok(()) => fs::remove_dir_all(path),
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// An image's folder, which nobody prunes as long as this value lives.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) dir: PathBuf,
    _lock: File,
}

impl Held {
    fn of(dir: PathBuf) -> io::Result<Option<Held>> {
        let path = dir.join(IN_USE);
        let lock = File::open(&path)?;
        match lock.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(e),
        }
        // A prune, or a newer image of the same content, may have come between the opening and the locking.
        let same = fs::metadata(&path).is_ok_and(|there| lock.metadata().is_ok_and(|held| held.ino() == there.ino()));
        Ok(same.then_some(Held { dir, _lock: lock }))
    }
}

/// A folder in which an image is made; it goes unless it is published.
pub(super) struct Unfinished {
    pub(super) dir: PathBuf,
    ledger: Option<Arc<Ledger>>,
}

impl Unfinished {
    fn name(&self) -> String {
        self.dir.display().to_string()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let gone = match fs::remove_dir_all(&self.dir) {
            Err(e) => e.kind() == io::ErrorKind::NotFound,
            Ok(()) => true,
        };
        // What is still there stays in the ledger, and the next start tries again.
        if let Some(ledger) = self.ledger.as_ref().filter(|_| gone) {
            let _ = ledger.release(UNFINISHED_IMAGE, &self.name());
        }
    }
}

fn nanos() -> i128 {
    jiff::Timestamp::now().as_nanosecond()
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, ComponentError> {
    let no = || ComponentError::io("can't read", dir);
    let read: io::Result<Vec<_>> = fs::read_dir(dir).map_err(no())?.map(|e| e.map(|e| e.path())).collect();
    read.map_err(no())
}

/// Writes a file so that readers see the old content or the new, never half.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut new = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    new.write_all(content)?;
    new.as_file().sync_data()?;
    new.persist(path).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests;
