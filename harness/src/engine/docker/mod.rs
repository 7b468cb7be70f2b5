//! dockerd with its experimental features on, driven by its API: checkpoint by `/containers/ID/checkpoints`, restore by
//! `/containers/ID/start?checkpoint=NAME` of a container that was made and given the checkpoint's files.
//!
//! What is seen of Docker 26.1.5 and 28.5.2, and what this room does about it:
//! - 28.5 restores no container into a network of its own, so each joins a holder's (`containers.rs`);
//! - a checkpoint with `exit` can end with the container dead and no checkpoint: never asked for (`checkpoint.rs`);
//! - a checkpoint goes with its container: it is moved out of there (`checkpoint.rs`);
//! - a restore on the node that took the checkpoint may fail for a second: tried again (`restore.rs`);
//! - containerd forgets what it unpacked for a restore: removed (`leftovers.rs`);
//! - a checkpoint holds no files of the container's root: said as a capability (`daemon.rs`).

mod checkpoint;
mod classify;
mod client;
mod config;
mod containers;
mod daemon;
mod inspect;
mod leftovers;
mod restore;

use super::criu_options::NetworkLock;
use super::daemon::Daemon;
use super::network::Addresses;
use super::{
    Capabilities, Checkpoint, Container, ContainerSpec, Engine, EngineError, Restored, Slot, Stored, Supplies,
    criu_options, to_its_end,
};
use crate::engine::watchdog::Patience;
use crate::image::Image;
use crate::node::SharedNode;
use crate::record::{EngineKind, ErrorClass, MemoryReport, OutsideReport};
use async_trait::async_trait;
use bollard::Docker;
use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// What the names of the network namespaces begin with.
const NETNS: &str = "docker-";

/// Connects the engine for the table of engines.
pub(super) async fn connect(
    _: EngineKind,
    node: SharedNode,
    supplies: &dyn Supplies,
) -> Result<Arc<dyn Engine>, EngineError> {
    DockerEngine::connect(node, supplies.pause().await?).await
}

/// Which network containers join, which decides whether Docker can restore them: 28.5.2 restores into a network that is
/// there, and not into one that it makes for the container; 26.1.5 into each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// That of the slot's holder: has the slot's address.
    #[default]
    Holder,
    /// One of the container's own, on dockerd's bridge: nobody reaches it by the slot's address.
    Bridge,
    /// One of the container's own, without any address (`none`): nobody reaches it.
    None,
    /// The node's: nobody reaches it by the slot's address.
    Host,
}

/// dockerd on one node.
pub struct DockerEngine(Arc<Inner>);

/// What the engine's own tasks share with it: they may outlive a caller that stopped waiting.
struct Inner {
    node: SharedNode,
    network: Network,
    /// The image of the holders.
    pause: Arc<Image>,
    capabilities: Capabilities,
    containerd: Daemon,
    dockerd: Daemon,
    docker: OnceLock<Docker>,
    /// The line for CRIU's configuration, if this node's CRIU takes it.
    network_lock: Option<NetworkLock>,
    addresses: Mutex<Addresses>,
    /// Containers frozen by [`Engine::freeze`], not by a checkpoint that broke off.
    frozen: Mutex<HashSet<String>>,
    /// One lock a container: two checkpoints at once would spoil each other.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Checkpoints and restores that go on.
    active: Arc<AtomicU32>,
}

/// A checkpoint or a restore that goes on.
struct UnderWay(Arc<AtomicU32>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl DockerEngine {
    /// Writes the configuration into the node, starts containerd and dockerd there and waits until they answer. The
    /// registry of `pause`, the image of the holders, must be up.
    ///
    /// # Errors
    /// `Unsupported` if the node has no dockerd; `Surroundings` if it does not come up: the end of its log is in the error.
    pub async fn connect(node: SharedNode, pause: Arc<Image>) -> Result<Arc<dyn Engine>, EngineError> {
        Self::connect_with(node, pause, Network::default()).await
    }

    /// The same, with containers in another network than their holder's: what a Docker makes of it is then to be seen.
    ///
    /// # Errors
    /// As [`DockerEngine::connect`].
    pub async fn connect_with(
        node: SharedNode,
        pause: Arc<Image>,
        network: Network,
    ) -> Result<Arc<dyn Engine>, EngineError> {
        let capabilities = daemon::probe(&node).await?;
        let daemon = |name, log: &str| Daemon::new(Arc::clone(&node), name, config::in_home(log));
        let inner = Arc::new(Inner {
            containerd: daemon("docker's containerd", "containerd.log"),
            dockerd: daemon("dockerd", "dockerd.log"),
            docker: OnceLock::new(),
            network_lock: criu_options::network_lock(&node).await,
            addresses: Mutex::new(Addresses::of(EngineKind::Docker)),
            frozen: Mutex::default(),
            turns: Mutex::default(),
            active: Arc::default(),
            node,
            network,
            pause,
            capabilities,
        });
        daemon::configure(&inner.node, network).map_err(|e| inner.surroundings("write docker's configuration", e))?;
        inner.start_daemons().await?;
        let docker = client::connect(&inner.host(config::SOCKET)).await;
        let docker = docker.map_err(|e| inner.surroundings("reach dockerd", e))?;
        let _ = inner.docker.set(docker);
        Ok(Arc::new(DockerEngine(inner)))
    }
}

impl Inner {
    fn host(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.node.host_path(inside.as_ref())
    }

    /// The client. There is one as soon as dockerd has answered once, and nobody has this value before.
    fn docker(&self) -> &Docker {
        self.docker.get().expect("set before the engine is handed out")
    }

    /// Only maps and sets are kept in these: whole at any time, also after a panic elsewhere.
    fn lock<'a, T>(&self, what: &'a Mutex<T>) -> MutexGuard<'a, T> {
        what.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock that checkpoints, freezes and thaws of one container take in turn.
    fn turn(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.lock(&self.turns).entry(id.to_owned()).or_default())
    }

    fn under_way(&self) -> UnderWay {
        self.active.fetch_add(1, Ordering::AcqRel);
        UnderWay(Arc::clone(&self.active))
    }

    fn idle(&self) -> bool {
        self.active.load(Ordering::Acquire) == 0
    }
}

