//! What the node's kernel says of a container, and what is told to it directly: its control group with the freezer, and
//! `/proc`. Both forms of control groups.

use super::EngineError;
use super::failing::{exec_error, io_error};
use super::kernel::Freezer;
use crate::node::{MemoryGroup, SharedNode};
use crate::process::{Exec, ExecError};
use crate::record::{ErrorClass, MemoryReport};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// There is no event for a process that is not one's child, seen through another namespace's `/proc`.
const GLANCE: Duration = Duration::from_millis(1);

/// The control group of a container, by its path below each hierarchy.
#[derive(Clone)]
pub(super) struct Group {
    node: SharedNode,
    path: String,
}

impl Group {
    pub(super) fn of(node: &SharedNode, path: impl Into<String>) -> Self {
        Group { node: node.clone(), path: path.into() }
    }

    /// Its freezer; `None` if there is no such control group, so no such container.
    pub(super) fn freezer(&self) -> Option<Freezer> {
        Freezer::of(&self.node, &self.path)
    }

    /// Removes it, with the groups below it, in every hierarchy where nobody is in it any more.
    pub(super) fn remove(&self) {
        for hierarchy in hierarchies(&self.node) {
            remove_groups(&hierarchy.join(self.path.trim_start_matches('/')));
        }
    }

    pub(super) fn memory(&self) -> Option<MemoryReport> {
        MemoryGroup::of(&self.node.host_path(Path::new("/sys/fs/cgroup")), &self.path).report()
    }

    /// Limits its memory, and memory and swap together to twice that, as podman and Docker do.
    pub(super) fn limit_memory(&self, bytes: u64) -> io::Result<()> {
        let group = MemoryGroup::of(&self.node.host_path(Path::new("/sys/fs/cgroup")), &self.path);
        let both =
            self.node.host_path(Path::new(&format!("/sys/fs/cgroup/memory{}/memory.memsw.limit_in_bytes", self.path)));
        // The sum may at no time be below the one.
        if both.exists() {
            fs::write(&both, "-1")?;
        }
        group.set_limit(Some(bytes))?;
        if both.exists() { fs::write(&both, (2 * bytes).to_string()) } else { Ok(()) }
    }

    /// Its processes, by their ids in the node.
    pub(super) fn processes(&self) -> Result<Vec<u32>, EngineError> {
        let mut found = pids(&self.node)?;
        let of = |pid: u32| fs::read_to_string(proc(&self.node, pid).join("cgroup")).unwrap_or_default();
        found.retain(|pid| is_in(&self.path, &of(*pid)));
        Ok(found)
    }
}

/// Why a container does not stand still.
pub(super) fn freezing(name: &str, e: &io::Error) -> EngineError {
    let class = match e.kind() {
        io::ErrorKind::NotFound => ErrorClass::UnknownContainer,
        io::ErrorKind::TimedOut => ErrorClass::Timeout,
        _ => ErrorClass::Surroundings,
    };
    EngineError::new(class, format!("can't freeze container {name}: {e}"))
}

/// Where the node's `/proc` of a process is on the host. The ids in it are the node's.
pub(super) fn proc(node: &SharedNode, pid: u32) -> PathBuf {
    node.host_path(Path::new(&format!("/proc/{pid}")))
}

/// All processes of the node.
pub(super) fn pids(node: &SharedNode) -> Result<Vec<u32>, EngineError> {
    let folder = node.host_path(Path::new("/proc"));
    let entries = fs::read_dir(&folder).map_err(|e| io_error("read", &folder, &e))?.flatten();
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// A process with all that it started, itself last, as far as they still hang together.
pub(super) fn descendants(node: &SharedNode, root: u32) -> Result<Vec<u32>, EngineError> {
    let mut parents = Vec::new();
    for pid in pids(node)? {
        let stat = fs::read_to_string(proc(node, pid).join("stat")).unwrap_or_default();
        parents.extend(parent_of(&stat).map(|parent| (pid, parent)));
    }
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        let children = parents.iter().filter(|(pid, p)| *p == parent && !found.contains(pid)).map(|(pid, _)| *pid);
        found.extend(children.collect::<Vec<_>>());
        at += 1;
    }
    found.reverse();
    Ok(found)
}

