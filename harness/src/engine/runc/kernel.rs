//! What the node's kernel says of a container, and what is told to it directly: freezer and `/proc`. Both forms of
//! control groups.

use super::runtime::{Inner, io_error};
use crate::engine::{EngineError, mounts};
use crate::node::MemoryGroup;
use crate::record::{EndReport, MemoryReport};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A container's freezer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Freezer {
    /// cgroup v1: the folder in the hierarchy `freezer`.
    V1(PathBuf),
    /// cgroup v2: the folder.
    V2(PathBuf),
}

impl Freezer {
    fn folder(&self) -> &Path {
        match self {
            Freezer::V1(folder) | Freezer::V2(folder) => folder,
        }
    }

    /// Whether all tasks stand still.
    pub(super) fn frozen(&self) -> io::Result<bool> {
        match self {
            Freezer::V1(folder) => Ok(fs::read_to_string(folder.join("freezer.state"))?.trim() == "FROZEN"),
            Freezer::V2(folder) => {
                let events = fs::read_to_string(folder.join("cgroup.events"))?;
                Ok(events.lines().any(|line| line == "frozen 1"))
            }
        }
    }

    /// Lets the tasks go on.
    pub(super) fn thaw(&self) -> io::Result<()> {
        match self {
            Freezer::V1(folder) => fs::write(folder.join("freezer.state"), "THAWED"),
            Freezer::V2(folder) => fs::write(folder.join("cgroup.freeze"), "0"),
        }
    }

    /// How many processes are in it. The kernel writes the ids there as whoever reads them sees them: read from outside
    /// the node, they are not the node's.
    pub(super) fn count(&self) -> io::Result<usize> {
        Ok(fs::read_to_string(self.folder().join("cgroup.procs"))?.lines().count())
    }
}

/// A process of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) comm: Option<String>,
    pub(super) argv: Vec<String>,
    pub(super) mounts: Vec<String>,
    /// Its id in the innermost PID namespace that it is in.
    pub(super) pid_inside: Option<u32>,
}

impl Inner {
    /// The freezer of a container; `None` if there is no such control group, so no such container.
    pub(super) fn freezer(&self, name: &str) -> Option<Freezer> {
        let group = self.cgroup(name);
        let folder = |hierarchy: &str| self.host(Path::new(&format!("/sys/fs/cgroup{hierarchy}{group}")));
        let (v1, v2) = (folder("/freezer"), folder(""));
        if v1.is_dir() { Some(Freezer::V1(v1)) } else { v2.is_dir().then_some(Freezer::V2(v2)) }
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
    fn recorded_pid(&self, name: &str) -> Option<u32> {
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
        let folder = self.proc(pid);
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let argv = fs::read(folder.join("cmdline")).unwrap_or_default();
        let words = argv.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned());
        let mut argv: Vec<String> = words.collect();
        // The list ends with a zero byte.
        if argv.last().is_some_and(String::is_empty) {
            argv.pop();
        }
        let status = read("status").unwrap_or_default();
        let mounts = read("mountinfo").as_deref().map(mounts::points).unwrap_or_default();
        Process { comm: read("comm").map(|c| c.trim_end().to_owned()), argv, mounts, pid_inside: pid_inside(&status) }
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

fn pid_inside(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().last()?.parse().ok()
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

    #[test]
    fn the_innermost_id_is_the_last() {
        assert_eq!(pid_inside("Name:\tx\nNSpid:\t148\t1\n"), Some(1));
        assert_eq!(pid_inside("Name:\tx\n"), None);
    }

    #[test]
    fn both_freezers_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        let (v1, v2) = (Freezer::V1(dir.path().into()), Freezer::V2(dir.path().into()));
        assert!(v1.frozen().is_err(), "what cannot be read is not taken as thawed");
        for (state, frozen) in [("FROZEN\n", true), ("FREEZING\n", false), ("THAWED\n", false)] {
            write("freezer.state", state);
            assert_eq!(v1.frozen().unwrap(), frozen, "{state}");
        }
        for (events, frozen) in [("populated 1\nfrozen 1\n", true), ("populated 1\nfrozen 0\n", false)] {
            write("cgroup.events", events);
            assert_eq!(v2.frozen().unwrap(), frozen);
        }
        write("cgroup.procs", "4\n17\n");
        assert_eq!(v1.count().unwrap(), 2);
    }
}
