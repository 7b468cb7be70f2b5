//! What the node's kernel says of a container: which processes are in it, how the first one ended.

use super::runtime::{Inner, io_error};
use crate::engine::EngineError;
pub(super) use crate::engine::kernel::{Freezer, Process};
use crate::node::MemoryGroup;
use crate::record::{EndReport, MemoryReport};
use std::fs;
use std::path::{Path, PathBuf};

impl Inner {
    /// The freezer of a container; `None` if there is no such control group, so no such container.
    pub(super) fn freezer(&self, name: &str) -> Option<Freezer> {
        Freezer::of(&self.node, &self.cgroup(name))
    }

    /// Its folder, by its path in the node.
    pub(super) fn freezer_inside(&self, name: &str) -> Option<PathBuf> {
        let group = self.cgroup(name);
        let folders = ["/freezer", ""].map(|hierarchy| PathBuf::from(format!("/sys/fs/cgroup{hierarchy}{group}")));
        folders.into_iter().find(|folder| self.host(folder).is_dir())
    }

    pub(super) fn memory(&self, name: &str) -> Option<MemoryReport> {
        MemoryGroup::of(&self.host(Path::new("/sys/fs/cgroup")), &self.cgroup(name)).report()
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

    /// Where the node's `/proc` is on the host. The ids in it are the node's.
    pub(super) fn proc(&self, pid: u32) -> PathBuf {
        self.host(Path::new(&format!("/proc/{pid}")))
    }

    pub(super) fn process(&self, pid: u32) -> Process {
        Process::of(&self.node, pid)
    }

    /// The processes of a container, by their ids in the node.
    pub(super) fn processes(&self, name: &str) -> Result<Vec<u32>, EngineError> {
        let group = self.cgroup(name);
        let mut found = self.pids()?;
        found.retain(|pid| is_in(&group, &fs::read_to_string(self.proc(*pid).join("cgroup")).unwrap_or_default()));
        Ok(found)
    }

    /// All processes of the node.
    fn pids(&self) -> Result<Vec<u32>, EngineError> {
        let folder = self.host(Path::new("/proc"));
        let entries = fs::read_dir(&folder).map_err(|e| io_error("read", &folder, &e))?.flatten();
        Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
    }

    /// A process with all that it started, itself last, as far as they still hang together.
    pub(super) fn descendants(&self, root: u32) -> Result<Vec<u32>, EngineError> {
        let mut parents = Vec::new();
        for pid in self.pids()? {
            let stat = fs::read_to_string(self.proc(pid).join("stat")).unwrap_or_default();
            parents.extend(parent_of(&stat).map(|parent| (pid, parent)));
        }
        let mut found = vec![root];
        let mut at = 0;
        while let Some(parent) = found.get(at).copied() {
            found.extend(
                parents
                    .iter()
                    .filter(|(pid, p)| *p == parent && !found.contains(pid))
                    .map(|(pid, _)| *pid)
                    .collect::<Vec<_>>(),
            );
            at += 1;
        }
        found.reverse();
        Ok(found)
    }
}

/// Whether `/proc/PID/cgroup` names this group, or one below it, in any hierarchy. The paths begin with the node's own
/// group, as it is seen from outside the node.
fn is_in(group: &str, cgroup: &str) -> bool {
    cgroup.lines().any(|line| line.ends_with(group) || line.contains(&format!("{group}/")))
}

/// The fourth field of `/proc/PID/stat`; the second, in parentheses, can hold anything.
fn parent_of(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_a_strange_name() {
        assert_eq!(parent_of("17 (a) b) S 1) S 4 17 17 0"), Some(4));
        assert_eq!(parent_of(""), None);
    }

    #[test]
    fn a_process_is_found_by_its_group() {
        let of = |path: &str| format!("11:cpu,cpuacct:/\n9:freezer:/podferry-run/a{path}\n0::/\n");
        assert!(is_in("/podferry/runc-x", &of("/podferry/runc-x")));
        assert!(is_in("/podferry/runc-x", &of("/podferry/runc-x/below")));
        assert!(!is_in("/podferry/runc-x", &of("/podferry/runc-xy")));
        assert!(!is_in("/podferry/runc-x", &of("")));
    }
}
