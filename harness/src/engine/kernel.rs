//! What the node's kernel says of a container, and what is told to it directly, for every engine: freezer and `/proc`. Both
//! forms of control groups.

use super::mounts;
use crate::node::SharedNode;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A task in the middle of a system call that cannot be interrupted keeps its group from freezing.
const SETTLES: Duration = Duration::from_secs(5);
/// The kernel tells nobody when a group of version 1 is frozen.
const GLANCE: Duration = Duration::from_millis(1);

/// After so many glances a group of version 1 is thawed and frozen anew, as runc does it too: a task that waits for its
/// `vfork` cannot be frozen while the child is, and the two would wait for each other for ever.
const AGAIN: u32 = 50;

/// A container's freezer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Freezer {
    /// cgroup v1: the folder in the hierarchy `freezer`.
    V1(PathBuf),
    /// cgroup v2: the folder.
    V2(PathBuf),
}

impl Freezer {
    /// The freezer of a control group of the node; `None` if there is no such group.
    pub(in crate::engine) fn of(node: &SharedNode, group: &str) -> Option<Freezer> {
        let folder = |hierarchy: &str| node.host_path(Path::new(&format!("/sys/fs/cgroup{hierarchy}{group}")));
        let (v1, v2) = (folder("/freezer"), folder(""));
        if v1.is_dir() { Some(Freezer::V1(v1)) } else { v2.is_dir().then_some(Freezer::V2(v2)) }
    }

    fn folder(&self) -> &Path {
        match self {
            Freezer::V1(folder) | Freezer::V2(folder) => folder,
        }
    }

    /// Whether all tasks stand still.
    pub(in crate::engine) fn frozen(&self) -> io::Result<bool> {
        match self {
            Freezer::V1(folder) => Ok(fs::read_to_string(folder.join("freezer.state"))?.trim() == "FROZEN"),
            Freezer::V2(folder) => {
                let events = fs::read_to_string(folder.join("cgroup.events"))?;
                Ok(events.lines().any(|line| line == "frozen 1"))
            }
        }
    }

    /// Whether this group was told to stand still: a group above it that was makes it [`Freezer::frozen`] too.
    pub(in crate::engine) fn told(&self) -> io::Result<bool> {
        let file = match self {
            Freezer::V1(folder) => folder.join("freezer.self_freezing"),
            Freezer::V2(folder) => folder.join("cgroup.freeze"),
        };
        Ok(fs::read_to_string(file)?.trim() == "1")
    }

    /// Tells the tasks to stand still; see [`Freezer::settled`].
    pub(in crate::engine) fn freeze(&self) -> io::Result<()> {
        match self {
            Freezer::V1(folder) => fs::write(folder.join("freezer.state"), "FROZEN"),
            Freezer::V2(folder) => fs::write(folder.join("cgroup.freeze"), "1"),
        }
    }

    /// Lets the tasks go on.
    pub(in crate::engine) fn thaw(&self) -> io::Result<()> {
        match self {
            Freezer::V1(folder) => fs::write(folder.join("freezer.state"), "THAWED"),
            Freezer::V2(folder) => fs::write(folder.join("cgroup.freeze"), "0"),
        }
    }

    /// Waits until the kernel says that they stand still. A group of version 1 that is still `FREEZING` when CRIU finds it is
    /// thawed by CRIU after its dump (criu 4.2.1), and a fenced source would go on.
    pub(in crate::engine) async fn settled(&self) -> io::Result<()> {
        let settled = async {
            let mut glances = 0_u32;
            while !self.frozen()? {
                tokio::time::sleep(GLANCE).await;
                glances += 1;
                if glances.is_multiple_of(AGAIN) && matches!(self, Freezer::V1(_)) {
                    self.thaw()?;
                    self.freeze()?;
                }
            }
            Ok(())
        };
        tokio::time::timeout(SETTLES, settled).await.unwrap_or_else(|_| {
            let message = format!("it was told to freeze, and its tasks still ran {SETTLES:?} later");
            Err(io::Error::new(io::ErrorKind::TimedOut, message))
        })
    }

    /// How many processes are in it. The kernel writes the ids there as whoever reads them sees them: read from outside
    /// the node, they are not the node's.
    pub(in crate::engine) fn count(&self) -> io::Result<usize> {
        Ok(fs::read_to_string(self.folder().join("cgroup.procs"))?.lines().count())
    }

    /// Whether there is nothing in it that could stand still: neither a process nor a group.
    pub(in crate::engine) fn is_empty(&self) -> io::Result<bool> {
        let groups = fs::read_dir(self.folder())?.flatten().any(|entry| entry.path().is_dir());
        Ok(!groups && self.count()? == 0)
    }
}

/// A process of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct Process {
    pub(in crate::engine) comm: Option<String>,
    pub(in crate::engine) argv: Vec<String>,
    pub(in crate::engine) mounts: Vec<String>,
    /// Its id in the innermost PID namespace that it is in.
    pub(in crate::engine) pid_inside: Option<u32>,
}

impl Process {
    /// By its id in the node. One that is gone says nothing.
    pub(in crate::engine) fn of(node: &SharedNode, pid: u32) -> Process {
        let folder = node.host_path(Path::new(&format!("/proc/{pid}")));
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let status = read("status").unwrap_or_default();
        let mounts = read("mountinfo").as_deref().map(mounts::points).unwrap_or_default();
        let comm = read("comm").map(|c| c.trim_end().to_owned());
        Process { comm, argv: argv(node, pid), mounts, pid_inside: pid_inside(&status) }
    }
}

/// What a process was started with; nothing of one that is gone.
pub(in crate::engine) fn argv(node: &SharedNode, pid: u32) -> Vec<String> {
    let argv = fs::read(node.host_path(Path::new(&format!("/proc/{pid}/cmdline")))).unwrap_or_default();
    let mut argv: Vec<String> = argv.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
    // The list ends with a zero byte.
    if argv.last().is_some_and(String::is_empty) {
        argv.pop();
    }
    argv
}

fn pid_inside(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
