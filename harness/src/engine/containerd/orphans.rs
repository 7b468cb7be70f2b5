//! Containers that a death left frozen: of the daemon in the middle of a checkpoint, or of a shim.

use super::Containerd;
use super::classify::During;
use super::generated::containerd::v1::types::Status as TaskStatus;
use crate::engine::{EngineError, criu_processes};
use crate::node::CONTAINERS;
use crate::record::EngineKind;
use std::path::{Path, PathBuf};

impl Containerd {
    /// The control group of a sandbox of CRI, which holds one for each of its containers. Never systemd's: the node has
    /// none. The dot is in no name of a container, so no two engines mean the same.
    pub(in crate::engine) fn pod_group(&self, name: &str) -> String {
        format!("{CONTAINERS}/{}.{name}", self.kind)
    }

    /// The groups of this containerd's containers in one hierarchy, each with the id of its container. The engine `ctr`
    /// has no sandboxes: containerd's namespace is the upper folder there.
    fn groups(&self, hierarchy: &str) -> Vec<(String, PathBuf)> {
        let top = self.host(format!("/sys/fs/cgroup/{hierarchy}{CONTAINERS}"));
        let prefix = format!("{}.", self.kind);
        let own = folders(&top).into_iter().filter(|path| name(path).starts_with(&prefix));
        let containers: Vec<PathBuf> = match self.kind {
            EngineKind::Ctr => own.collect(),
            _ => own.flat_map(|pod| folders(&pod)).collect(),
        };
        containers.into_iter().map(|path| (name(&path), path)).collect()
    }

    /// The group of a container, below the root of each hierarchy; `None` if there is none.
    pub(in crate::engine) fn group_of(&self, id: &str) -> Option<String> {
        let find = |hierarchy| self.groups(hierarchy).into_iter().find(|(of, _)| of == id);
        let (_, path) = find("freezer").or_else(|| find("."))?;
        let pod = path.parent().map(name).unwrap_or_default();
        Some(match self.kind {
            EngineKind::Ctr => format!("{CONTAINERS}/{id}"),
            _ => format!("{CONTAINERS}/{pod}/{id}"),
        })
    }

    /// Thaws every container that is frozen and that nobody froze; whether there was one.
    pub(in crate::engine) async fn thaw_forgotten(&self, why: &str) -> Result<bool, EngineError> {
        let mut thawed = false;
        for (id, status) in self.tasks().await? {
            if status == TaskStatus::Paused && !self.hold().frozen.contains(&id) {
                let what = format!("thaw container {id}, frozen {why},");
                self.resume(&id).await.map_err(|e| self.error(During::Control, &what, &e, Vec::new()))?;
                thawed = true;
            }
        }
        Ok(thawed)
    }

    /// Starts containerd again and mends what its death left: containers that a checkpoint had frozen are thawed.
    ///
    /// CRIU outlives the daemon and finishes its dump, so that is waited for: thawing a container under it would spoil
    /// both. After the thaw containerd is started once more, since CRI calls a container that it found frozen
    /// `UNKNOWN` until it finds it running at a start (containerd 2.1.9), and checkpoints no such container.
    pub(in crate::engine) async fn revive(&self) -> Result<(), EngineError> {
        if self.is_well().await? {
            if self.thaw_orphans().await? {
                // It takes a container whose shim has died for running until it looks again at a start.
                self.kill().await?;
                self.start().await?;
            }
            return Ok(());
        }
        criu_processes::ended(&self.node).await?;
        self.start().await?;
        let thawed = self.thaw_forgotten("since containerd was killed").await?;
        self.empty_tmp();
        if thawed {
            self.kill().await?;
            self.start().await?;
        }
        self.thaw_orphans().await.map(drop)
    }

    /// Thaws what is frozen and belongs to no task: the container of a shim that died in a dump. containerd has sent it
    /// SIGKILL then, which reaches no frozen process of cgroup version 1, and has forgotten it (containerd 2.1.9). Says
    /// whether there was such a one.
    async fn thaw_orphans(&self) -> Result<bool, EngineError> {
        let mut found = false;
        let tasks = self.tasks().await?;
        for (id, group) in self.groups("freezer") {
            let state = group.join("freezer.state");
            let frozen = std::fs::read_to_string(&state).is_ok_and(|s| s.trim() == "FROZEN");
            if frozen && !tasks.iter().any(|(task, _)| *task == id) {
                let thawed = std::fs::write(state, "THAWED");
                thawed.map_err(|e| self.surroundings("thaw what a dead shim left", e))?;
                found = true;
            }
        }
        Ok(found)
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|e| e.path()).filter(|p| p.is_dir()).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
