//! Freezing, thawing, and checkpoints.

use super::call::{Inner, Supervised};
use super::classify::During;
use super::config;
use crate::engine::failing::io_error;
use crate::engine::group::freezing;
use crate::engine::kernel::Freezer;
use crate::engine::unseizable::{AGAIN, stirs, unseizable};
use crate::engine::watchdog::Patience;
use crate::engine::{Checkpoint, Container, EngineError};
use crate::record::{CriuChoices, ErrorClass};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

impl Inner {
    fn freezer(&self, what: &str, container: &Container) -> Result<Freezer, EngineError> {
        self.group(&container.id).freezer().ok_or_else(|| self.no_tasks(what, container))
    }

    /// podman keeps a container that has ended, or was never started; nothing is left of one that was removed.
    fn no_tasks(&self, what: &str, container: &Container) -> EngineError {
        let (name, node) = (&container.slot.spec.name, self.node.name());
        if self.host(&self.userdata(&container.id)).exists() {
            let text = format!("can't {what} container {name} on node {node}: it is not running");
            return EngineError::new(ErrorClass::NotRunning, text);
        }
        let text = format!("can't {what} container {name}: there is none of this name on node {node}");
        EngineError::new(ErrorClass::UnknownContainer, text)
    }

    /// Whether it was frozen by itself: when its whole node stands still, it stands still too.
    fn told_to_freeze(&self, what: &str, container: &Container) -> Result<bool, EngineError> {
        self.freezer(what, container)?.told().map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => self.no_tasks(what, container),
            _ => {
                let name = &container.slot.spec.name;
                EngineError::new(ErrorClass::Surroundings, format!("can't read the freezer of container {name}: {e}"))
            }
        })
    }

    /// By the kernel's freezer, and podman is told nothing: what `podman pause` froze it would not checkpoint.
    pub(super) async fn freeze(&self, container: &Container) -> Result<(), EngineError> {
        let freezer = self.freezer("freeze", container)?;
        // podman takes the group of a container away some time after it has said that the container has ended.
        if freezer.is_empty().unwrap_or(true) {
            return Err(self.no_tasks("freeze", container));
        }
        let frozen = match freezer.freeze() {
            Ok(()) => freezer.settled().await,
            Err(e) => Err(e),
        };
        frozen.map_err(|e| {
            // It may be gone.
            let _ = freezer.thaw();
            freezing(&container.slot.spec.name, &e)
        })
    }

    pub(super) fn thaw(&self, container: &Container) -> Result<(), EngineError> {
        self.freezer("thaw", container)?.thaw().map_err(|e| {
            let name = &container.slot.spec.name;
            EngineError::new(ErrorClass::Surroundings, format!("can't thaw container {name}: {e}"))
        })
    }

    pub(super) async fn checkpoint(&self, container: &Container, name: &str) -> Result<Checkpoint, EngineError> {
        let spec = &container.slot.spec;
        let what = format!("can't checkpoint container {} on node {}", spec.name, self.node.name());
        let able = self.capabilities.checkpoint.clone();
        able.map_err(|reason| EngineError::new(ErrorClass::CriuMissing, format!("{what}: {reason}")))?;
        let path = self.checkpoints().join(format!("{name}.tar"));
        let archive = self.host(&path);
        if archive.exists() {
            let text = format!("there is a checkpoint {name} at {}", path.display());
            return Err(EngineError::new(ErrorClass::NameTaken, text));
        }
        let was_frozen = self.told_to_freeze("checkpoint", container)?;
        if !was_frozen {
            // podman would write the changes of the root when the container runs again, and CRIU would freeze it in
            // steps of 100 ms on cgroup v1.
            self.freeze(container).await?;
        }
        let mut dumped = self.dump(container, name, &path, &what).await;
        for _ in 0..AGAIN {
            let Some(task) = dumped.as_ref().err().and_then(unseizable) else { break };
            let _ = fs::remove_file(&archive);
            // What a fenced source acknowledges in between is in the next dump.
            self.thaw(container)?;
            stirs(&self.node, task).await;
            self.freeze(container).await?;
            dumped = self.dump(container, name, &path, &what).await;
        }
        // The thaw comes first: whatever podman said, a container that ran goes on running.
        let put_back = if was_frozen { self.freeze(container).await } else { self.thaw(container) };
        self.drop_images(&container.id);
        if let Err(e) = dumped.and(put_back) {
            // The error counts; what cannot be removed shows up among what is left.
            let _ = fs::remove_file(&archive);
            return Err(e);
        }
        Ok(Checkpoint { name: name.to_owned(), engine: self.kind, path, archive: true, shared: false })
    }

    async fn dump(&self, container: &Container, name: &str, path: &Path, what: &str) -> Result<(), EngineError> {
        let spec = &container.slot.spec;
        let options = self.options_of(container);
        let turn = self.turn(&options);
        let _turn = turn.lock().await;
        let log = format!("{}-dump-{name}", spec.name);
        self.write_options(&options, &spec.criu, &log)?;
        let mut args: Vec<String> =
            ["container", "checkpoint", "--leave-running", "--compress", "none"].map(str::to_owned).to_vec();
        args.extend(["--export".to_owned(), path.display().to_string(), container.id.clone()]);
        let call = Supervised {
            what,
            during: During::Checkpoint,
            netns: &container.slot.handle,
            args,
            container: &spec.name,
            log: &log,
            patience: Patience::Time(self.limits.checkpoint),
        };
        self.supervised(call).await.map(drop)
    }

    /// Where CRIU's options of a container are.
    fn options_of(&self, container: &Container) -> PathBuf {
        let known = self.options.lock().unwrap_or_else(PoisonError::into_inner).get(&container.id).cloned();
        known.unwrap_or_else(|| self.home.join("criu").join(format!("{}.conf", container.slot.spec.name)))
    }

    pub(super) fn write_options(&self, file: &Path, choices: &CriuChoices, log: &str) -> Result<(), EngineError> {
        self.write(file, &config::criu(choices, self.network_lock, &self.criu_log(log)))
    }

    /// podman keeps CRIU's images beside the archive, to restore in place: the container's memory once more, in memory.
    fn drop_images(&self, id: &str) {
        let images = self.host(&self.userdata(id).join("checkpoint"));
        if let Err(e) = fs::remove_dir_all(&images)
            && e.kind() != io::ErrorKind::NotFound
        {
            // It goes with the container.
            drop(io_error("remove", &images, &e));
        }
    }
}
