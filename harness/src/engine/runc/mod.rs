//! runc and crun, called directly: no containerd between, images written where they are read.
//!
//! All that the engine makes on a node lies under `/data/runc` (or `/data/crun`) there: unpacked images, a folder for
//! each container with its bundle and the upper folder of its overlay, the runtime's state, logs. Checkpoints go to the
//! folder that the nodes share, if there is one.

mod bundle;
pub(in crate::engine) mod classify;
mod dump;
mod faults_held;
mod gate;
mod kernel;
mod page_wire;
mod pipe_size;
mod pod;
mod postcopy;
mod pre_copy;
mod probe;
mod removal;
mod restore;
mod runtime;
mod slot;
mod stream;
mod watchdog;

use self::dump::After;
pub(super) use self::probe::able;
use self::restore::Pages;
use self::runtime::{Inner, task_failed};
use super::{
    Capabilities, Checkpoint, Container, ContainerSpec, Engine, EngineError, Migration, Moved, Restored, Slot, Stored,
    Supplies, target_of,
};
use crate::node::SharedNode;
use crate::record::{EngineKind, ErrorClass, MemoryReport, OutsideReport, Strategy, Trick};
use async_trait::async_trait;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long the calls of an engine may take before they are ended by force. A migration of some GiB takes seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A dump.
    pub dump: Duration,
    /// A restore. criu 4.2.1 reads a cut pages image for ever and logs each attempt.
    pub restore: Duration,
    /// The size of a restore's log at which it is taken to do that, in bytes: such a log grows by 50 MB a second, and
    /// lies in memory.
    pub restore_log: u64,
    /// How long no page may come of a copy that runs without all of its memory.
    pub quiet: Duration,
    /// Anything else.
    pub other: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (minute, half) = (Duration::from_secs(60), Duration::from_secs(30));
        Limits { dump: minute, restore: minute, restore_log: 64 << 20, quiet: Duration::from_secs(3), other: half }
    }
}

/// runc or crun on one node.
#[derive(Clone)]
pub struct RuncEngine(Arc<Inner>);

/// The engines `runc` and `crun` with their usual limits; see [`super::connect`].
pub(super) async fn connect(
    kind: EngineKind,
    node: SharedNode,
    _: &dyn Supplies,
) -> Result<Arc<dyn Engine>, EngineError> {
    RuncEngine::connect(node, kind).await
}

impl RuncEngine {
    /// Asks the node what its runtime and CRIU can do.
    ///
    /// # Errors
    /// The node does not answer, or has no such runtime (class `unsupported`).
    pub async fn connect(node: SharedNode, kind: EngineKind) -> Result<Arc<dyn Engine>, EngineError> {
        Self::connect_with(node, kind, Limits::default()).await
    }

    /// [`RuncEngine::connect`] with limits of one's own.
    ///
    /// # Errors
    /// See there.
    pub async fn connect_with(
        node: SharedNode,
        kind: EngineKind,
        limits: Limits,
    ) -> Result<Arc<dyn Engine>, EngineError> {
        if ![EngineKind::Runc, EngineKind::Crun].contains(&kind) {
            return Err(EngineError::new(
                ErrorClass::Unsupported,
                format!("{kind} is no runtime that is called directly"),
            ));
        }
        Ok(Arc::new(RuncEngine(Arc::new(Inner::new(node, kind, limits).await?))))
    }
}

#[async_trait]
impl Engine for RuncEngine {
    fn kind(&self) -> EngineKind {
        self.0.kind
    }

    fn node(&self) -> &SharedNode {
        &self.0.node
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    fn tricks(&self) -> &'static [Trick] {
        &Trick::ALL
    }

    async fn prepare(&self, spec: &ContainerSpec) -> Result<Slot, EngineError> {
        self.0.prepare(spec, None).await
    }

    fn moved_address(&self) -> Result<(), String> {
        Ok(())
    }

    async fn prepare_at(&self, spec: &ContainerSpec, address: Ipv4Addr) -> Result<Slot, EngineError> {
        self.0.prepare(spec, Some(address)).await
    }

    fn pods(&self) -> Result<(), String> {
        Ok(())
    }

    async fn prepare_pod(&self, pod: &str, specs: &[ContainerSpec]) -> Result<Vec<Slot>, EngineError> {
        self.0.prepare_pod(pod, specs).await
    }

    async fn freeze_pod(&self, pod: &str, containers: &[Container]) -> Result<(), EngineError> {
        self.0.freeze_pod(pod, containers).await
    }

    async fn start(&self, slot: &Slot) -> Result<Container, EngineError> {
        self.0.start(slot).await
    }

    async fn create(&self, slot: &Slot) -> Result<Container, EngineError> {
        self.0.create(slot).await
    }

    async fn network(&self, name: &str) -> Result<PathBuf, EngineError> {
        Ok(Path::new("/run/netns").join(self.0.netns(name)))
    }

