//! Freezing, thawing, and checkpoints.

use super::call::{Inner, Supervised};
use super::classify::During;
use super::config;
use crate::engine::failing::io_error;
use crate::engine::group::freezing;
use crate::engine::kernel::Freezer;
use crate::engine::watchdog::Patience;
use crate::engine::{Checkpoint, Container, EngineError};
use crate::node::processes;
use crate::record::{CriuChoices, ErrorClass};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How often a dump is tried again that CRIU gave up since a task would not be seized.
const AGAIN: u32 = 2;

/// How long a task may take to come out of the kernel once it is thawed, and how often it is looked at: there is no event.
const STIRS: Duration = Duration::from_secs(2);
const GLANCE: Duration = Duration::from_millis(2);

/// The task that CRIU could not seize. A task that was frozen while it waits in the kernel for another one (a shell for the
/// child that is to become a program) is not seized by CRIU, which waits for it for 10 s and gives up (crun 1.28 and runc
/// 1.3.6 under podman 5.8.6, criu 4.2.1; seen four times, of shells that start programs all the while). Nothing was dumped
/// then, and the source is as it was.
fn unseizable(e: &EngineError) -> Option<u32> {
    e.log.iter().find_map(|line| {
        let (_, rest) = line.split_once("Unseizable non-zombie ")?;
        rest.split_once(' ')?.0.parse().ok()
    })
}

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
            self.stirs(task).await;
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

    /// Waits until a task that was thawed has come out of the kernel: frozen again at once, it would be where it was.
    async fn stirs(&self, task: u32) {
        let end = Instant::now() + STIRS;
        while processes(&self.node).get(&task).is_some_and(|process| process.uninterruptible) && Instant::now() < end {
            tokio::time::sleep(GLANCE).await;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_that_criu_could_not_seize_is_named() {
        let line =
            "(10.003569) Error (compel/src/lib/infect.c:262): Unseizable non-zombie 1223 found, state D, err -1/4";
        let error =
            |log: &str| EngineError { log: vec![log.to_owned()], ..EngineError::new(ErrorClass::DumpFailed, "x") };
        assert_eq!(unseizable(&error(line)), Some(1223));
        assert_eq!(unseizable(&error("(0.1) Error (criu/cr-dump.c:1975): Dumping FAILED.")), None);
    }
}
