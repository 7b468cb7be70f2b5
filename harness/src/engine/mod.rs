//! Engines: what makes containers, freezes, checkpoints and restores them. One value of [`Engine`] serves one node; a
//! migration is composed of two of them in the room `run`, so that every engine has every leg timed alike.

mod archive_file;
mod attributes;
mod calls;
mod capabilities;
mod cni;
mod containerd;
pub mod cri;
mod cri_api;
pub mod crio;
mod criu_log;
mod criu_options;
mod criu_processes;
mod criu_words;
mod ctr;
mod daemon;
pub mod docker;
mod failing;
mod group;
mod kernel;
mod layers;
#[cfg(test)]
mod layers_tests;
mod meta;
mod migration;
mod mounts;
mod network;
pub mod podman;
mod pods;
mod port;
mod probe;
mod registry;
pub mod runc;
mod unseizable;
mod watchdog;
mod yards;

pub use self::migration::{Arrived, Migration, Moved, Strategies, Timed, TimedPhase, target_of};
pub(crate) use calls::calls;
pub use capabilities::Capabilities;
pub use containerd::version::restores;
pub use probe::refuses_sockets;
pub use registry::{Supplied, Supplies, connect, no_cluster};

use crate::archive::Form;
use crate::image::Image;
use crate::node::SharedNode;
use crate::record::{CriuChoices, EngineKind, ErrorClass, Failure, GiveUp, MemoryReport, OutsideReport, Trick};
use async_trait::async_trait;
use std::any::Any;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use port::Port;

/// A container that is to be made. Everything that both a cold start and a restore need.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// Its name: unique on the node, at most 40 characters of `[a-z0-9-]`.
    pub name: String,
    /// The image.
    pub image: Arc<Image>,
    /// Program and arguments; empty: the image's own.
    pub args: Vec<String>,
    /// Added to the image's environment.
    pub env: Vec<(String, String)>,
    /// The user that its program runs as: root, or one that CRIU needs more for (`CAP_SYS_RESOURCE`).
    pub user: u32,
    /// Memory limit in bytes.
    pub memory_limit: Option<u64>,
    /// Folders of the node that are mounted into it. A restore must be given every one that the checkpointed container
    /// had, by its path in the container; where it lies on the node may differ.
    pub mounts: Vec<Mount>,
    /// What CRIU is told to do with what it does not carry by itself.
    pub criu: CriuChoices,
    /// What is left out of what the engine does to be fast; of its [`Engine::tricks`].
    pub without: BTreeSet<Trick>,
}

impl ContainerSpec {
    /// Whether the engine is to do this.
    pub fn does(&self, trick: Trick) -> bool {
        !self.without.contains(&trick)
    }
}

/// A folder of the node inside of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// On the node; it must be there.
    pub source: PathBuf,
    /// In the container.
    pub target: PathBuf,
}

/// A place for a container, made before it is started or restored, so that making it does not count as downtime: the
/// image is there, the sandbox and its network are up.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The container that is to live here.
    pub spec: ContainerSpec,
    /// Its address; unspecified where it has none before its container is started (kubelet): the container's own slot tells
    /// it then.
    pub address: Ipv4Addr,
    /// The engine's own handle: the sandbox's id (cri), the network namespace's name (runc), the pod's name (kubelet).
    pub handle: String,
}

/// A container that was started or restored.
#[derive(Clone, Debug)]
pub struct Container {
    /// The engine's own id.
    pub id: String,
    /// Where it lives.
    pub slot: Slot,
    /// Its log, inside the node.
    pub log: PathBuf,
}

/// A checkpoint: an archive, or a folder of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Unique name; also the file or folder name.
    pub name: String,
    /// The engine that wrote it.
    pub engine: EngineKind,
    /// Where it is, inside the node.
    pub path: PathBuf,
    /// Whether `path` is an archive file or a folder.
    pub archive: bool,
    /// Whether it lies in the folder that the nodes share, so that it need not be carried.
    pub shared: bool,
}

impl Checkpoint {
    /// How it is kept.
    pub fn form(&self) -> Form {
        match self.engine {
            _ if !self.archive => Form::ImageFolder,
            EngineKind::Podman | EngineKind::PodmanRunc | EngineKind::CriCrio => Form::PodmanArchive,
            EngineKind::Ctr => Form::OciArchive,
            _ => Form::CriArchive,
        }
    }
}

/// How long each call of a restore took: reported apart, since CRI has two.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The container.
    pub container: Container,
    /// When the create call began, if there is one, and when the restore (start) call began and ended.
    pub create_from: Option<crate::record::At>,
    /// See `create_from`.
    pub restore_from: crate::record::At,
    /// See `create_from`.
    pub restore_to: crate::record::At,
}

/// What an engine writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// CRIU's images.
    Images,
    /// Checkpoints as they are kept, and as they arrive from another node.
    Archives,
}

