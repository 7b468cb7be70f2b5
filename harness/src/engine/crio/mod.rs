//! CRI-O by the Container Runtime Interface: checkpoint by `CheckpointContainer`, restore by `CreateContainer` from the archive
//! (or a checkpoint image) and `StartContainer`.
//!
//! What is known of CRI-O 1.34.0 and shapes this room (each was run, or read in its sources where that is said):
//! - It thaws a container after each checkpoint, whoever froze it. So containers are frozen by the kernel's freezer, and a
//!   script between CRI-O and runc keeps CRI-O from knowing of it and from thawing (`config::RUNTIME`).
//! - Asked for a second sandbox of a name it gives the first one, and says nothing (read). So names are looked up here.
//! - The log of a restored container is not where it was asked for, but `ID.log` in the sandbox's folder of logs.
//! - The base image of a restore must be on the node: it is looked for by its id, in no registry (read).
//! - It tells whether a container was restored, in the verbose status.

mod checkpoint;
mod classify;
mod config;
mod containers;
mod daemon;
mod inspect;
mod leftovers;
mod probe;
mod restore;

use super::containerd::client::Client;
use super::containerd::criu_log::CriuLog;
use super::cri_api::{During, Sandboxes, Served, v1 as cri};
use super::daemon::Daemon;
use super::{
    Capabilities, Checkpoint, Container, ContainerSpec, Engine, EngineError, Restored, Slot, Stored, Supplies, cni,
    containerd, criu_options, to_its_end,
};
use crate::node::SharedNode;
use crate::record::{CriuChoices, EngineKind, ErrorClass, MemoryReport, OutsideReport};
use async_trait::async_trait;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long CRIU may take to restore; it is killed then.
const RESTORE_LIMIT: Duration = Duration::from_secs(120);

/// CRI-O on one node.
pub struct CrioEngine(Arc<Inner>);

/// What the engine's own tasks share with it: they may outlive a caller that stopped waiting.
struct Inner {
    node: SharedNode,
    client: Client,
    criu: CriuLog,
    network_lock: Option<criu_options::NetworkLock>,
    daemon: Daemon,
    capabilities: Capabilities,
    state: Mutex<State>,
    serial: AtomicU64,
}

#[derive(Default)]
struct State {
    /// By sandbox id: CRI wants the sandbox's configuration again with every container.
    sandboxes: HashMap<String, cri::PodSandboxConfig>,
    /// One lock a container: its checkpoints, freezes and thaws take turns.
    turns: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
}

/// The engine `cri-crio`; see [`super::connect`].
pub(super) async fn connect(
    kind: EngineKind,
    node: SharedNode,
    supplies: &dyn Supplies,
) -> Result<Arc<dyn Engine>, EngineError> {
    let capabilities = probe::capabilities(&node).await?;
    let pause = supplies.pause().await?;
    let stand_in = config::home("pinns");
    let pinns = probe::pinns(&node).await.unwrap_or_else(|| stand_in.clone());
    let files = [
        (config::home("crio.conf"), config::crio(&pause.reference, &pinns)),
        (config::home("cni/10-podferry.conflist"), cni::pods(&config::home("addresses"), kind, node.pod_network())),
        (config::home("runtime"), config::RUNTIME.to_owned()),
        (stand_in, config::PINNS.to_owned()),
    ];
    let folders =
        [config::TMP, config::CHECKPOINTS, &config::held(), &config::home("policies"), &config::home("conf.d")];
    containerd::write(&node, files, &folders)?;
    if !node.host_path(Path::new(config::POLICY)).exists() {
        containerd::write(&node, [(config::POLICY.to_owned(), config::EVERYBODY.to_owned())], &[])?;
    }
    daemon::make_executable(&node, &["runtime", "pinns"])?;
    let inner = Inner {
        client: Client::new(&node.host_path(Path::new(&config::socket())), "k8s.io"),
        criu: CriuLog::new(node.host_path(Path::new(&config::criu_log()))),
        network_lock: criu_options::network_lock(&node).await,
        daemon: Daemon::new(Arc::clone(&node), "crio", config::home("crio.log")),
        capabilities,
        state: Mutex::default(),
        serial: AtomicU64::new(0),
        node,
    };
    inner.start_daemon().await?;
    Ok(Arc::new(CrioEngine(Arc::new(inner))))
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Only maps are kept in it: whole at any time, also after a panic elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that this engine gives once.
    fn next(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    fn turn(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.state().turns.entry(id.to_owned()).or_default())
    }

    fn host(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.node.host_path(inside.as_ref())
    }

    fn surroundings(&self, what: &str, why: impl std::fmt::Display) -> EngineError {
        containerd::broken(&self.node, what, why)
    }

    /// An error of this node in the words `can't WHAT on node NAME: SAID`, with its class.
    fn error(&self, during: During, what: &str, said: &tonic::Status, criu: Vec<String>) -> EngineError {
        let class = match said.code() {
            // Only the connection itself makes this code.
            tonic::Code::Unavailable => ErrorClass::DaemonGone,
            tonic::Code::Unimplemented => ErrorClass::Unsupported,
            _ => classify::classify(during, said.message(), &criu),
        };
        let (short, quoted) = classify::without_quotes(said.message());
        let criu = if criu.is_empty() { quoted } else { criu };
        let message = format!("can't {what} on node {}: {short}", self.node.name());
        let message = super::criu_log::named(class, message, &criu);
        EngineError { class, message, hint: classify::hint_during(during, class), log: criu }
    }
}

