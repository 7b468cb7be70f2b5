//! What the cases of a run share: nodes with their engines, images, the registry that serves them.

use super::case::Live;
use super::faults::Faults;
use super::preparation::{Preparations, Prepared};
use crate::client::Vantage;
use crate::cluster::Cluster;
use crate::engine::{self, Engine, EngineError, Supplies};
use crate::fault::Gate;
use crate::fault::Shelf;
use crate::image::{Image, Registry, Store};
use crate::node::SharedNode;
use crate::provider::{Ending, Provider};
use crate::record::{EngineKind, ErrorClass, Event, Failure, Leak, NodeRecord};
use crate::run::Ground;
use crate::run::recorder::Recorder;
use crate::scenario::plan::Case;
use crate::workload::Target;
use async_trait::async_trait;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;

/// Where the registry of each node listens, inside the node: the address that references of images begin with.
const REGISTRY_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// The node of a cluster's control plane.
const CONTROL_PLANE: &str = "control-plane";

/// Where images are kept.
#[derive(Clone)]
pub struct Stores {
    /// Workloads' images, kept from run to run.
    pub lasting: Arc<Store>,
    /// Checkpoint images, which hold memory: they go with the run.
    pub of_run: Arc<Store>,
}

/// Nodes, engines and images of a run. Nodes are made when a case first asks for them and serve the cases after it;
/// after a case that failed or leaked they are made anew, so that no case suffers from one before it.
pub(crate) struct World {
    /// The node image, if there are several.
    image: Option<String>,
    provider: Arc<dyn Provider>,
    /// Images that last, and checkpoint images that go with the run.
    stores: Stores,
    preparations: Preparations,
    /// Where the cluster's kubeconfig goes, if there is to be a cluster.
    kubernetes: Option<PathBuf>,
    /// Made when an engine first asks for it; it goes with the nodes.
    cluster: Mutex<Option<Arc<Cluster>>>,
    recorder: Arc<Recorder>,
    /// What is broken at the moment.
    pub(super) faults: Faults,
    /// Where the next transfer is held until a fault is there.
    gate: std::sync::Mutex<Option<Gate>>,
    nodes: Mutex<BTreeMap<String, InUse>>,
    /// Whether cases of other worlds run at the same time.
    shared: AtomicBool,
    /// Whether something of a case was left on the nodes on purpose.
    untidy: AtomicBool,
    /// The same nodes, for calls that cannot wait.
    roots: std::sync::Mutex<BTreeMap<String, SharedNode>>,
}

struct InUse {
    node: SharedNode,
    engines: BTreeMap<EngineKind, Arc<dyn Engine>>,
    registry: crate::image::RegistryHandle,
}

impl World {
    pub(crate) fn new(ground: Ground, stores: Stores, recorder: Arc<Recorder>) -> Self {
        let (faults, gate) = (Faults::default(), std::sync::Mutex::default());
        let Ground { image, provider, preparations, kubernetes } = ground;
        World {
            image,
            provider,
            stores,
            preparations,
            kubernetes,
            cluster: Mutex::default(),
            recorder,
            faults,
            gate,
            nodes: Mutex::default(),
            shared: AtomicBool::new(false),
            untidy: AtomicBool::new(false),
            roots: std::sync::Mutex::default(),
        }
    }

    /// The node image, if there are several.
    pub(super) fn image(&self) -> Option<&str> {
        self.image.as_deref()
    }

    /// Notes whether cases of other worlds run at the same time.
    pub(super) fn share(&self, shared: bool) {
        self.shared.store(shared, Ordering::Relaxed);
    }

    /// Whether what this process does meanwhile is a case's alone.
    pub(super) fn alone(&self) -> bool {
        !self.shared.load(Ordering::Relaxed)
    }

