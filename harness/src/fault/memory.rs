use super::{Fault, blocking, failed};
use crate::engine::Engine;
use crate::node::SharedNode;
use crate::record::Failure;
use async_trait::async_trait;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A node whose processes may take little more memory than they do. Its file systems lie in memory and count too.
pub(super) struct Memory {
    node: SharedNode,
    /// All that are on the node: the kernel kills whose daemon it likes.
    engines: Vec<Arc<dyn Engine>>,
    leave: u64,
    /// The file, and what stood in it.
    was: Arc<Mutex<Option<(PathBuf, String)>>>,
}

impl Memory {
    pub(super) fn new(node: SharedNode, engines: Vec<Arc<dyn Engine>>, leave: u64) -> Self {
        Memory { node, engines, leave, was: Arc::default() }
    }

    fn doing(&self) -> String {
        format!("limit the memory of node {}", self.node.name())
    }
}

/// Bytes of files that nobody has used for a while: the kernel gives them up at once, so they are room that is left.
fn idle_cache(folder: &Path) -> u64 {
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let of = |name: &str| stat.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    // Version 1 has the sum over all groups below under a name of its own.
    of("total_inactive_file").or_else(|| of("inactive_file")).unwrap_or(0)
}

/// The files of usage and limit of the node's own group, as they are seen in the node: version 1, or 2.
fn files(mounted: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let v1 = mounted.join("memory");
    let (folder, usage, limit) = if v1.is_dir() {
        (v1, "memory.usage_in_bytes", "memory.limit_in_bytes")
    } else {
        (mounted.to_owned(), "memory.current", "memory.max")
    };
    let limit = folder.join(limit);
    if !limit.is_file() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "the node's control groups have no memory controller"));
    }
    Ok((folder.join(usage), limit))
}

#[async_trait]
impl Fault for Memory {
    async fn strike(&self) -> Result<(), Failure> {
        let (mounted, leave) = (self.node.host_path(Path::new("/sys/fs/cgroup")), self.leave);
        let was = Arc::clone(&self.was);
        blocking(self.doing(), move || {
            let (usage, limit) = files(&mounted)?;
            let cache = usage.parent().map_or(0, idle_cache);
            let usage: u64 = fs::read_to_string(usage)?.trim().parse().map_err(io::Error::other)?;
            let old = fs::read_to_string(&limit)?.trim().to_owned();
            // Version 1 shows no limit as a number that it takes back.
            *was.lock().unwrap_or_else(PoisonError::into_inner) = Some((limit.clone(), old));
            fs::write(limit, (usage.saturating_sub(cache) + leave).to_string())
        })
        .await
    }

    /// The kernel may have killed the daemon for want of memory: it is brought back.
    async fn mend(&self) -> Result<(), Failure> {
        let taken = self.was.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((limit, old)) = taken else { return Ok(()) };
        blocking(self.doing(), move || fs::write(limit, old)).await?;
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
