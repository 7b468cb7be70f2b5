//! containerd by the Container Runtime Interface (CRI v1): checkpoint by `CheckpointContainer`, restore by
//! `CreateContainer` from the archive (or a checkpoint image) and `StartContainer`.
//!
//! The rules that this room keeps, each because breaking it was seen to end in a container that stays frozen for ever,
//! a restore that never ends, or a lost write (containerd 2.1.9, criu 4.2.1):
//! - no deadline on a checkpoint, no cancelling, one at a time a container (`checkpoint.rs`);
//! - a restore is watched, and CRIU is killed when it spins (`restore.rs`);
//! - a frozen container is removed without being thawed, or it would answer clients once more (`containers.rs`);
//! - what a dead daemon left frozen is thawed when it comes back (`containerd/orphans.rs`).

mod bare;
mod checkpoint;
mod config;
mod containers;
mod crun;
mod inspect;
pub(super) mod kubelet;
mod leftovers;
mod network;
mod placed;
mod restore;
mod tasks;

use super::containerd::classify::During;
use super::containerd::{self, Containerd, Places, generated};
use super::cri_api::{Sandboxes, Served};
use super::{
    BareCheckpoint, Capabilities, Checkpoint, Container, ContainerSpec, Engine, EngineError, Migration, Moved,
    Restored, Slot, Stored, Strategies, Supplies, cni, target_of, to_its_end,
};
use crate::image::Image;
use crate::node::SharedNode;
use crate::record::{CriuChoices, EngineKind, ErrorClass, MemoryReport, OutsideReport, Strategy};
use async_trait::async_trait;
use generated::runtime::v1::PodSandboxConfig;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What can be chosen of the engine.
#[derive(Clone, Debug)]
pub struct CriOptions {
    /// The image of the sandbox's own container: any that waits for ever. The node's registry must serve it.
    pub pause: Arc<Image>,
    /// The OCI runtime: a name on the node's `PATH`, or a path.
    pub runtime: String,
    /// Write archives into the folder that the nodes share, where there is one, so that nothing need be carried.
    pub shared_archives: bool,
    /// How long CRIU may take to restore; it is killed then.
    pub restore_limit: Duration,
    /// Have a containerd restore all the same whose version is known to restore none: whether that is so.
    pub restore_anyway: bool,
}

impl CriOptions {
    /// runc, archives on the node's own disk, and two minutes for a restore.
    pub fn new(pause: Arc<Image>) -> Self {
        CriOptions {
            pause,
            runtime: "runc".to_owned(),
            shared_archives: false,
            restore_limit: Duration::from_secs(120),
            restore_anyway: false,
        }
    }
}

/// The engines `cri` and `cri-crun` with their usual options; see [`super::connect`].
pub(super) async fn connect(
    kind: EngineKind,
    node: SharedNode,
    supplies: &dyn Supplies,
) -> Result<Arc<dyn Engine>, EngineError> {
    let options = CriOptions::new(supplies.pause().await?);
    match kind {
        EngineKind::CriCrun => crun::connect(node, options).await,
        _ => CriEngine::connect(node, options).await,
    }
}

/// containerd on one node.
pub struct CriEngine(Arc<Inner>);

/// What the engine's own tasks share with it: they may outlive a caller that stopped waiting.
struct Inner {
    containerd: Containerd,
    options: CriOptions,
    capabilities: Capabilities,
    state: Mutex<State>,
    serial: AtomicU64,
    /// Sandboxes are made side by side, but for one that gets an address from elsewhere: that is alone.
    addressing: tokio::sync::RwLock<()>,
    groups: Groups,
}

/// Who names control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Groups {
    /// The runtime, by the container's id alone.
    Cgroupfs,
    /// systemd, by its units.
    Systemd,
}

/// What all engines of containerd share is called as if it were this one's own.
impl std::ops::Deref for Inner {
    type Target = Containerd;

    fn deref(&self) -> &Containerd {
        &self.containerd
    }
}

#[derive(Default)]
struct State {
    /// By sandbox id: CRI wants the sandbox's configuration again with every container.
    sandboxes: HashMap<String, PodSandboxConfig>,
    /// What bare checkpoints that failed may have written.
    bare_archives: Vec<PathBuf>,
}