    /// The engine on a node; both are made when they are first asked for.
    pub(crate) async fn engine(&self, kind: EngineKind, name: &str) -> Result<Arc<dyn Engine>, Failure> {
        let mut nodes = self.nodes.lock().await;
        if !nodes.contains_key(name) {
            let made = self.make(name, &[kind]).await?;
            nodes.insert(name.to_owned(), made);
        }
        let in_use = nodes.get_mut(name).expect("inserted above");
        if let Some(engine) = in_use.engines.get(&kind) {
            return Ok(Arc::clone(engine));
        }
        let engine = self.connect(kind, &in_use.node).await?;
        in_use.engines.insert(kind, Arc::clone(&engine));
        Ok(engine)
    }

    /// All engines that are on a node now.
    pub(super) async fn engines(&self, name: &str) -> Vec<Arc<dyn Engine>> {
        self.nodes.lock().await.get(name).map(|n| n.engines.values().cloned().collect()).unwrap_or_default()
    }

    /// Makes several nodes with their engines at the same time, but for those that are there: what a run starts with.
    pub(super) async fn raise(&self, kinds: &[EngineKind], names: &[String]) -> Result<(), Failure> {
        let names: Vec<&String> = {
            let there = self.nodes.lock().await;
            names.iter().filter(|name| !there.contains_key(*name)).collect()
        };
        let made = join_all(names.iter().map(|name| self.make(name, kinds))).await;
        let mut nodes = self.nodes.lock().await;
        let mut failed = None;
        for (name, made) in names.iter().zip(made) {
            match made {
                Ok(made) => drop(nodes.insert((*name).clone(), made)),
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn make(&self, name: &str, kinds: &[EngineKind]) -> Result<InUse, Failure> {
        let made = self.make_with(name, kinds).await;
        if made.is_err() {
            // The first error is the one to tell.
            let _ = self.provider.down(name).await;
        }
        made
    }

    async fn make_with(&self, name: &str, kinds: &[EngineKind]) -> Result<InUse, Failure> {
        self.equip(self.provider.node(name).await?, kinds).await
    }

    /// Gives a fresh node its registry and engines.
    async fn equip(&self, node: SharedNode, kinds: &[EngineKind]) -> Result<InUse, Failure> {
        let name = node.name().to_owned();
        let image = self.image.clone();
        self.recorder.run(Event::NodeUp(NodeRecord { image, ..node.record().clone() }));
        let listener = node
            .listen(REGISTRY_ADDRESS)
            .map_err(|e| Failure::surroundings(format!("no registry can listen on node {name}: {e}")))?;
        let stores = vec![Arc::clone(&self.stores.lasting), Arc::clone(&self.stores.of_run)];
        let registry = Registry::serve(stores, listener)
            .map_err(|e| Failure::surroundings(format!("the registry of node {name} does not start: {e}")))?;
        let mut engines = BTreeMap::new();
        for made in join_all(kinds.iter().map(|kind| self.connect(*kind, &node))).await {
            match made {
                Ok(engine) => drop(engines.insert(engine.kind(), engine)),
                // Its cases are skipped, each with this reason: they ask for it again.
                Err(failure) if failure.class == ErrorClass::Unsupported => {}
                Err(failure) => return Err(failure),
            }
        }
        self.roots().insert(name, Arc::clone(&node));
        Ok(InUse { node, engines, registry })
    }

    async fn connect(&self, kind: EngineKind, node: &SharedNode) -> Result<Arc<dyn Engine>, Failure> {
        Ok(engine::connect(kind, Arc::clone(node), self).await?)
    }

    /// The control plane, on a node of its own.
    async fn raise_cluster(&self, kubeconfig: &Path) -> Result<Arc<Cluster>, Failure> {
        let node = self.provider.node(CONTROL_PLANE).await?;
        let image = self.image.clone();
        self.recorder.run(Event::NodeUp(NodeRecord { image, ..node.record().clone() }));
        let up = Cluster::up(node, Some(kubeconfig)).await;
        if up.is_err() {
            // The first error is the one to tell.
            let _ = self.provider.down(CONTROL_PLANE).await;
        }
        up
    }

    /// Takes a node down and brings it back with what is on its disk; its engines are made anew on it. Whoever holds one
    /// of the old engines has one of a node that is no more.
    pub(super) async fn restart(&self, name: &str) -> Result<(), Failure> {
        let mut nodes = self.nodes.lock().await;
        let kinds: Vec<EngineKind> = match nodes.remove(name) {
            // The registry ends here, so that its socket keeps nothing of the old network alive.
            Some(in_use) => in_use.engines.into_keys().collect(),
            None => return Err(Failure::surroundings(format!("can't restart node {name}: it was never made"))),
        };
        let restarted = async { self.equip(self.provider.restart(name).await?, &kinds).await };
        match restarted.await {
            Ok(made) => {
                nodes.insert(name.to_owned(), made);
                Ok(())
            }
            Err(failure) => {
                self.roots().remove(name);
                // The first error is the one to tell.
                let _ = self.provider.down(name).await;
                Err(failure)
            }
        }
    }

    /// Takes all nodes down; the next case gets new ones.
    pub(crate) async fn raze(&self) -> Vec<Failure> {
        let mut failures = Vec::new();
        let mut nodes = self.nodes.lock().await;
        self.roots().clear();
        let mut names: Vec<String> = nodes.keys().cloned().collect();
        nodes.clear();
        names.extend(self.cluster.lock().await.take().and_then(|cluster| Some(cluster.node()?.name().to_owned())));
        for done in join_all(names.iter().map(|name| self.provider.down(name))).await {
            failures.extend(done.err());
        }
        failures
    }

    /// Leaves the nodes as they are, if the provider was told to: what a person needs to reach them; else takes them down.
    pub(super) async fn part(&self, ending: Ending<'_>) -> (Option<String>, Vec<Failure>) {
        self.untidy.store(false, Ordering::Relaxed);
        match self.provider.leave(ending).await {
            Ok(None) => (None, self.raze().await),
            Ok(Some(told)) => {
                self.nodes.lock().await.clear();
                self.roots().clear();
                self.cluster.lock().await.take();
                (Some(told), Vec::new())
            }
            Err(failure) => (None, std::iter::once(failure).chain(self.raze().await).collect()),
        }
    }

    /// Whether what a case made that did not pass is to stay, since its nodes will. They are untidy from then on.
    pub(super) async fn stays(&self) -> bool {
        let stays = self.provider.keeps_failed().await;
        self.untidy.fetch_or(stays, Ordering::Relaxed);
        stays
    }

    /// Whether something of a case is still on the nodes.
    pub(super) fn untidy(&self) -> bool {
        self.untidy.load(Ordering::Relaxed)
    }

    /// What the engines of a case still hold when it should hold nothing.
    pub(super) async fn left(&self, case: &Case) -> Vec<Leak> {
        let mut leaks = Vec::new();
        for name in &case.nodes {
            let engine = self.nodes.lock().await.get(name).and_then(|n| n.engines.get(&case.engine).cloned());
            let Some(engine) = engine else { continue };
            match engine.left().await {
                Ok(left) => leaks.extend(left.into_iter().map(|what| Leak {
                    kind: "engine".to_owned(),
                    name: format!("{what} on {name}"),
                    reason: "still there after the case removed all that it made".to_owned(),
                })),
                Err(e) => leaks.push(Leak { kind: "engine".to_owned(), name: name.clone(), reason: e.message }),
            }
        }
        leaks
    }

    /// Keeps the logs of a case's engines, and those of the cluster, as evidence.
    pub(super) async fn collect_logs(&self, case: &Case, into: &Path) {
        if let Err(failure) = self.provider.collect_logs(into).await {
            self.recorder.error(failure);
        }
        for name in &case.nodes {
            let engine = self.nodes.lock().await.get(name).and_then(|n| n.engines.get(&case.engine).cloned());
            let Some(engine) = engine else { continue };
            let into = into.join(name);
            let made = std::fs::create_dir_all(&into).map_err(|e| e.to_string());
            let done = match made {
                Ok(()) => engine.collect_logs(&into).await.map_err(|e| e.message),
                Err(e) => Err(e),
            };
            if let Err(message) = done {
                self.recorder.error(Failure::surroundings(format!("keeping the logs of node {name}: {message}")));
            }
        }
    }

    /// A workload with its image and settings.
    pub(crate) async fn workload(&self, workload: &crate::scenario::plan::Workload) -> Result<Arc<Prepared>, Failure> {
        self.preparations.get(workload).await
    }

    /// The path on the host of a path inside a node.
    pub(crate) fn host_path(&self, node: &str, inside: &Path) -> Option<PathBuf> {
        self.roots().get(node).map(|n| n.host_path(inside))
    }

    /// The folder inside a node that all nodes see, if there is one.
    pub(super) fn shared_dir(&self, node: &str) -> Option<PathBuf> {
        self.roots().get(node).and_then(|n| n.shared_dir().map(Path::to_owned))
    }

    /// Removes a file or folder inside a node; gone already is no error.
    pub(crate) fn remove_path(&self, node: &str, inside: &Path, folder: bool) -> io::Result<()> {
        let Some(path) = self.host_path(node, inside) else { return Ok(()) };
        let done = if folder { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        match done {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Why the nodes can't be broken, if they can't.
    pub(super) fn foreign(&self) -> Option<&'static str> {
        self.provider.foreign()
    }

    pub(crate) fn vantage(&self) -> Vantage {
        self.provider.vantage()
    }

    /// What a node's registry serves of a workload's image, and what it may serve instead: an image that has nothing to
    /// do with it.
    pub(super) async fn shelf(&self, workload: &crate::scenario::plan::Workload, node: &str) -> Result<Shelf, Failure> {
        let image = Arc::clone(&self.workload(workload).await?.image);
        let kind = if workload.kind == "looper" { "counter" } else { "looper" };
        let stranger =
            crate::scenario::plan::Workload { kind: kind.to_owned(), with: BTreeMap::new(), ..workload.clone() };
        let other = Arc::clone(&self.workload(&stranger).await?.image);
        let nodes = self.nodes.lock().await;
        let in_use = nodes.get(node).ok_or_else(|| Failure::surroundings(format!("node {node} is gone")))?;
        Ok(Shelf { changes: in_use.registry.changes(), image, other })
    }

    /// Where checkpoint images go.
    pub(super) fn store(&self) -> &Arc<Store> {
        &self.stores.of_run
    }

    /// An instance as it is asked through.
    pub(super) fn target(&self, live: &Live) -> Target {
        self.preparations.target(live)
    }

    /// Puts a gate before the next transfer, or takes it away.
    pub(super) fn gate(&self, gate: Option<Gate>) {
        *self.gate.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = gate;
    }

    /// To be called when a transfer begins.
    pub(super) async fn transfer_begins(&self) {
        let gate = self.gate.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(gate) = gate {
            gate.pass().await;
        }
    }

    /// A node that is there.
    pub(crate) fn node(&self, name: &str) -> Option<SharedNode> {
        self.roots().get(name).cloned()
    }

    fn roots(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, SharedNode>> {
        self.roots.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl Supplies for World {
    async fn pause(&self) -> Result<Arc<Image>, EngineError> {
        Ok(self.preparations.pause().await?)
    }

    async fn cluster(&self) -> Result<Arc<Cluster>, EngineError> {
        let Some(kubeconfig) = &self.kubernetes else { return Err(engine::no_cluster()) };
        let mut cluster = self.cluster.lock().await;
        if let Some(cluster) = cluster.as_ref() {
            return Ok(Arc::clone(cluster));
        }
        let up = match self.provider.cluster().await? {
            Some(up) => up,
            None => self.raise_cluster(kubeconfig).await?,
        };
        *cluster = Some(Arc::clone(&up));
        Ok(up)
    }
}