/// SIGKILL to processes of the node. One that is gone is no error.
pub(super) async fn kill(node: &SharedNode, pids: &[u32]) -> Result<(), ExecError> {
    if pids.is_empty() {
        return Ok(());
    }
    node.output(Exec::new("kill").arg("-9").args(pids.iter().map(u32::to_string))).await.map(drop)
}

/// Kills all processes of a container and thaws it then: a signal waits for a frozen task on cgroup v1, and is the first
/// thing that it meets when it is thawed, so that a fenced source never runs on. Waits until they are gone and reaped.
pub(super) async fn end(group: &Group, limit: Duration, what: &str) -> Result<(), EngineError> {
    let Some(freezer) = group.freezer() else { return Ok(()) };
    let pids = group.processes()?;
    kill(&group.node, &pids).await.map_err(|e| exec_error(what, &e))?;
    if freezer.frozen().unwrap_or(false) {
        let thawed = freezer.thaw();
        thawed.map_err(|e| EngineError::new(ErrorClass::Surroundings, format!("{what}: can't thaw it: {e}")))?;
    }
    gone(&group.node, &pids, limit, what).await
}

/// Waits until processes are gone and reaped.
pub(super) async fn gone(node: &SharedNode, pids: &[u32], limit: Duration, what: &str) -> Result<(), EngineError> {
    let end = Instant::now() + limit;
    for pid in pids {
        while proc(node, *pid).exists() {
            if Instant::now() >= end {
                let text = format!("{what}: process {pid} is still there {limit:?} after SIGKILL");
                return Err(EngineError::new(ErrorClass::Timeout, text));
            }
            tokio::time::sleep(GLANCE).await;
        }
    }
    Ok(())
}

/// The roots of a node's control groups, on the host. Where groups of version 2 lie beside those of version 1, they are not
/// mounted in a node, and its processes are in one of them all the same: CRIU makes more below it.
pub(super) fn hierarchies(node: &SharedNode) -> Vec<PathBuf> {
    let mounted = node.host_path(Path::new("/sys/fs/cgroup"));
    let mut found: Vec<PathBuf> = fs::read_dir(&mounted).into_iter().flatten().flatten().map(|e| e.path()).collect();
    found.retain(|path| path.is_dir());
    let own = fs::read_to_string(proc(node, 1).join("cgroup")).unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    found.extend(beside(&mounts, &own));
    found.push(mounted);
    found
}

/// The names of the groups just below one, in whatever hierarchy they are, that begin so: each once.
pub(super) fn below(node: &SharedNode, parent: &str, prefix: &str) -> BTreeSet<String> {
    let folders = hierarchies(node).into_iter().map(|hierarchy| hierarchy.join(parent.trim_start_matches('/')));
    let entries = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    groups.filter_map(|e| e.file_name().to_str().filter(|n| n.starts_with(prefix)).map(str::to_owned)).collect()
}

/// The group of version 2 beside those of version 1, from a `/proc/self/mountinfo` and a `/proc/PID/cgroup`.
fn beside(mountinfo: &str, cgroup: &str) -> Option<PathBuf> {
    let v2 = mountinfo.lines().find(|line| line.contains(" - cgroup2 "))?.split(' ').nth(4)?;
    let own = cgroup.lines().find_map(|line| line.strip_prefix("0::/"))?;
    (v2 != "/sys/fs/cgroup").then(|| Path::new(v2).join(own))
}

/// Not there, or not empty, is no error: then it shows up among what is left.
fn remove_groups(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
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
    fn the_group_beside_is_found_where_there_is_one() {
        let mountinfo =
            |at: &str| format!("25 21 0:22 / /sys rw - sysfs sysfs rw\n34 30 0:30 / {at} rw - cgroup2 cgroup2 rw\n");
        let cgroup = "9:freezer:/podferry-run/a\n0::/podferry-run/a\n";
        let hybrid = beside(&mountinfo("/sys/fs/cgroup/unified"), cgroup);
        assert_eq!(hybrid.as_deref(), Some(Path::new("/sys/fs/cgroup/unified/podferry-run/a")));
        assert_eq!(beside(&mountinfo("/sys/fs/cgroup"), cgroup), None, "that is the one that nodes mount");
        assert_eq!(beside("", cgroup), None);
    }
}