/// A checkpoint as a naive client takes it.
#[derive(Clone, Debug)]
pub struct BareCheckpoint {
    /// The file's name.
    pub name: String,
    /// The archive whose path is used again; `None`: a path made of the name.
    pub over: Option<PathBuf>,
    /// When the client gives up.
    pub give_up: Option<GiveUp>,
}

/// An engine on one node.
///
/// No method may be cancelled by dropping its future while a checkpoint is under way: containerd 2.1 leaves the
/// container frozen for ever then. Implementations run such calls to their end in a task of their own, with a watchdog
/// that looks before it acts.
#[async_trait]
pub trait Engine: Any + Send + Sync {
    /// Which engine this is.
    fn kind(&self) -> EngineKind;

    /// The node that it is on.
    fn node(&self) -> &SharedNode;

    /// What it does to keep a migration short, and can leave out.
    fn tricks(&self) -> &'static [Trick] {
        &[]
    }

    /// What it can do.
    fn capabilities(&self) -> &Capabilities;

    /// Makes room for a container: image, sandbox, network, address.
    async fn prepare(&self, spec: &ContainerSpec) -> Result<Slot, EngineError>;

    /// Whether a slot can have the address of a container of another node; `Err` says why not.
    fn moved_address(&self) -> Result<(), String> {
        Err(format!("{} chooses its containers' addresses by itself", self.kind()))
    }

    /// [`Engine::prepare`] with this address, which a container of another node has until it is moved here. Nobody is led
    /// here by it yet.
    async fn prepare_at(&self, spec: &ContainerSpec, address: Ipv4Addr) -> Result<Slot, EngineError> {
        let why = self.moved_address().err().unwrap_or_else(|| "it does not say how".to_owned());
        let message = format!("can't give container {} the address {address}: {why}", spec.name);
        Err(EngineError::new(ErrorClass::Unsupported, message))
    }

    /// Whether several containers can be in one pod; `Err` says why not.
    fn pods(&self) -> Result<(), String> {
        Err(format!("podferry makes no pods with {}", self.kind()))
    }

    /// Makes room for the containers of a pod, which share a network and a control group: a slot for each, in their order.
    /// They go together: an engine may remove the whole pod with any of them.
    async fn prepare_pod(&self, pod: &str, _: &[ContainerSpec]) -> Result<Vec<Slot>, EngineError> {
        let why = self.pods().err().unwrap_or_else(|| "it does not say how".to_owned());
        Err(EngineError::new(ErrorClass::Unsupported, format!("can't make pod {pod}: {why}")))
    }

    /// Freezes all containers of a pod at one instant. On an error some may be frozen.
    async fn freeze_pod(&self, pod: &str, _: &[Container]) -> Result<(), EngineError> {
        let why = self.pods().err().unwrap_or_else(|| "it does not say how".to_owned());
        Err(EngineError::new(ErrorClass::Unsupported, format!("can't freeze pod {pod}: {why}")))
    }

    /// Starts the container in its slot.
    async fn start(&self, slot: &Slot) -> Result<Container, EngineError>;

    /// Whether a container can be made without being started; `Err` says why not.
    fn unstarted(&self) -> Result<(), String> {
        Ok(())
    }

    /// Makes the container in its slot and does not start it.
    async fn create(&self, slot: &Slot) -> Result<Container, EngineError>;

    /// The network namespace of a container or of its slot, by the container's name: its path in the node.
    async fn network(&self, name: &str) -> Result<PathBuf, EngineError>;

    /// Removes the image that the node keeps under a reference, so that it has to get it anew. Gone already is no error.
    /// `Err(Unsupported)` for engines that get no images.
    async fn forget_image(&self, reference: &str) -> Result<(), EngineError>;

    /// Freezes all its tasks. Freezing a frozen container is no error.
    async fn freeze(&self, container: &Container) -> Result<(), EngineError>;

    /// Thaws them. Thawing a container that is not frozen is no error.
    async fn thaw(&self, container: &Container) -> Result<(), EngineError>;

    /// Takes a checkpoint and leaves the container there: frozen if it was frozen, else running. On an error the
    /// container is as it was before, thawed if it was, and no partial archive is left.
    async fn checkpoint(&self, container: &Container, name: &str) -> Result<Checkpoint, EngineError>;

    /// Takes a checkpoint of a container that runs, with which the container ends: CRIU freezes it and kills it after the
    /// dump, so that nothing is acknowledged that is in no image. For [`Trick::PauseFirst`] left out. On an error the
    /// container goes on.
    async fn checkpoint_last(&self, container: &Container, _name: &str) -> Result<Checkpoint, EngineError> {
        let message = format!("{} ends no container with its checkpoint, so not {}", self.kind(), container.id);
        Err(EngineError::new(ErrorClass::Unsupported, message))
    }

    /// Restores a checkpoint that is on this node into a slot of this node.
    async fn restore(&self, slot: &Slot, from: &Checkpoint) -> Result<Restored, EngineError>;

    /// Restores from a checkpoint OCI image that the node's registry serves under `reference`.
    async fn restore_image(&self, slot: &Slot, reference: &str) -> Result<Restored, EngineError>;

    /// The bare call of a checkpoint, without all that [`Engine::checkpoint`] does against the traps of the stack: no turn
    /// of its own, no fresh path, no watchdog, nothing put back. What it leaves, [`Engine::heal`] puts right. For
    /// scenarios that show those traps, and nothing else.
    async fn checkpoint_bare(&self, _: &Container, _: &BareCheckpoint) -> Result<Checkpoint, EngineError> {
        let kind = self.kind();
        Err(EngineError::new(ErrorClass::Unsupported, format!("{kind} has no bare checkpoint: use the engine cri")))
    }

    /// The bare calls of a restore, likewise: no folder made for the log, no watchdog. After `deadline` the client gives
    /// up, and what still runs of the restore is killed, since nobody else would ever end it.
    async fn restore_bare(&self, slot: &Slot, from: &Checkpoint, deadline: Duration) -> Result<Restored, EngineError>;

    /// Puts right what bare calls left on the node: waits until no CRIU runs, thaws what nobody froze, removes what they
    /// wrote and nobody has.
    async fn heal(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Moves a container that runs to another node by a strategy that is this engine's own (see [`Capabilities::strategies`]):
    /// freezes it, dumps it, restores it in the slot there. It returns when the copy runs; the source is frozen or gone
    /// then, and [`Engine::remove`] removes what is left of it. On an error nothing is left of the copy but its slot, and
    /// the source goes on, unless it ended with its dump: then the message says so.
    async fn migrate_to(&self, migration: &Migration) -> Result<Moved, EngineError> {
        let (kind, strategy) = (self.kind(), migration.strategy);
        Err(EngineError::new(ErrorClass::Unsupported, format!("{kind} has no migration by {strategy}")))
    }

    /// What the engine and the node's kernel say of it. A container that is gone is `Ok(None)`.
    async fn inspect(&self, container: &Container) -> Result<Option<OutsideReport>, EngineError>;

    /// What the kernel says of its memory; `None` if its control group is not there. Cheap: no program is run.
    fn memory(&self, container: &Container) -> Option<MemoryReport>;

    /// Ends it at once (also when frozen) and removes it with its slot. Gone already is no error.
    async fn remove(&self, container: &Container) -> Result<(), EngineError>;

    /// Removes a slot that holds no container.
    async fn discard(&self, slot: &Slot) -> Result<(), EngineError>;

    /// Names of containers, sandboxes, tasks and checkpoint files that are still there; for the leak check.
    async fn left(&self) -> Result<Vec<String>, EngineError>;

    /// Copies the engine's logs (daemon, CRIU's dump and restore logs) into a folder on the host.
    async fn collect_logs(&self, into: &Path) -> Result<(), EngineError>;

    /// What its daemons count of themselves, each by its name, in the form of Prometheus. Engines whose daemons count nothing
    /// that is of use have none.
    async fn counters(&self) -> Vec<(&'static str, Result<String, EngineError>)> {
        Vec::new()
    }

    /// Kills the engine's daemon with SIGKILL, as a fault. `Err(Unsupported)` for engines that have none.
    async fn kill_daemon(&self) -> Result<(), EngineError>;

    /// Brings the engine back after [`Engine::kill_daemon`]; thaws what it finds frozen.
    async fn revive(&self) -> Result<(), EngineError>;

    /// Starts the daemon again after [`Engine::kill_daemon`] as a service manager does: nothing that its death left is put
    /// right, see [`Engine::heal`].
    async fn start_again(&self) -> Result<(), EngineError> {
        self.revive().await
    }

    /// The OCI runtime that it calls, by its name on the node's `PATH` or by its path.
    fn runtime(&self) -> &str;

    /// A folder inside the node that it writes such things to.
    fn folder(&self, of: Stored) -> PathBuf;

    /// The id, inside the node, of a container's first process.
    async fn first_process(&self, container: &Container) -> Result<Option<u32>, EngineError>;
}

/// Runs what must not be cancelled in a task of its own: a caller that stops waiting changes nothing.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, EngineError>> + Send + 'static,
) -> Result<T, EngineError> {
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(e) => Err(EngineError::new(ErrorClass::Other, format!("an engine call broke off: {e}"))),
    }
}

/// Why an engine call failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// Its kind.
    pub class: ErrorClass,
    /// What was tried, on what, and what the engine said; lower case.
    pub message: String,
    /// What the user can do.
    pub hint: Option<String>,
    /// The lines of CRIU's log that matter.
    pub log: Vec<String>,
}

impl EngineError {
    /// An error of a class.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        EngineError { class, message: message.into(), hint: None, log: Vec::new() }
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Failure> for EngineError {
    fn from(f: Failure) -> Self {
        EngineError { class: f.class, message: f.message, hint: f.hint, log: f.log }
    }
}

impl From<EngineError> for Failure {
    fn from(e: EngineError) -> Self {
        Failure { class: e.class, message: e.message, hint: e.hint, log: e.log }
    }
}
