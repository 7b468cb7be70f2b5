//! Freezing, thawing, and checkpoints.

use super::{Inner, config};
use crate::engine::containerd::criu_log::Said;
use crate::engine::cri_api::During;
use crate::engine::cri_api::v1::{self as cri, ContainerState};
use crate::engine::group::{Group, freezing};
use crate::engine::kernel::Freezer;
use crate::engine::{Checkpoint, Container, EngineError, archive_file};
use crate::node::CONTAINERS;
use crate::record::{EngineKind, ErrorClass};
use std::fs;
use std::io;
use std::path::Path;

impl Inner {
    /// The freezer of a container that runs; CRI-O is asked first, and knows what the kernel cannot tell.
    async fn freezer(&self, verb: &str, container: &Container) -> Result<Freezer, EngineError> {
        let (status, _) = self.status(container).await?;
        let runs = status.state() == ContainerState::ContainerRunning;
        let freezer = self.group(container).freezer().filter(|_| runs);
        freezer.ok_or_else(|| {
            let (name, node) = (&container.slot.spec.name, self.node.name());
            let message = format!("can't {verb} container {name} on node {node}: it is not running");
            EngineError::new(ErrorClass::NotRunning, message)
        })
    }

    pub(super) async fn freeze(&self, container: &Container) -> Result<(), EngineError> {
        let turn = self.turn(&container.id);
        let _turn = turn.lock().await;
        let freezer = self.freezer("freeze", container).await?;
        self.freeze_in_turn(container, &freezer).await
    }

    async fn freeze_in_turn(&self, container: &Container, freezer: &Freezer) -> Result<(), EngineError> {
        let held = Path::new(&config::held()).join(&container.id);
        fs::write(self.host(held), "").map_err(|e| self.surroundings("note what is frozen", e))?;
        let frozen = match freezer.freeze() {
            Ok(()) => freezer.settled().await,
            Err(e) => Err(e),
        };
        frozen.map_err(|e| {
            // It may be gone.
            let _ = freezer.thaw();
            self.let_go(&container.id);
            freezing(&container.slot.spec.name, &e)
        })
    }

    pub(super) async fn thaw(&self, container: &Container) -> Result<(), EngineError> {
        let turn = self.turn(&container.id);
        let _turn = turn.lock().await;
        let freezer = self.freezer("thaw", container).await?;
        self.thaw_in_turn(container, &freezer)
    }

    fn thaw_in_turn(&self, container: &Container, freezer: &Freezer) -> Result<(), EngineError> {
        let what = format!("thaw container {}", container.slot.spec.name);
        freezer.thaw().map_err(|e| self.surroundings(&what, e))?;
        self.let_go(&container.id);
        Ok(())
    }

    /// CRI-O may know of the container again, and pause and resume it.
    pub(super) fn let_go(&self, id: &str) {
        // Not there: it was not held.
        let _ = fs::remove_file(self.host(Path::new(&config::held()).join(id)));
    }

    /// Thaws every container that is frozen and is not held: by a checkpoint that broke off.
    pub(super) fn thaw_forgotten(&self) -> Result<(), EngineError> {
        let top = ["freezer", "."].map(|h| self.host(format!("/sys/fs/cgroup/{h}{CONTAINERS}")));
        let found = top.iter().find(|folder| folder.is_dir());
        let pods = found.into_iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
        let names = pods.map(|pod| pod.file_name().to_string_lossy().into_owned());
        let prefix = format!("{}.", EngineKind::CriCrio);
        for pod in names.filter(|name| name.starts_with(&prefix)) {
            for (id, group) in self.groups_below(&format!("{CONTAINERS}/{pod}")) {
                let held = self.host(Path::new(&config::held()).join(&id)).exists();
                let freezer = Group::of(&self.node, group).freezer().filter(|_| !held);
                if let Some(freezer) = freezer.filter(|f| f.told().unwrap_or(false)) {
                    freezer.thaw().map_err(|e| self.surroundings(&format!("thaw container {id}"), e))?;
                }
            }
        }
        Ok(())
    }

    /// Takes a checkpoint. It has no deadline and is never given up (`to_its_end`): the step that waits for it has its own.
    pub(super) async fn checkpoint(&self, container: &Container, name: &str) -> Result<Checkpoint, EngineError> {
        let turn = self.turn(&container.id);
        let _turn = turn.lock().await;
        let freezer = self.freezer("checkpoint", container).await?;
        let was_frozen = freezer.told().map_err(|e| self.surroundings("read a freezer", e))?;
        let path = archive_file::fresh(&self.node, Path::new(config::CHECKPOINTS), name, &self.serial)?;
        let writing = self.criu.begin();
        let request = cri::CheckpointContainerRequest {
            container_id: container.id.clone(),
            location: path.to_string_lossy().into_owned(),
            // CRI-O ignores it.
            timeout: 0,
        };
        let mut runtime = self.client.runtime.clone();
        let taken = runtime.checkpoint_container(request).await;
        let put_back = self.put_back(container, &freezer, was_frozen).await;
        let Err(status) = taken else {
            put_back?;
            let name = name.to_owned();
            return Ok(Checkpoint { name, engine: EngineKind::CriCrio, path, archive: true, shared: false });
        };
        let Said { lines, mixed } = writing.said();
        drop(writing);
        let what = format!("checkpoint container {}", container.slot.spec.name);
        let mut error = self.error(During::Checkpoint, &what, &status, lines);
        error.log.extend(mixed);
        if let Err(e) = put_back {
            error.log.push(e.message);
        }
        // A partial archive would be taken for a whole one.
        let _ = fs::remove_file(self.host(&path));
        Err(error)
    }

    /// Whatever CRI-O said: the container is frozen if it was, and else runs.
    async fn put_back(&self, container: &Container, freezer: &Freezer, was_frozen: bool) -> Result<(), EngineError> {
        match freezer.told() {
            Ok(frozen) if frozen == was_frozen => Ok(()),
            Ok(true) => self.thaw_in_turn(container, freezer),
            Ok(false) => self.freeze_in_turn(container, freezer).await,
            // It has ended.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(self.surroundings("read a freezer", e)),
        }
    }
}