impl CriEngine {
    /// Writes the configuration of containerd, CNI and CRIU into the node, starts containerd there, waits until it is
    /// ready and has the sandbox image. The registry of [`CriOptions::pause`] must be up.
    ///
    /// # Errors
    /// `Surroundings` if containerd is not there or does not come up; the end of its log is in the error.
    pub async fn connect(node: SharedNode, options: CriOptions) -> Result<Arc<dyn Engine>, EngineError> {
        Self::connect_as(EngineKind::Cri, node, options, String::new()).await
    }

    async fn connect_as(
        kind: EngineKind,
        node: SharedNode,
        options: CriOptions,
        over: String,
    ) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(Arc::new(Self::connected(kind, node, options, over).await?))
    }

    async fn connected(
        kind: EngineKind,
        node: SharedNode,
        options: CriOptions,
        over: String,
    ) -> Result<CriEngine, EngineError> {
        let asked = containerd::probe(&node, |support| (support.checkpoint.clone(), support.restore.clone())).await;
        let (mut capabilities, support) = asked?;
        capabilities.version += &over;
        if support.switched {
            capabilities.version += " (restore switched on in its configuration)";
        }
        capabilities.bare_checkpoint = Ok(());
        if options.restore_anyway {
            capabilities.restore = Ok(());
        }
        let placed = placed::able(support.number, node.shared_dir().is_some());
        capabilities.strategies =
            Strategies::default().with(Strategy::Placed, capabilities.checkpoint.clone().and(placed));
        let daemon = Containerd::new(node, kind, "k8s.io", &options.runtime).await;
        let places = &daemon.places;
        let pause = &options.pause.reference;
        let registry = pause.split('/').next().unwrap_or_default();
        // What a kubelet's containerd counts is evidence of each case.
        let counted = if kind == EngineKind::Kubelet { kubelet::CONTAINERD_COUNTS } else { "" };
        let config = config::containerd(places, &support, pause, &options.runtime) + counted;
        let files = [
            (places.config(), config),
            (places.in_home(&format!("certs.d/{registry}/hosts.toml")), config::hosts(registry)),
            (places.in_home(config::CNI), cni::pods(&places.in_home("addresses"), kind, daemon.node.pod_network())),
        ];
        containerd::write(&daemon.node, files, &[&places.tmp, &places.checkpoints])?;
        let inner = Inner::of(daemon, options, capabilities, Groups::Cgroupfs);
        inner.containerd.start().await?;
        inner.same_version(&support).await?;
        inner.pull(&inner.options.pause.reference, During::Start).await?;
        Ok(CriEngine(inner))
    }

    /// A containerd that somebody else started under systemd; nothing of its configuration is changed.
    async fn foreign(
        kind: EngineKind,
        node: SharedNode,
        options: CriOptions,
        places: Places,
        groups: Groups,
        switched_on: bool,
    ) -> Result<CriEngine, EngineError> {
        let asked = containerd::probe(&node, |support| (support.checkpoint.clone(), support.restore.clone())).await;
        let (mut capabilities, support) = asked?;
        if support.switched && !switched_on {
            let why =
                format!("enable_experimental_restore_via_create is off in its configuration on node {}", node.name());
            (capabilities.restore, capabilities.restore_image) = (Err(why.clone()), Err(why));
        }
        capabilities.daemon = Err("systemd starts it again".to_owned());
        let daemon = Containerd::foreign(places, node, kind, &options.runtime).await?;
        let places = &daemon.places;
        containerd::write(&daemon.node, [], &[&places.home, &places.checkpoints])?;
        let inner = Inner::of(daemon, options, capabilities, groups);
        inner.same_version(&support).await?;
        Ok(CriEngine(inner))
    }
}

impl Sandboxes for Inner {
    type Server = Containerd;

    fn server(&self) -> &Containerd {
        &self.containerd
    }

    fn config_of(&self, sandbox: &str) -> Option<PodSandboxConfig> {
        self.state().sandboxes.get(sandbox).cloned()
    }

    fn criu_file(&self, choices: &CriuChoices) -> Result<String, EngineError> {
        self.write_criu_config(choices)?;
        Ok(self.places.criu_config(choices))
    }
}