impl Sandboxes for Inner {
    type Server = Inner;

    fn server(&self) -> &Inner {
        self
    }

    fn config_of(&self, sandbox: &str) -> Option<cri::PodSandboxConfig> {
        self.state().sandboxes.get(sandbox).cloned()
    }

    fn criu_file(&self, choices: &CriuChoices) -> Result<String, EngineError> {
        let file = config::criu_file(choices);
        let text = config::criu(choices, self.network_lock);
        std::fs::write(self.host(&file), text).map_err(|e| self.surroundings("write CRIU's options", e))?;
        Ok(file)
    }
}

impl Served for Inner {
    fn on(&self) -> &SharedNode {
        &self.node
    }

    fn runtime_service(&self) -> cri::runtime_service_client::RuntimeServiceClient<tonic::transport::Channel> {
        self.client.runtime.clone()
    }

    fn image_service(&self) -> cri::image_service_client::ImageServiceClient<tonic::transport::Channel> {
        self.client.images.clone()
    }

    async fn answer<T: Send>(
        &self,
        during: During,
        what: &str,
        limit: Duration,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>> + Send,
    ) -> Result<T, EngineError> {
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.error(during, what, &status, Vec::new())),
            Err(_) => {
                let message =
                    format!("can't {what} on node {}: crio did not answer within {limit:?}", self.node.name());
                Err(EngineError::new(ErrorClass::Timeout, message))
            }
        }
    }
}

#[async_trait]
impl Engine for CrioEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::CriCrio
    }

    fn node(&self) -> &SharedNode {
        &self.0.node
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    async fn prepare(&self, spec: &ContainerSpec) -> Result<Slot, EngineError> {
        let (inner, spec) = (Arc::clone(&self.0), spec.clone());
        to_its_end(async move { inner.prepare(&spec).await }).await
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

    async fn restore_bare(&self, slot: &Slot, from: &Checkpoint, deadline: Duration) -> Result<Restored, EngineError> {
        let (inner, slot, from) = (Arc::clone(&self.0), slot.clone(), from.clone());
        to_its_end(async move { inner.restore_bare(&slot, &from, deadline).await }).await
    }

    async fn inspect(&self, container: &Container) -> Result<Option<OutsideReport>, EngineError> {
        self.0.inspect(container).await
    }

    fn memory(&self, container: &Container) -> Option<MemoryReport> {
        self.0.group(container).memory()
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
        self.0.daemon.kill().await
    }

    async fn revive(&self) -> Result<(), EngineError> {
        let inner = Arc::clone(&self.0);
        to_its_end(async move { inner.revive().await }).await
    }

    async fn start_again(&self) -> Result<(), EngineError> {
        let inner = Arc::clone(&self.0);
        to_its_end(async move { inner.start_daemon().await }).await
    }

    fn runtime(&self) -> &'static str {
        "runc"
    }

    fn folder(&self, _: Stored) -> PathBuf {
        // CRIU's images lie below the container's own folder, on the same disk.
        PathBuf::from(config::CHECKPOINTS)
    }

    async fn first_process(&self, container: &Container) -> Result<Option<u32>, EngineError> {
        self.0.first_process(container).await
    }
}
