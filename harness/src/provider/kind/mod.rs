//! Nodes of a kind cluster: containers that kind makes of a node image of podferry's, with a real control plane and a kubelet
//! of each under systemd, as kind's users have them. The image is built of packages and of programs made from source, so that
//! no registry is needed; dockerd is podferry's own, in a node of its own, so that nothing of it outlives the run.
//!
//! In each container an agent of podferry's is a guest ([`crate::node`]): it runs programs there and reaches files as on any
//! node. What a node is broken by (links, pauses, disks) is not to be had of a guest.

mod config;
mod parts;
mod preflight;

pub use parts::{PROGRAMS, Parts};

use super::Provider;
use super::dock::{self, Dock};
use super::local::LocalConfig;
use super::network::{self, Worker};
use crate::client::Vantage;
use crate::cluster::Cluster;
use crate::component::Progress;
use crate::ledger::KIND_CLUSTER;
use crate::node::{Guest, Place, SharedNode};
use crate::process::Exec;
use crate::record::{Chain, ComponentRecord, Failure, MachineRecord, Millis};
use async_trait::async_trait;
use config::Driver;
use nix::sched::{CloneFlags, setns};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What clusters are called.
const NAME: &str = "podferry";
/// 26 s on two busy cores.
const CREATE_LIMIT: Duration = Duration::from_secs(600);
/// A node is ready a second after it has a network.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// Where kubeadm leaves the administrator's kubeconfig, on the control plane's node.
const ADMIN: &str = "/etc/kubernetes/admin.conf";
const API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 6443);
const LOG_LINES: usize = 30;

/// What a kind cluster is made of.
#[derive(Clone)]
pub struct KindConfig {
    /// What the node that dockerd is in is made of: its image must have dockerd and Docker's command.
    pub dock: LocalConfig,
    /// The socket of the user's dockerd, in the place of such a node.
    pub docker: Option<PathBuf>,
    /// kind's own program, on the host.
    pub kind: PathBuf,
    /// What its nodes are made of.
    pub parts: Parts,
    /// What is recorded of each node.
    pub components: Vec<ComponentRecord>,
    /// The workers, by their names in scenarios.
    pub workers: Vec<String>,
    /// Where a kubeconfig for the user goes.
    pub kubeconfig: PathBuf,
    /// Told what takes long.
    pub progress: Arc<dyn Progress>,
}

/// Makes a kind cluster when the first node is asked for, and ends it with the last.
pub struct KindProvider {
    config: KindConfig,
    state: tokio::sync::Mutex<State>,
    /// The network that clients stand in: the control plane's.
    network: Arc<Mutex<Option<File>>>,
}

#[derive(Default)]
struct State {
    up: Option<Up>,
    /// The workers that are in use.
    taken: BTreeSet<String>,
}

struct Up {
    dock: Dock,
    workers: BTreeMap<String, Arc<Guest>>,
    cluster: Arc<Cluster>,
}

impl KindProvider {
    /// One that has made nothing yet.
    pub fn new(config: KindConfig) -> KindProvider {
        KindProvider { config, state: tokio::sync::Mutex::default(), network: Arc::default() }
    }

    async fn bring_up(&self) -> Result<Up, Failure> {
        let config = &self.config;
        let from = Instant::now();
        let dock = match &config.docker {
            None => {
                config.progress.say("kind: starting a dockerd of its own");
                Dock::up(config.dock.clone(), &config.kind).await?
            }
            Some(socket) => {
                let claimed = config.dock.claims.claim(KIND_CLUSTER, &self.claim(socket));
                claimed.map_err(|e| failure("can't note the claim on a kind cluster", &e))?;
                Dock::of_user(socket, &config.kind).await?
            }
        };
        let made = self.in_dock(&dock).await;
        match made {
            Ok((workers, cluster)) => {
                let took = Millis::from(from.elapsed());
                config.progress.say(&format!("kind: {} workers ready after {took}", workers.len()));
                Ok(Up { dock, workers, cluster })
            }
            Err(e) => {
                // The first error is the one to tell.
                let _ = self.end(dock).await;
                Err(e)
            }
        }
    }

    /// The cluster's name; its nodes' begin with it. Under a dockerd that others use it is the run's own.
    fn name(&self) -> String {
        match &self.config.docker {
            None => NAME.to_owned(),
            Some(_) => format!("{NAME}-{}", self.config.dock.run_id),
        }
    }

    fn claim(&self, socket: &Path) -> String {
        format!("{} {}", self.name(), socket.display())
    }

    async fn end(&self, dock: Dock) -> Result<(), Failure> {
        dock.down(&self.name()).await?;
        if let Some(socket) = &self.config.docker {
            let released = self.config.dock.claims.release(KIND_CLUSTER, &self.claim(socket));
            released.map_err(|e| failure("can't note that the kind cluster is gone", &e))?;
        }
        Ok(())
    }

