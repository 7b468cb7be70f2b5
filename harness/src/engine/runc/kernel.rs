//! What the node's kernel says of a container of this engine.

use super::runtime::Inner;
use crate::engine::EngineError;
use crate::engine::group::Group;
use crate::engine::kernel::Freezer;
use crate::record::{EndReport, MemoryReport};
use std::fs;
use std::path::PathBuf;

impl Inner {
    pub(super) fn group(&self, name: &str) -> Group {
        Group::of(&self.node, self.cgroup(name))
    }

    /// The freezer of a container; `None` if there is no such control group, so no such container.
    pub(super) fn freezer(&self, name: &str) -> Option<Freezer> {
        self.group(name).freezer()
    }

    /// Its folder, by its path in the node.
    pub(super) fn freezer_inside(&self, name: &str) -> Option<PathBuf> {
        let group = self.cgroup(name);
        let folders = ["/freezer", ""].map(|hierarchy| PathBuf::from(format!("/sys/fs/cgroup{hierarchy}{group}")));
        folders.into_iter().find(|folder| self.host(folder).is_dir())
    }

    pub(super) fn memory(&self, name: &str) -> Option<MemoryReport> {
        self.group(name).memory()
    }

    /// The processes of a container, by their ids in the node.
    pub(super) fn processes(&self, name: &str) -> Result<Vec<u32>, EngineError> {
        self.group(name).processes()
    }

    /// How the first process of a container ended, if it has. Runtimes do not tell: their containers are orphans, which
    /// PID 1 of the node reaps.
    pub(super) fn end(&self, name: &str) -> EndReport {
        let exit_code = self.recorded_pid(name).and_then(|pid| self.node.orphan_exit(pid));
        EndReport { exit_code, engine_reason: None, oom_kills: self.memory(name).map(|m| m.oom_kills) }
    }

    /// Its process id in the node, from what the runtime wrote when it made the container: `state.json` (runc) or
    /// `status` (crun).
    pub(super) fn recorded_pid(&self, name: &str) -> Option<u32> {
        let folder = self.state().join(name);
        let read = |file: &str, key: &str| {
            let text = fs::read(self.host(&folder.join(file))).ok()?;
            serde_json::from_slice::<serde_json::Value>(&text).ok()?[key].as_u64()
        };
        u32::try_from(read("state.json", "init_process_pid").or_else(|| read("status", "pid"))?).ok()
    }
}
