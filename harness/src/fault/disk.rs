use super::{Fault, blocking, failed};
use crate::engine::{Engine, Stored};
use crate::node::SharedNode;
use crate::process::Exec;
use crate::record::{Chain, Failure};
use crate::scenario::plan::DiskOf;
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A file system that is full but for some bytes. Those of a node lie in memory: one is made smaller, as far as what lies
/// on it allows, and large again. Nothing has to be written for that.
pub(super) struct Disk {
    node: SharedNode,
    folder: PathBuf,
    leave: u64,
    /// Where it is mounted and what it could hold.
    was: Mutex<Option<(String, u64)>>,
}

impl Disk {
    pub(super) fn new(engine: &Arc<dyn Engine>, of: DiskOf, leave: u64) -> Self {
        let folder = engine.folder(match of {
            DiskOf::Images => Stored::Images,
            DiskOf::Archives => Stored::Archives,
        });
        Disk { node: Arc::clone(engine.node()), folder, leave, was: Mutex::default() }
    }

    fn doing(&self) -> String {
        format!("change the size of the file system of {} on node {}", self.folder.display(), self.node.name())
    }

    async fn resize(&self, mounted: &str, bytes: u64) -> Result<(), Failure> {
        let mount = Exec::new("mount").args(["-o", &format!("remount,size={bytes}"), mounted]);
        self.node.run(mount).await.map(drop).map_err(|e| failed(self.doing(), Chain(&e)))
    }
}

#[async_trait]
impl Fault for Disk {
    async fn strike(&self) -> Result<(), Failure> {
        let stat = Exec::new("stat").args(["-c", "%m"]).arg(&self.folder);
        let mounted = self.node.run(stat).await.map_err(|e| failed(self.doing(), Chain(&e)))?.text();
        let path = self.node.host_path(&self.folder);
        let (size, used) = blocking(self.doing(), move || {
            let stat = nix::sys::statvfs::statvfs(&path)?;
            let block = stat.fragment_size();
            Ok((stat.blocks() * block, (stat.blocks() - stat.blocks_free()) * block))
        })
        .await?;
        *self.was.lock().unwrap_or_else(PoisonError::into_inner) = Some((mounted.clone(), size));
        self.resize(&mounted, used + self.leave).await
    }

    async fn mend(&self) -> Result<(), Failure> {
        let was = self.was.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((mounted, size)) = was else { return Ok(()) };
        self.resize(&mounted, size).await
    }
}