    async fn in_dock(&self, dock: &Dock) -> Result<(BTreeMap<String, Arc<Guest>>, Arc<Cluster>), Failure> {
        let config = &self.config;
        config.progress.say("kind: building its node image");
        let image = config.parts.build(dock).await?;
        config.progress.say(&format!("kind: creating a cluster of {} workers", config.workers.len()));
        let cluster_name = self.name();
        let own_network = !has_network(dock, &image).await?;
        create(dock, &cluster_name, &image, config.workers.len(), own_network).await?;
        let from = Instant::now();
        let control = known_as(&cluster_name, None);
        let at = dock.container(&control).await?;
        let place = |name: &str, known_as: &str, container: &dock::Container, pods| Place {
            name: name.to_owned(),
            known_as: known_as.to_owned(),
            address: container.address,
            pod_network: pods,
            namespaces: dock.namespaces(container.pid),
        };
        let guest = self.join(place("control-plane", &control, &at, Ipv4Addr::UNSPECIFIED)).await?;
        let network = guest.network().map_err(|e| failure("can't find the network of the control plane", &e))?;
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = Some(network);
        let control_plane = Arc::new(guest);
        let node: SharedNode = Arc::clone(&control_plane) as SharedNode;
        let cluster = Cluster::attach(node, API, Path::new(ADMIN), Some(&config.kubeconfig)).await?;
        let mut seen = vec![Worker { range: cluster.pods_of(&control).await?, known_as: control, address: at.address }];
        let mut guests = vec![control_plane];
        let mut workers = BTreeMap::new();
        for (i, name) in config.workers.iter().enumerate() {
            let known_as = known_as(&cluster_name, Some(i));
            let container = dock.container(&known_as).await?;
            let range = cluster.pods_of(&known_as).await?;
            let pods = range.split('/').next().and_then(|address| address.parse().ok());
            let mut guest =
                self.join(place(name, &known_as, &container, pods.unwrap_or(Ipv4Addr::UNSPECIFIED))).await?;
            self.record(&mut guest, from);
            let guest = Arc::new(guest);
            seen.push(Worker { known_as, address: container.address, range });
            guests.push(Arc::clone(&guest));
            workers.insert(name.clone(), guest);
        }
        let nodes: Vec<(&Guest, &Worker)> = guests.iter().map(AsRef::as_ref).zip(&seen).collect();
        if own_network {
            network::connect(&nodes).await?;
        }
        // The control plane's keeps its taint.
        for worker in &seen[1..] {
            cluster.await_ready(&worker.known_as, READY_LIMIT).await?;
        }
        preflight::look(&workers.values().map(AsRef::as_ref).collect::<Vec<_>>()).await?;
        Ok((workers, cluster))
    }

    async fn join(&self, place: Place) -> Result<Guest, Failure> {
        let podferry = self.config.dock.podferry.clone();
        let cannot = format!("can't join node {}", place.known_as);
        let joined = tokio::task::spawn_blocking(move || Guest::new(&podferry, place)).await;
        joined.map_err(|e| failure(&cannot, &e))?.map_err(|e| failure(&cannot, &e))
    }

    fn record(&self, guest: &mut Guest, from: Instant) {
        use crate::node::Node;
        let read = |file: &str| std::fs::read_to_string(guest.host_path(Path::new(file))).unwrap_or_default();
        let machine = MachineRecord::read(&read("/proc/sys/kernel/osrelease"), &read("/proc/cpuinfo"));
        let record = guest.record_mut();
        record.machine = machine;
        record.components.clone_from(&self.config.components);
        record.up_ms = Millis::from(from.elapsed()).0;
    }
}

/// What kind calls the nodes of a cluster: the control plane, or the worker of this number from 0.
fn known_as(cluster: &str, worker: Option<usize>) -> String {
    match worker {
        None => format!("{cluster}-control-plane"),
        Some(0) => format!("{cluster}-worker"),
        Some(n) => format!("{cluster}-worker{}", n + 1),
    }
}

/// Whether a node image brings the pods' network that kind gives its clusters.
async fn has_network(dock: &Dock, image: &str) -> Result<bool, Failure> {
    const MANIFEST: &str = "/kind/manifests/default-cni.yaml";
    let look = Exec::new("docker").args(["run", "--rm", "--network", "none", "--entrypoint", "ls", image, MANIFEST]);
    Ok(dock.output(look.timeout(CREATE_LIMIT)).await?.code == 0)
}

