//! Hierarchies of control groups (version 1) that the machine had not. systemd in a node mounts one for every controller of the
//! kernel's, and the kubelet makes its groups there; podferry's node has no group of its own in them, so that they lie at the
//! root, and keep the hierarchy alive when everything in it has gone. What is started on the machine from then on is told of
//! controllers that nobody mounts; crun (1.28) was seen to freeze a node as a whole then, itself with it.

use super::local::Claims;
use crate::ledger::HIERARCHIES;
use crate::node::mounted;
use crate::record::{Chain, Failure};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What kubelets call the group at the root that theirs are in: minikube's and kind's.
const ROOTS: [&str; 2] = ["kubepods", "kubelet"];
/// A process that was killed leaves its group a moment later.
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(20);

/// Those that are not there yet.
pub(super) struct Hierarchies {
    controllers: String,
    claims: Arc<dyn Claims>,
}

impl Hierarchies {
    /// Notes which there are not, before a node may make them.
    pub(super) fn claim(claims: &Arc<dyn Claims>) -> Result<Hierarchies, Failure> {
        let cannot = |e: io::Error| failure("can't note which hierarchies of control groups there are", &e);
        let table = fs::read_to_string("/proc/cgroups").map_err(cannot)?;
        let absent: Vec<&str> = rows(&table).filter(|(_, hierarchy)| *hierarchy == 0).map(|(name, _)| name).collect();
        let controllers = absent.join(",");
        if !controllers.is_empty() {
            claims
                .claim(HIERARCHIES, &controllers)
                .map_err(|e| failure("can't claim hierarchies of control groups", &e))?;
        }
        Ok(Hierarchies { controllers, claims: Arc::clone(claims) })
    }

    /// Removes those that have come, now that the node has gone.
    pub(super) async fn end(&self) -> Result<(), Failure> {
        if self.controllers.is_empty() {
            return Ok(());
        }
        let controllers = self.controllers.clone();
        let swept = tokio::task::spawn_blocking(move || sweep(&controllers)).await.map_err(io::Error::other).flatten();
        swept.map_err(|e| failure("can't remove hierarchies of control groups that a node has made", &e))?;
        let released = self.claims.release(HIERARCHIES, &self.controllers);
        released.map_err(|e| failure("can't note that hierarchies of control groups are gone", &e))
    }
}

/// Removes what kubelets of nodes that have gone have left in the hierarchies of these controllers (`hugetlb,net_cls`). A group
/// with processes in it is somebody else's, and stays.
///
/// # Errors
/// A hierarchy can't be mounted, or a group that is empty can't be removed.
pub fn sweep(controllers: &str) -> io::Result<()> {
    let table = fs::read_to_string("/proc/cgroups")?;
    let mut there: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for (name, hierarchy) in rows(&table).filter(|(_, hierarchy)| *hierarchy != 0) {
        there.entry(hierarchy).or_default().push(name);
    }
    let claimed: Vec<&str> = controllers.split(',').collect();
    for together in there.values().filter(|names| names.iter().all(|name| claimed.contains(name))) {
        let mount = mounted("cgroup", &[], together)?;
        let root = format!("/proc/self/fd/{}", mount.as_raw_fd());
        let deadline = Instant::now() + PATIENCE;
        for name in ROOTS {
            while !removed(&Path::new(&root).join(name))? && Instant::now() < deadline {
                std::thread::sleep(AGAIN);
            }
        }
    }
    Ok(())
}

/// Removes a group with all below it; whether it is gone. It is not if a process is in it.
fn removed(group: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(group) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        entries => entries?,
    };
    let mut empty = true;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            empty &= removed(&entry.path())?;
        }
    }
    if !empty {
        return Ok(false);
    }
    match fs::remove_dir(group) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::ResourceBusy => Ok(false),
        done => done.map(|()| true),
    }
}

/// The controllers that are switched on, each with its hierarchy; 0: it has none, or is one of version 2's.
fn rows(table: &str) -> impl Iterator<Item = (&str, u32)> {
    table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, hierarchy) = (words.next()?, words.next()?.parse().ok()?);
        (words.nth(1)? == "1").then_some((name, hierarchy))
    })
}

fn failure(what: &str, e: &dyn std::error::Error) -> Failure {
    Failure::surroundings(format!("{what}: {}", Chain(e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_read_with_their_hierarchies() {
        let table =
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t29\t1\nhugetlb\t0\t1\t1\nrdma\t0\t1\t0\n";
        assert_eq!(rows(table).collect::<Vec<_>>(), [("cpuset", 3), ("hugetlb", 0)]);
    }
}