impl Inner {
    fn of(containerd: Containerd, options: CriOptions, capabilities: Capabilities, groups: Groups) -> Arc<Inner> {
        Arc::new(Inner {
            containerd,
            options,
            capabilities,
            state: Mutex::default(),
            serial: AtomicU64::new(0),
            addressing: tokio::sync::RwLock::default(),
            groups,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Only maps are kept in it: whole at any time, also after a panic elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that this engine gives once.
    fn next(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }
}

#[async_trait]
impl Engine for CriEngine {
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

    fn pods(&self) -> Result<(), String> {
        Ok(())
    }

    async fn prepare_pod(&self, pod: &str, specs: &[ContainerSpec]) -> Result<Vec<Slot>, EngineError> {
        let (inner, pod, specs) = (Arc::clone(&self.0), pod.to_owned(), specs.to_owned());
        to_its_end(async move { inner.prepare_pod(&pod, &specs).await }).await
    }

    async fn freeze_pod(&self, pod: &str, containers: &[Container]) -> Result<(), EngineError> {
        let (inner, pod, containers) = (Arc::clone(&self.0), pod.to_owned(), containers.to_owned());
        to_its_end(async move { inner.freeze_pod(&pod, &containers).await }).await
    }

    async fn start(&self, slot: &Slot) -> Result<Container, EngineError> {
        let (inner, slot) = (Arc::clone(&self.0), slot.clone());
        to_its_end(async move { inner.start(&slot).await }).await
    }

    async fn create(&self, slot: &Slot) -> Result<Container, EngineError> {
        let (inner, slot) = (Arc::clone(&self.0), slot.clone());
        to_its_end(async move { inner.create(&slot, &slot.spec.image.reference, During::Start).await }).await
    }

    async fn network(&self, name: &str) -> Result<PathBuf, EngineError> {
        self.0.network(name).await
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
        to_its_end(async move { inner.restore_archive(&slot, &from).await }).await
    }

    async fn restore_image(&self, slot: &Slot, reference: &str) -> Result<Restored, EngineError> {
        let (inner, slot, reference) = (Arc::clone(&self.0), slot.clone(), reference.to_owned());
        to_its_end(async move { inner.restore_image(&slot, &reference).await }).await
    }

    /// As a client that goes away would have it: not in a task of its own.
    async fn checkpoint_bare(&self, container: &Container, bare: &BareCheckpoint) -> Result<Checkpoint, EngineError> {
        self.0.checkpoint_bare(container, bare).await
    }

    async fn restore_bare(&self, slot: &Slot, from: &Checkpoint, deadline: Duration) -> Result<Restored, EngineError> {
        let (inner, slot, from) = (Arc::clone(&self.0), slot.clone(), from.clone());
        to_its_end(async move { inner.restore_bare(&slot, &from, deadline).await }).await
    }

    async fn start_again(&self) -> Result<(), EngineError> {
        let inner = Arc::clone(&self.0);
        to_its_end(async move { inner.containerd.start().await }).await
    }

    async fn heal(&self) -> Result<(), EngineError> {
        self.0.heal().await
    }

    async fn migrate_to(&self, migration: &Migration) -> Result<Moved, EngineError> {
        let (Strategy::Placed, Some(target)) = (migration.strategy, target_of::<CriEngine>(migration)) else {
            let message = format!("cri has no migration by {} to {}", migration.strategy, migration.target.kind());
            return Err(EngineError::new(ErrorClass::Unsupported, message));
        };
        let (inner, target, migration) = (Arc::clone(&self.0), Arc::clone(&target.0), migration.clone());
        to_its_end(async move { inner.place(&target, &migration).await }).await
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
        to_its_end(async move { inner.remove_sandbox(&slot.spec.name, &slot.handle).await }).await
    }

    async fn left(&self) -> Result<Vec<String>, EngineError> {
        self.0.left().await
    }

    async fn collect_logs(&self, into: &Path) -> Result<(), EngineError> {
        self.0.collect_logs(into)
    }

    async fn kill_daemon(&self) -> Result<(), EngineError> {
        self.0.kill().await
    }

    async fn revive(&self) -> Result<(), EngineError> {
        let inner = Arc::clone(&self.0);
        to_its_end(async move { inner.revive().await }).await
    }

    fn runtime(&self) -> &str {
        &self.0.runtime
    }

    fn folder(&self, of: Stored) -> PathBuf {
        match of {
            Stored::Images => PathBuf::from(&self.0.places.tmp),
            Stored::Archives => PathBuf::from(&self.0.places.checkpoints),
        }
    }

    async fn first_process(&self, container: &Container) -> Result<Option<u32>, EngineError> {
        self.0.first_process(container).await
    }
}