    async fn forget_image(&self, reference: &str) -> Result<(), EngineError> {
        let kind = self.0.kind;
        Err(EngineError::new(
            ErrorClass::Unsupported,
            format!("{kind} gets its images from no registry, so it cannot lack `{reference}`"),
        ))
    }

    async fn freeze(&self, container: &Container) -> Result<(), EngineError> {
        self.0.freeze(&container.id).await
    }

    async fn thaw(&self, container: &Container) -> Result<(), EngineError> {
        self.0.thaw(&container.id).await
    }

    /// Runs to its end in a task of its own, so that a caller that goes away leaves nothing frozen.
    async fn checkpoint(&self, container: &Container, name: &str) -> Result<Checkpoint, EngineError> {
        let (inner, container, name) = (Arc::clone(&self.0), container.clone(), name.to_owned());
        let taken = tokio::spawn(async move { inner.checkpoint(&container, &name, After::GoesOn).await });
        taken.await.map_err(task_failed)?
    }

    async fn checkpoint_last(&self, container: &Container, name: &str) -> Result<Checkpoint, EngineError> {
        let (inner, container, name) = (Arc::clone(&self.0), container.clone(), name.to_owned());
        let taken = tokio::spawn(async move { inner.checkpoint(&container, &name, After::Ends).await });
        taken.await.map_err(task_failed)?
    }

    /// Runs to its end in a task of its own, likewise.
    async fn restore(&self, slot: &Slot, from: &Checkpoint) -> Result<Restored, EngineError> {
        let (inner, slot, from) = (Arc::clone(&self.0), slot.clone(), from.clone());
        tokio::spawn(async move { inner.restore(&slot, &from, None, Pages::Here).await }).await.map_err(task_failed)?
    }

    /// Runs to its end in a task of its own, likewise.
    async fn migrate_to(&self, migration: &Migration) -> Result<Moved, EngineError> {
        let (kind, strategy) = (self.0.kind, migration.strategy);
        let unable = |why: String| EngineError::new(ErrorClass::Unsupported, why);
        let target = target_of::<RuncEngine>(migration)
            .ok_or_else(|| unable(format!("a migration by {strategy} goes from {kind} to {kind} alone")))?;
        self.0.capabilities.strategies.of(strategy).map_err(unable)?;
        let (source, target, migration) = (Arc::clone(&self.0), Arc::clone(&target.0), migration.clone());
        let moving = async move {
            match strategy {
                Strategy::Stream => source.stream(&target, &migration).await,
                Strategy::PostCopy => source.post_copy(&target, &migration).await,
                Strategy::PreCopy => source.pre_copy(&target, &migration).await,
                _ => Err(unable(format!("{kind} has no migration by {strategy}"))),
            }
        };
        tokio::spawn(moving).await.map_err(task_failed)?
    }

    async fn restore_bare(&self, slot: &Slot, from: &Checkpoint, deadline: Duration) -> Result<Restored, EngineError> {
        let (inner, slot, from) = (Arc::clone(&self.0), slot.clone(), from.clone());
        tokio::spawn(async move { inner.restore(&slot, &from, Some(deadline), Pages::Here).await })
            .await
            .map_err(task_failed)?
    }

    async fn restore_image(&self, _slot: &Slot, reference: &str) -> Result<Restored, EngineError> {
        let kind = self.0.kind;
        Err(EngineError::new(ErrorClass::Unsupported, format!("{kind} restores no images, so not `{reference}`"))
            .hint("use the engine cri, or the medium `native`"))
    }

    async fn inspect(&self, container: &Container) -> Result<Option<OutsideReport>, EngineError> {
        self.0.inspect(container).await
    }

    fn memory(&self, container: &Container) -> Option<MemoryReport> {
        self.0.memory(&container.id)
    }

    async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        self.0.remove(container).await
    }

    async fn discard(&self, slot: &Slot) -> Result<(), EngineError> {
        self.0.discard(slot).await
    }

    async fn left(&self) -> Result<Vec<String>, EngineError> {
        self.0.left().await
    }

    async fn collect_logs(&self, into: &Path) -> Result<(), EngineError> {
        self.0.collect_logs(into).await
    }

    async fn kill_daemon(&self) -> Result<(), EngineError> {
        Err(EngineError::new(ErrorClass::Unsupported, format!("{} has no daemon that could be killed", self.0.kind)))
    }

    async fn revive(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn runtime(&self) -> &str {
        self.0.kind.name()
    }

    fn folder(&self, of: Stored) -> PathBuf {
        match of {
            Stored::Images => self.0.checkpoints.clone(),
            Stored::Archives => self.0.arrivals(),
        }
    }

    async fn first_process(&self, container: &Container) -> Result<Option<u32>, EngineError> {
        self.0.first_process(&container.id).await
    }
}
