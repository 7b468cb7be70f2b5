//! Freezing, thawing, and checkpoints.

use super::classify::During;
use super::runtime::{Inner, Supervised, blocking, exec_error, io_error};
use crate::engine::meta::Meta;
use crate::engine::unseizable::{AGAIN, stirs, unseizable};
use crate::engine::watchdog::Patience;
use crate::engine::{Checkpoint, Container, EngineError, group, layers};
use crate::record::{ErrorClass, OutsideReport, Trick};
use std::fs;
use std::io;
use std::path::Path;

/// The name of the folder for the logs of a dump.
pub(super) fn dump_logs(id: &str, name: &str) -> String {
    format!("{id}-dump-{name}")
}

/// What becomes of a container after its dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It is as it was: frozen, or running.
    GoesOn,
    /// CRIU kills it.
    Ends,
}

/// How a container is dumped.
pub(super) struct Dump<'a> {
    /// Whether it is frozen already.
    pub(super) was_frozen: bool,
    pub(super) after: After,
    /// Images of an earlier dump, as seen from the new images' folder: what did not change since is left out.
    pub(super) parent: Option<&'a str>,
}

impl Inner {
    fn unknown(&self, what: &str, name: &str) -> EngineError {
        let text = format!("can't {what} container {name}: there is none of this name on node {}", self.node.name());
        EngineError::new(ErrorClass::UnknownContainer, text)
    }

