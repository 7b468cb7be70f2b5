//! How much memory the containers of a node may take together: a limit on the group that they all are in, as kubelet
//! enforces what it calls allocatable. The node's own programs are not in it, nor what they write to memory-backed disks.

use super::case::CaseRun;
use crate::node::{CONTAINERS, MemoryGroup};
use crate::record::{Failure, Leak};
use std::io;
use std::path::Path;

impl CaseRun<'_> {
    /// Sets the limits of the case, on nodes that are made if need be.
    pub(super) async fn allocate(&self) -> Result<(), Failure> {
        for node in self.case.allocatable.keys() {
            self.allocate_on(node).await?;
        }
        Ok(())
    }

    /// Sets the limit of one node, if the case has one.
    pub(super) async fn allocate_on(&self, node: &str) -> Result<(), Failure> {
        let Some(bytes) = self.case.allocatable.get(node) else { return Ok(()) };
        self.world.engine(self.case.engine, node).await?;
        self.limit(node, Some(*bytes)).map_err(|e| {
            Failure::surroundings(format!("can't limit the memory of node {node}'s containers to {bytes} bytes: {e}"))
        })
    }

    /// Lifts them; a node that is gone took its limit with it.
    pub(super) fn lift_allocatable(&self) -> Vec<Leak> {
        let mut leaks = Vec::new();
        for node in self.case.allocatable.keys() {
            match self.limit(node, None) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    let name = format!("memory limit of {CONTAINERS} on {node}");
                    leaks.push(Leak { kind: "cgroup".to_owned(), name, reason: e.to_string() });
                }
                _ => {}
            }
        }
        leaks
    }

    fn limit(&self, node: &str, bytes: Option<u64>) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the node is gone");
        let mounted = self.world.host_path(node, Path::new("/sys/fs/cgroup")).ok_or_else(gone)?;
        MemoryGroup::of(&mounted, CONTAINERS).set_limit(bytes)
    }
}