#[async_trait]
impl Engine for DockerEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Docker
    }

    fn node(&self) -> &SharedNode {
        &self.0.node
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    async fn prepare(&self, spec: &ContainerSpec) -> Result<Slot, EngineError> {
        let (inner, spec) = (Arc::clone(&self.0), spec.clone());
        to_its_end(async move { inner.prepare(&spec, None).await }).await
    }

    fn moved_address(&self) -> Result<(), String> {
        Ok(())
    }

    async fn prepare_at(&self, spec: &ContainerSpec, address: Ipv4Addr) -> Result<Slot, EngineError> {
        let (inner, spec) = (Arc::clone(&self.0), spec.clone());
        to_its_end(async move { inner.prepare(&spec, Some(address)).await }).await
    }

    async fn start(&self, slot: &Slot) -> Result<Container, EngineError> {
        let (inner, slot) = (Arc::clone(&self.0), slot.clone());
        to_its_end(async move { inner.start(&slot).await }).await
    }

    async fn create(&self, slot: &Slot) -> Result<Container, EngineError> {
        let (inner, slot) = (Arc::clone(&self.0), slot.clone());
        to_its_end(async move { inner.create(&slot, super::runc::classify::During::Start).await }).await
    }

    async fn network(&self, name: &str) -> Result<PathBuf, EngineError> {
        Ok(Path::new("/run/netns").join(containers::netns(name)))
    }

    async fn forget_image(&self, reference: &str) -> Result<(), EngineError> {
        self.0.forget_image(reference).await
    }

    async fn freeze(&self, container: &Container) -> Result<(), EngineError> {
        self.0.freeze(container).await
    }

    async fn thaw(&self, container: &Container) -> Result<(), EngineError> {
        self.0.thaw(container).await
    }

    async fn checkpoint(&self, container: &Container, name: &str) -> Result<Checkpoint, EngineError> {
        let (inner, container, name) = (Arc::clone(&self.0), container.clone(), name.to_owned());
        to_its_end(async move { inner.checkpoint(&container, &name).await }).await
    }

    async fn restore(&self, slot: &Slot, from: &Checkpoint) -> Result<Restored, EngineError> {
        let (inner, slot, from) = (Arc::clone(&self.0), slot.clone(), from.clone());
        to_its_end(async move { inner.restore(&slot, &from, Patience::Watch(restore::RESTORE_LIMIT)).await }).await
    }

    async fn restore_bare(&self, slot: &Slot, from: &Checkpoint, deadline: Duration) -> Result<Restored, EngineError> {
        let (inner, slot, from) = (Arc::clone(&self.0), slot.clone(), from.clone());
        to_its_end(async move { inner.restore(&slot, &from, Patience::Bare(deadline)).await }).await
    }

    async fn restore_image(&self, _slot: &Slot, reference: &str) -> Result<Restored, EngineError> {
        let message = format!("docker restores no images, so not `{reference}`");
        Err(EngineError::new(ErrorClass::Unsupported, message).hint("use the engine cri, or the medium `native`"))
    }

    async fn inspect(&self, container: &Container) -> Result<Option<OutsideReport>, EngineError> {
        self.0.inspect(container).await
    }

    fn memory(&self, container: &Container) -> Option<MemoryReport> {
        self.0.memory(container)
    }

    async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        let (inner, container) = (Arc::clone(&self.0), container.clone());
        to_its_end(async move { inner.remove(&container).await }).await
    }

    async fn discard(&self, slot: &Slot) -> Result<(), EngineError> {
        let (inner, slot) = (Arc::clone(&self.0), slot.clone());
        to_its_end(async move { inner.discard(&slot).await }).await
    }

    async fn left(&self) -> Result<Vec<String>, EngineError> {
        self.0.left().await
    }

    async fn collect_logs(&self, into: &Path) -> Result<(), EngineError> {
        self.0.collect_logs(into)
    }

    async fn kill_daemon(&self) -> Result<(), EngineError> {
        self.0.kill_daemons().await
    }

    async fn revive(&self) -> Result<(), EngineError> {
        let inner = Arc::clone(&self.0);
        to_its_end(async move { inner.revive().await }).await
    }

    fn runtime(&self) -> &'static str {
        "runc"
    }

    fn folder(&self, of: Stored) -> PathBuf {
        match of {
            Stored::Images => PathBuf::from(config::TMP),
            Stored::Archives => PathBuf::from(config::CHECKPOINTS),
        }
    }

    async fn first_process(&self, container: &Container) -> Result<Option<u32>, EngineError> {
        let what = format!("look for the process of container {}", container.slot.spec.name);
        self.0.pid(&container.id, super::runc::classify::During::Control, &what).await
    }
}