    pub(super) fn frozen(&self, what: &str, name: &str) -> Result<bool, EngineError> {
        let freezer = self.freezer(name).ok_or_else(|| self.unknown(what, name))?;
        freezer.frozen().map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => self.unknown(what, name),
            _ => EngineError::new(ErrorClass::Surroundings, format!("can't read the freezer of container {name}: {e}")),
        })
    }

    pub(super) async fn freeze(&self, name: &str) -> Result<(), EngineError> {
        if self.frozen("freeze", name)? {
            return Ok(());
        }
        self.freeze_itself(name).await?;
        match self.stands_still(name).await {
            Ok(()) => Ok(()),
            Err(e) => self.thaw_for_sure(name).await.and(Err(e)),
        }
    }

    /// By the runtime, which may come back before the kernel has done it.
    pub(super) async fn freeze_itself(&self, name: &str) -> Result<(), EngineError> {
        let what = format!("can't freeze container {name}");
        self.call(&["pause", name], During::Control, &what).await.map(drop)
    }

    /// crun returns from `pause` while a group of version 1 is still `FREEZING` (crun 1.28, on a busy machine).
    pub(super) async fn stands_still(&self, name: &str) -> Result<(), EngineError> {
        let freezer = self.freezer(name).ok_or_else(|| self.unknown("freeze", name))?;
        freezer.settled().await.map_err(|e| group::freezing(name, &e))
    }

    pub(super) async fn thaw(&self, name: &str) -> Result<(), EngineError> {
        if !self.frozen("thaw", name)? {
            return Ok(());
        }
        let what = format!("can't thaw container {name}");
        self.call(&["resume", name], During::Control, &what).await.map(drop)
    }

    pub(super) async fn checkpoint(
        &self,
        container: &Container,
        name: &str,
        after: After,
    ) -> Result<Checkpoint, EngineError> {
        self.capabilities.checkpoint.clone().map_err(|reason| {
            EngineError::new(ErrorClass::CriuMissing, format!("can't checkpoint container {}: {reason}", container.id))
        })?;
        let was_frozen = self.frozen("checkpoint", &container.id)?;
        let path = self.checkpoints.join(name);
        self.make_checkpoint(&path, name)?;
        let mut dumped = self.dump(container, name, &path, Dump { was_frozen, after, parent: None }).await;
        for _ in 0..AGAIN {
            // One that others have frozen is theirs to thaw.
            let Some(task) = dumped.as_ref().err().and_then(unseizable).filter(|_| !was_frozen) else { break };
            self.thaw_for_sure(&container.id).await?;
            stirs(&self.node, task).await;
            dumped = self.dump(container, name, &path, Dump { was_frozen, after, parent: None }).await;
        }
        // The thaw comes first: whatever the dump said, a container that ran goes on running.
        let thawed = match (after, &dumped) {
            (After::Ends, Ok(())) => Ok(()),
            _ if was_frozen => Ok(()),
            _ => self.thaw_for_sure(&container.id).await,
        };
        if let Err(e) = dumped.and(thawed) {
            let e = self.never_started(container, e).await;
            // The error counts; what cannot be removed shows up among what is left.
            let _ = fs::remove_dir_all(self.host(&path));
            return Err(e);
        }
        let shared = self.node.shared_dir().is_some();
        Ok(Checkpoint { name: name.to_owned(), engine: self.kind, path, archive: false, shared })
    }

    /// The folder of a checkpoint, which must not be there.
    pub(super) fn make_checkpoint(&self, path: &Path, name: &str) -> Result<(), EngineError> {
        let folder = self.host(path);
        fs::create_dir(&folder).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => {
                EngineError::new(ErrorClass::NameTaken, format!("there is a checkpoint {name} at {}", path.display()))
            }
            _ => io_error("make", &folder, &e),
        })
    }

    /// runc 1.3 dumps a container that was made and not started like any other, and CRIU fails at the runtime's own first
    /// process (`Can't lookup mount=149 for fd=-3 path=/runc`).
    async fn never_started(&self, container: &Container, e: EngineError) -> EngineError {
        let created = |seen: &OutsideReport| seen.engine_state == "created";
        if e.class != ErrorClass::DumpFailed || !matches!(self.inspect(container).await, Ok(Some(s)) if created(&s)) {
            return e;
        }
        let message = format!("{} (the container was made and not started)", e.message);
        EngineError { class: ErrorClass::NotRunning, message, ..e }
    }

    /// By the runtime, and if that fails, by the freezer's own file.
    pub(super) async fn thaw_for_sure(&self, name: &str) -> Result<(), EngineError> {
        match self.thaw(name).await {
            Ok(()) => Ok(()),
            Err(e) => match self.freezer(name).map(|f| f.thaw()) {
                Some(Ok(())) => Ok(()),
                _ => Err(e),
            },
        }
    }

    /// The container is frozen by the runtime before the dump: CRIU freezes it in steps of 100 ms on cgroup v1, and
    /// finds it frozen so (criu 4.2.1). The changes of its root are written while CRIU writes its memory.
    ///
    /// With [`Trick::PauseFirst`] left out CRIU freezes it, and the changes are written when the dump has ended: of a container
    /// that goes on then, files may be newer than memory.
    pub(super) async fn dump(
        &self,
        container: &Container,
        name: &str,
        path: &Path,
        Dump { was_frozen, after, parent }: Dump<'_>,
    ) -> Result<(), EngineError> {
        let id = &container.id;
        let logs = self.home.join("logs").join(dump_logs(id, name));
        let images = path.join("checkpoint");
        self.make_folder(&images)?;
        self.make_folder(&logs)?;
        self.write_meta(container, path)?;
        let stands = was_frozen || container.slot.spec.does(Trick::PauseFirst);
        if stands && !was_frozen {
            self.freeze(id).await?;
        }
        self.warm_or_cold(&container.slot.spec);
        let diff = self.write_changes(container, path);
        let what = format!("can't checkpoint container {id} on node {}", self.node.name());
        let mut args = vec!["checkpoint".to_owned()];
        args.extend((after == After::GoesOn).then(|| "--leave-running".to_owned()));
        args.extend(parent.into_iter().flat_map(|parent| ["--parent-path".to_owned(), parent.to_owned()]));
        args.extend(["--image-path".to_owned(), images.display().to_string()]);
        args.extend(["--work-path".to_owned(), logs.display().to_string(), id.clone()]);
        let dump = self.supervised(Supervised {
            program: self.kind.name(),
            what: &what,
            during: During::Checkpoint,
            args,
            container: id,
            folder: &logs,
            out: None,
            criu_log: Some("dump.log"),
            patience: Patience::Watch(self.limits.dump),
        });
        // Both are waited for, also when one fails: nobody may write on while the folder is removed.
        let (diff, dump) = match stands {
            true => tokio::join!(diff, dump),
            false => {
                let dump = dump.await;
                (diff.await, dump)
            }
        };
        dump.and(diff)?;
        let (from, to) = (self.host(&logs.join("stats-dump")), self.host(&path.join("stats-dump")));
        fs::copy(&from, &to).map(drop).map_err(|e| io_error("copy", &from, &e))
    }

    /// Writes what the container changed of its root.
    pub(super) async fn write_changes(&self, container: &Container, path: &Path) -> Result<(), EngineError> {
        let (upper, diff) =
            (self.host(&self.folder(&container.id).join("upper")), self.host(&path.join("rootfs-diff.tar")));
        blocking(move || layers::write_diff(&upper, &diff).map_err(|e| io_error("write", &diff, &e))).await
    }

    pub(super) fn write_meta(&self, container: &Container, path: &Path) -> Result<(), EngineError> {
        let folder = self.host(path);
        let meta = Meta::of(container, &self.capabilities.version, true);
        meta.write(&folder).map_err(|e| io_error("write meta.json in", &folder, &e))
    }

    /// Thaws, kills and deletes what a failed call has left of a container in the runtime's eyes; its slot stays.
    pub(super) async fn forget(&self, name: &str) {
        // runc mounts the root of a restored container here while it restores, and a folder that is removed with the
        // mount in it takes the container's files with it.
        let mount = self.state().join(name).join("criu-root");
        if self.host(&mount).exists() {
            let umount = crate::process::Exec::new("umount").arg("-l").arg(&mount);
            if let Err(e) = self.node.output(umount).await.map_err(|e| exec_error("umount", &e)) {
                drop(e);
                return;
            }
        }
        let _ = self.call(&["delete", "--force", name], During::Control, "can't delete").await;
    }
}
