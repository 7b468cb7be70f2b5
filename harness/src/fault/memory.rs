use super::{Fault, blocking, failed};
use crate::engine::Engine;
use crate::node::{MemoryGroup, SharedNode};
use crate::record::Failure;
use async_trait::async_trait;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A node whose processes may take little more memory than they do. Its file systems lie in memory and count too.
pub(super) struct Memory {
    node: SharedNode,
    /// All that are on the node: the kernel kills whose daemon it likes.
    engines: Vec<Arc<dyn Engine>>,
    leave: u64,
    was: Arc<Mutex<Option<Limited>>>,
}

/// The node's own group, and the limit that it had.
type Limited = (MemoryGroup, Option<u64>);

impl Memory {
    pub(super) fn new(node: SharedNode, engines: Vec<Arc<dyn Engine>>, leave: u64) -> Self {
        Memory { node, engines, leave, was: Arc::default() }
    }

    fn doing(&self) -> String {
        format!("limit the memory of node {}", self.node.name())
    }
}

#[async_trait]
impl Fault for Memory {
    async fn strike(&self) -> Result<(), Failure> {
        let (mounted, leave) = (self.node.host_path(Path::new("/sys/fs/cgroup")), self.leave);
        let was = Arc::clone(&self.was);
        blocking(self.doing(), move || {
            let group = MemoryGroup::of(&mounted, "/");
            let none = "the node's control groups have no memory controller";
            let now = group.report().ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, none))?;
            *was.lock().unwrap_or_else(PoisonError::into_inner) = Some((group.clone(), now.limit));
            // What lies idle in the cache is room too.
            group.set_limit(Some(now.bytes.saturating_sub(group.idle_cache()) + leave))
        })
        .await
    }

    /// The kernel may have killed the daemon for want of memory: it is brought back.
    async fn mend(&self) -> Result<(), Failure> {
        let taken = self.was.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((group, limit)) = taken else { return Ok(()) };
        blocking(self.doing(), move || group.set_limit(limit)).await?;
        if !self.node.alive() {
            let why = "the kernel killed its PID 1";
            return Err(Failure::surroundings(format!("node {} is gone: {why}", self.node.name())));
        }
        for engine in &self.engines {
            engine.revive().await.map_err(|e| failed(format!("bring back {}", engine.kind()), e))?;
        }
        Ok(())
    }
}
