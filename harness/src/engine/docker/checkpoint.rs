//! Freezing, thawing, and checkpoints.

use super::client::Said;
use super::{Inner, config, containers, leftovers};
use crate::engine::criu_log;
use crate::engine::meta::Meta;
use crate::engine::runc::classify::During;
use crate::engine::{Checkpoint, Container, EngineError};
use crate::record::{EngineKind, ErrorClass};
use bollard::container::CreateCheckpointOptions;
use bollard::models::ContainerStateStatusEnum as State;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

impl Inner {
    pub(super) async fn freeze(&self, container: &Container) -> Result<(), EngineError> {
        let (id, what) = (&container.id, format!("freeze container {}", container.slot.spec.name));
        let turn = self.turn(id);
        let _turn = turn.lock().await;
        if self.state(id, During::Control, &what).await? != Some(State::PAUSED) {
            self.call(During::Control, &what, self.docker().pause_container(id)).await?;
        }
        self.lock(&self.frozen).insert(id.clone());
        Ok(())
    }

    pub(super) async fn thaw(&self, container: &Container) -> Result<(), EngineError> {
        let (id, what) = (&container.id, format!("thaw container {}", container.slot.spec.name));
        let turn = self.turn(id);
        let _turn = turn.lock().await;
        self.lock(&self.frozen).remove(id);
        // Of one that is not there dockerd says so itself.
        if matches!(self.state(id, During::Control, &what).await?, Some(State::PAUSED) | None) {
            self.call(During::Control, &what, self.docker().unpause_container(id)).await?;
        }
        Ok(())
    }

    /// Thaws all that is frozen and that nobody froze: a checkpoint did, and broke off.
    pub(super) async fn thaw_forgotten(&self) -> Result<(), EngineError> {
        let all = bollard::query_parameters::ListContainersOptions::default();
        let running = self.call(During::Control, "list containers", self.docker().list_containers(Some(all))).await?;
        for id in running.into_iter().filter_map(|container| container.id) {
            let what = format!("thaw container {id}");
            let frozen = self.state(&id, During::Control, &what).await? == Some(State::PAUSED);
            if frozen && !self.lock(&self.frozen).contains(&id) {
                self.call(During::Control, &what, self.docker().unpause_container(&id)).await?;
            }
        }
        Ok(())
    }

    /// Takes a checkpoint. Never with `exit`: dockerd has been seen to kill the container and to lose the checkpoint
    /// (`content sha256:...: already exists`, 26.1.5). It has no deadline and is not given up.
    ///
    /// dockerd keeps it in the container's folder, which goes with the container. So it is moved out of there: its files get
    /// a second name, and dockerd is told to delete it.
    pub(super) async fn checkpoint(&self, container: &Container, name: &str) -> Result<Checkpoint, EngineError> {
        let what = format!("checkpoint container {}", container.slot.spec.name);
        let turn = self.turn(&container.id);
        let _turn = turn.lock().await;
        let path = Path::new(config::CHECKPOINTS).join(name);
        let folder = self.host(&path);
        fs::create_dir(&folder).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => {
                let message = format!("can't {what}: there is a checkpoint {name} at {}", path.display());
                EngineError::new(ErrorClass::NameTaken, message)
            }
            _ => self.surroundings(&what, e),
        })?;
        let before = self.state(&container.id, During::Checkpoint, &what).await;
        let was_frozen = matches!(before, Ok(Some(State::PAUSED)));
        let taken = self.take(container, name, &folder, &what).await;
        let Err(mut error) = taken else {
            return Ok(Checkpoint {
                name: name.to_owned(),
                engine: EngineKind::Docker,
                path,
                archive: false,
                shared: false,
            });
        };
        self.put_back(container, was_frozen, &mut error).await;
        // What cannot be removed shows up among what is left.
        let _ = fs::remove_dir_all(&folder);
        Err(error)
    }

    async fn take(&self, container: &Container, name: &str, folder: &Path, what: &str) -> Result<(), EngineError> {
        let busy = self.under_way();
        let log = self.host(containers::criu_file(&container.slot.spec.name, "log"));
        // Left there, it would be taken for this one's if CRIU never starts.
        let _ = fs::remove_file(&log);
        let options = CreateCheckpointOptions { checkpoint_id: name.to_owned(), checkpoint_dir: None, exit: false };
        let taken = self.docker().create_checkpoint(&container.id, options).await;
        if let Err(e) = taken {
            let lines = criu_log::errors(&criu_log::ends(&log));
            let error = self.error(During::Checkpoint, what, &Said::of(&e), lines);
            drop(busy);
            self.clear_tmp();
            return Err(error);
        }
        let kept = self.kept(container, name);
        link_all(&kept, &folder.join("checkpoint")).map_err(|e| self.surroundings(what, e))?;
        let meta = Meta::of(container, &self.capabilities.version, false);
        meta.write(folder).map_err(|e| self.surroundings(what, e))?;
        let what = format!("{what}: delete what dockerd keeps of it");
        self.call(During::Checkpoint, &what, self.docker().delete_checkpoint(&container.id, name, None)).await
    }

    /// Where dockerd keeps a checkpoint of a container, on the host.
    pub(super) fn kept(&self, container: &Container, name: &str) -> PathBuf {
        self.host(format!("{}/containers/{}/checkpoints/{name}", config::ROOT, container.id))
    }

    /// After a failure: the container is frozen if it was, and else runs.
    async fn put_back(&self, container: &Container, was_frozen: bool, error: &mut EngineError) {
        let what = format!("put container {} back", container.slot.spec.name);
        let mended = match self.state(&container.id, During::Control, &what).await {
            Ok(Some(State::PAUSED)) if !was_frozen => {
                self.call(During::Control, &what, self.docker().unpause_container(&container.id)).await
            }
            Ok(Some(State::RUNNING)) if was_frozen => {
                self.call(During::Control, &what, self.docker().pause_container(&container.id)).await
            }
            Ok(_) => Ok(()),
            Err(e) => Err(e),
        };
        if let Err(e) = mended {
            let state = if was_frozen { "running" } else { "frozen" };
            error.log.push(format!("the container may be {state} now: {}", e.message));
        }
    }

    /// Removes what containerd has forgotten, once nothing is under way that may need it.
    pub(super) fn clear_tmp(&self) {
        if self.idle() {
            leftovers::empty_tmp(&self.node);
        }
    }
}

/// Gives every file of a folder a second name in another, which is made. They must be on one file system.
pub(super) fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::hard_link(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
