//! What the node's kernel says of a container.

use crate::engine::mounts;
use crate::node::{MemoryGroup, SharedNode};
use crate::record::{MemoryReport, OutsideReport};
use std::path::PathBuf;
use std::time::Duration;

/// A task in the middle of a system call that cannot be interrupted keeps its group from freezing.
const SETTLES: Duration = Duration::from_secs(5);
/// The kernel tells nobody when a group of version 1 is frozen.
const GLANCE: Duration = Duration::from_millis(1);

/// A container's control group, as the node sees it.
pub(in crate::engine) struct Outside<'a> {
    node: &'a SharedNode,
    group: &'a str,
}

impl<'a> Outside<'a> {
    /// `group` is the container's, below the root of each hierarchy.
    pub(in crate::engine) fn new(node: &'a SharedNode, group: &'a str) -> Self {
        Outside { node, group }
    }

    fn host(&self, inside: String) -> PathBuf {
        self.node.host_path(std::path::Path::new(&inside))
    }

    fn read(&self, controller: &str, file: &str) -> Option<String> {
        std::fs::read_to_string(self.host(format!("/sys/fs/cgroup/{controller}{}/{file}", self.group))).ok()
    }

    /// Version 1 by the freezer, version 2 by the group's events. `None` if there is no such group.
    pub(in crate::engine) fn frozen(&self) -> Option<bool> {
        if let Some(state) = self.read("freezer", "freezer.state") {
            return Some(state.trim() == "FROZEN");
        }
        self.read(".", "cgroup.events").map(|events| events.lines().any(|line| line == "frozen 1"))
    }

    /// Until the kernel says so: crun returns from `pause` while a group of version 1 is still `FREEZING` (crun 1.28, on a
    /// busy machine), and CRIU, which finds it so, thaws it after its dump (criu 4.2.1). A fenced source would go on.
    pub(in crate::engine) async fn stands_still(&self) -> Result<(), String> {
        let settled = async {
            while self.frozen() == Some(false) {
                tokio::time::sleep(GLANCE).await;
            }
        };
        tokio::time::timeout(SETTLES, settled)
            .await
            .map_err(|_| format!("it was told to freeze, and its tasks still ran {SETTLES:?} later"))
    }

    pub(in crate::engine) fn processes(&self) -> Option<u32> {
        let list = self.read("freezer", "cgroup.procs").or_else(|| self.read(".", "cgroup.procs"))?;
        u32::try_from(list.lines().count()).ok()
    }

    pub(in crate::engine) fn memory(&self) -> Option<MemoryReport> {
        MemoryGroup::of(&self.host("/sys/fs/cgroup".to_owned()), self.group).report()
    }

    /// The node's `/proc` has the node's process ids, also when read from outside.
    pub(in crate::engine) fn look_into_proc(&self, pid: u32, report: &mut OutsideReport) {
        let read = |file: &str| std::fs::read_to_string(self.host(format!("/proc/{pid}/{file}"))).ok();
        report.comm = read("comm").map(|comm| comm.trim_end().to_owned());
        report.pid_inside = read("status").as_deref().and_then(innermost_pid);
        report.mounts = read("mountinfo").as_deref().map(mounts::points).unwrap_or_default();
        report.argv = read("cmdline").as_deref().map(arguments).unwrap_or_default();
    }
}

/// `NSpid: 4711 1`: the last is the id in the innermost PID namespace.
fn innermost_pid(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().next_back()?.parse().ok()
}

fn arguments(cmdline: &str) -> Vec<String> {
    cmdline.split_terminator('\0').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_of_the_innermost_namespace() {
        assert_eq!(innermost_pid("Name:\tx\nNSpid:\t4711\t1\nNSsid:\t9\n"), Some(1));
        assert_eq!(innermost_pid("Name:\tx\n"), None);
    }

    #[test]
    fn arguments_may_be_empty() {
        assert_eq!(arguments("sh\0-c\0\0"), ["sh", "-c", ""]);
        assert!(arguments("").is_empty());
    }
}
