//! podman over crun or runc: `podman container checkpoint --export`, the archive carried, `podman container restore
//! --import` under another name.
//!
//! What is known of podman 5.8.6 and shapes this room (each was run):
//! - A restored container joins the network namespace whose path the archive names. Two copies on one node would share it.
//!   So each podman is called inside the slot's own network namespace, and its containers have the network of their
//!   caller (`--network host`): nothing of it is in the archive.
//! - A container that `podman pause` froze cannot be checkpointed (`"paused" is not running`). One that was frozen by the
//!   kernel's freezer, behind podman's back, can, and stays frozen: podman does not look. That makes the order that loses
//!   no acknowledged write: freeze, checkpoint, restore, remove.
//! - With `--leave-running` podman writes the changes of the root after the container runs again. So it is frozen
//!   before also where it is to go on.
//! - crun and runc hand the file that the annotation `org.criu.config` names to CRIU. All of CRIU's options go that way: for
//!   most podman has none of its own (`tcp-close` at a checkpoint, `ghost-limit`, `irmap-scan-path`, `log-file`), and
//!   `--tcp-established` it refuses beside `--name`. A restored container has the annotation of the checkpointed one.
//! - Mounts and the memory limit of a restored container are those of the archive: the limit is changed while CRIU
//!   restores, and another folder is laid over the archive's until the container has it.
//! - A restore that failed leaves the container, and crun 1.28 its control groups with a `.proxy-crun` in each.
//! - `podman rm -f` of a frozen container gives up after 5 s.

mod archived;
mod call;
mod checkpoint;
mod classify;
mod config;
mod containers;
mod images;
mod inspect;
mod probe;
mod removal;
mod restore;
mod watchdog;

use self::call::Inner;
use super::{
    Capabilities, Checkpoint, Container, ContainerSpec, Engine, EngineError, Restored, Slot, Stored, Supplies,
    to_its_end,
};
use crate::node::SharedNode;
use crate::record::{EngineKind, ErrorClass, MemoryReport, OutsideReport};
use async_trait::async_trait;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long the calls of podman may take before they are ended by force. A migration of some GiB takes seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A checkpoint.
    pub checkpoint: Duration,
    /// A restore. criu 4.2.1 reads a cut pages image for ever and logs each attempt.
    pub restore: Duration,
    /// The size of CRIU's log at which it is taken to do that, in bytes.
    pub restore_log: u64,
    /// A pull of a big image on a busy machine.
    pub pull: Duration,
    /// Anything else.
    pub other: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            checkpoint: Duration::from_secs(90),
            restore: Duration::from_secs(90),
            restore_log: 64 << 20,
            pull: Duration::from_secs(120),
            other: Duration::from_secs(30),
        }
    }
}

/// podman on one node.
#[derive(Clone)]
pub struct PodmanEngine(Arc<Inner>);

/// The engines `podman` and `podman-runc` with their usual limits; see [`super::connect`].
pub(super) async fn connect(
    kind: EngineKind,
    node: SharedNode,
    _: &dyn Supplies,
) -> Result<Arc<dyn Engine>, EngineError> {
    PodmanEngine::connect_with(node, kind, Limits::default()).await
}

impl PodmanEngine {
    /// Asks the node what its podman, the OCI runtime and CRIU can do, and writes podman's configuration.
    ///
    /// # Errors
    /// The node does not answer, or has no podman or no such runtime (class `unsupported`).
    pub async fn connect_with(
        node: SharedNode,
        kind: EngineKind,
        limits: Limits,
    ) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(Arc::new(PodmanEngine(Arc::new(Inner::new(node, kind, limits).await?))))
    }
}

#[async_trait]
impl Engine for PodmanEngine {
    fn kind(&self) -> EngineKind {
        self.0.kind
    }

    fn node(&self) -> &SharedNode {
        &self.0.node
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
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

    async fn start(&self, slot: &Slot) -> Result<Container, EngineError> {
        let (inner, slot) = (Arc::clone(&self.0), slot.clone());
        to_its_end(async move { inner.start(&slot).await }).await
    }

    async fn create(&self, slot: &Slot) -> Result<Container, EngineError> {
        let (inner, slot) = (Arc::clone(&self.0), slot.clone());
        to_its_end(async move { inner.create(&slot).await }).await
    }

    async fn network(&self, name: &str) -> Result<PathBuf, EngineError> {
        Ok(Path::new("/run/netns").join(self.0.netns(name)))
    }

    async fn forget_image(&self, reference: &str) -> Result<(), EngineError> {
        self.0.forget_image(reference).await
    }

    async fn freeze(&self, container: &Container) -> Result<(), EngineError> {
        self.0.freeze(container).await
    }

    async fn thaw(&self, container: &Container) -> Result<(), EngineError> {
        self.0.thaw(container)
    }

    async fn checkpoint(&self, container: &Container, name: &str) -> Result<Checkpoint, EngineError> {
        let (inner, container, name) = (Arc::clone(&self.0), container.clone(), name.to_owned());
        to_its_end(async move { inner.checkpoint(&container, &name).await }).await
    }

    async fn restore(&self, slot: &Slot, from: &Checkpoint) -> Result<Restored, EngineError> {
        let (inner, slot, from) = (Arc::clone(&self.0), slot.clone(), from.clone());
        to_its_end(async move { inner.restore(&slot, &from, None).await }).await
    }

    async fn restore_bare(&self, slot: &Slot, from: &Checkpoint, deadline: Duration) -> Result<Restored, EngineError> {
        let (inner, slot, from) = (Arc::clone(&self.0), slot.clone(), from.clone());
        to_its_end(async move { inner.restore(&slot, &from, Some(deadline)).await }).await
    }

    async fn restore_image(&self, _slot: &Slot, reference: &str) -> Result<Restored, EngineError> {
        Err(EngineError::new(ErrorClass::Unsupported, format!("can't restore from `{reference}`: {}", probe::IMAGES)))
    }

    async fn inspect(&self, container: &Container) -> Result<Option<OutsideReport>, EngineError> {
        self.0.inspect(container).await
    }

    fn memory(&self, container: &Container) -> Option<MemoryReport> {
        self.0.group(&container.id).memory()
    }

    async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        let (inner, container) = (Arc::clone(&self.0), container.clone());
        to_its_end(async move { inner.remove(&container).await }).await
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
        Err(EngineError::new(ErrorClass::Unsupported, probe::DAEMON))
    }

    async fn revive(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn runtime(&self) -> &str {
        self.0.runtime
    }

    fn folder(&self, of: Stored) -> PathBuf {
        match of {
            // podman has CRIU write below the container's own folder, on the same disk.
            Stored::Images => self.0.checkpoints(),
            Stored::Archives => self.0.arrivals(),
        }
    }

    async fn first_process(&self, container: &Container) -> Result<Option<u32>, EngineError> {
        Ok(self.0.first_process(&container.id))
    }
}