/// Has kind make the cluster.
async fn create(dock: &Dock, name: &str, image: &str, workers: usize, own_network: bool) -> Result<(), Failure> {
    let path = dock.folder("kind.yaml");
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").is_file();
    let driver = if unified { Driver::Systemd } else { Driver::Cgroupfs };
    let written = std::fs::write(dock.host_path(&path), config::cluster(name, workers, own_network, driver));
    written.map_err(|e| failure("can't write kind's configuration", &e))?;
    let kubeconfig = dock.folder("kubeconfig");
    // Under the user's dockerd nothing else would end it when podferry is killed.
    let exec = Exec::new("setpriv").args(["--pdeathsig", "KILL"]).arg(dock.tool());
    let exec = exec.args(["create", "cluster", "--image", image, "--retain", "--config"]).arg(&path);
    let exec = exec.arg("--kubeconfig").arg(&kubeconfig).args(["-v", "1"]).timeout(CREATE_LIMIT);
    let output = dock.output(exec).await?;
    if output.code == 0 {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let mut log: Vec<String> = said.lines().map(str::to_owned).collect();
    let why = log.iter().find(|line| line.starts_with("ERROR: ")).cloned();
    log.drain(..log.len().saturating_sub(LOG_LINES));
    for node in std::iter::once(None).chain((0..workers).map(Some)).map(|worker| known_as(name, worker)) {
        let exec = Exec::new("docker").args(["logs", "--tail", "10", &node]);
        let Ok(output) = dock.output(exec).await else { continue };
        let said = [output.stdout, output.stderr].concat();
        log.extend(String::from_utf8_lossy(&said).lines().map(|line| format!("{node}: {line}")));
    }
    let why = why.unwrap_or_else(|| format!("kind ended with {}", output.code));
    Err(Failure { log, ..Failure::surroundings(format!("can't make a kind cluster: {why}")) })
}

#[async_trait]
impl Provider for KindProvider {
    async fn node(&self, name: &str) -> Result<SharedNode, Failure> {
        let mut state = self.state.lock().await;
        if state.up.is_none() {
            state.up = Some(self.bring_up().await?);
        }
        let found = state.up.as_ref().and_then(|up| up.workers.get(name).cloned());
        let Some(guest) = found else {
            let all = self.config.workers.join(", ");
            return Err(Failure::surroundings(format!("the kind cluster has no worker {name}: it has {all}")));
        };
        state.taken.insert(name.to_owned());
        Ok(guest)
    }

    async fn restart(&self, name: &str) -> Result<SharedNode, Failure> {
        Err(Failure::surroundings(format!("can't restart node {name}: it is a kind cluster's, not podferry's own")))
    }

    /// With the last, the cluster goes.
    async fn down(&self, name: &str) -> Result<(), Failure> {
        let mut state = self.state.lock().await;
        state.taken.remove(name);
        if !state.taken.is_empty() {
            return Ok(());
        }
        let Some(Up { dock, workers, cluster }) = state.up.take() else { return Ok(()) };
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = None;
        drop((workers, cluster));
        self.end(dock).await
    }

    fn vantage(&self) -> Vantage {
        let network = Arc::clone(&self.network);
        Arc::new(move || {
            let network = network.lock().unwrap_or_else(PoisonError::into_inner);
            let network = network.as_ref().ok_or_else(|| io::Error::other("the kind cluster is not up"))?;
            Ok(setns(network, CloneFlags::CLONE_NEWNET)?)
        })
    }

    async fn cluster(&self) -> Result<Option<Arc<Cluster>>, Failure> {
        let state = self.state.lock().await;
        let up = state.up.as_ref().map(|up| Arc::clone(&up.cluster));
        up.map(Some).ok_or_else(|| Failure::surroundings("the kind cluster is not up".to_owned()))
    }

    fn foreign(&self) -> Option<&'static str> {
        Some(FOREIGN)
    }
}

fn failure(what: &str, e: &dyn std::error::Error) -> Failure {
    Failure::surroundings(format!("{what}: {}", Chain(e)))
}

/// Removes what a dead run left of its cluster under the user's dockerd. `claimed`: the claim's name.
///
/// # Errors
/// Why something is still there.
pub fn sweep(claimed: &str) -> Result<(), String> {
    let (cluster, socket) = claimed.split_once(' ').ok_or("the claim names no socket")?;
    let (label, host) = (format!("label={LABEL}={cluster}"), format!("unix://{socket}"));
    let docker = move |args: &[&str]| {
        let exec = Exec::new("docker").args(args).env("DOCKER_HOST", &host).timeout(CREATE_LIMIT);
        crate::process::output_here(&exec).map(|output| output.text()).map_err(|e| Chain(&e).to_string())
    };
    let work = || {
        let nodes = docker(&["ps", "--all", "--quiet", "--filter", &label])?;
        let nodes: Vec<&str> = nodes.split_whitespace().collect();
        match nodes.is_empty() {
            true => Ok(()),
            false => docker(&[&["rm", "--force", "--volumes"][..], &nodes].concat()).map(drop),
        }
    };
    // A thread of its own: the caller's may belong to a runtime.
    std::thread::scope(|s| s.spawn(work).join().unwrap_or_else(|_| Err("a thread ended early".to_owned())))
}

/// Why its nodes can't be broken.
pub const FOREIGN: &str = "it is a kind cluster's, not podferry's own";

/// What kind labels its containers with; the value is the cluster's name.
const LABEL: &str = "io.x-k8s.kind.cluster";
