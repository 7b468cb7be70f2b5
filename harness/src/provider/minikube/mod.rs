//! Nodes of a minikube cluster: containers that minikube's docker driver makes, with a control plane and a kubelet of each under
//! systemd, as minikube's users have them. Without a base image of minikube's own podferry builds one of packages and of programs
//! made from source, so that no registry is needed; dockerd is podferry's own, in a node of its own, or the user's.
//!
//! In each container an agent of podferry's is a guest ([`crate::node`]), as on nodes of kind.

mod alike;
mod command;
mod driver;
mod parts;
mod sweep;

pub use command::{Network, Start, delete, start};
pub use driver::usable;
pub use parts::{PROGRAMS, Parts};
pub use sweep::sweep;

use super::Provider;
use super::dock::{self, Dock};
use super::local::LocalConfig;
use super::network::{self, Worker};
use crate::client::Vantage;
use crate::cluster::Cluster;
use crate::component::Progress;
use crate::ledger::{MINIKUBE_PROFILE, TEMP_DIR};
use crate::node::{Guest, Node, Place, SharedNode};
use crate::process::{Exec, Output};
use crate::record::{Chain, ComponentRecord, Failure, MachineRecord, Millis};
use async_trait::async_trait;
use nix::sched::{CloneFlags, setns};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What profiles are called.
const NAME: &str = "podferry";
/// The limit of minikube's own waiting is 6 minutes a node.
const START_LIMIT: Duration = Duration::from_secs(20 * 60);
/// A node is ready a second after it has a network.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// Where kubeadm leaves the administrator's kubeconfig, on the control plane's node.
const ADMIN: &str = "/etc/kubernetes/admin.conf";
/// minikube's API servers listen here (1.38.1, `constants.APIServerPort`).
const API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);
const LOG_LINES: usize = 40;
/// minikube labels a node when `kubeadm join` has ended, and does so once: on a busy machine the kubelet has not told the API server
/// of the node yet, and all of the start fails (1.38.1; seen in one of three at a load of 15: `nodes "podferry-m03" not found`).
const EARLY: &str = "error applying worker node";
const TRIES: u32 = 3;

/// What a minikube cluster is made of.
#[derive(Clone)]
pub struct MinikubeConfig {
    /// What the node that dockerd is in is made of: its image must have dockerd and Docker's command.
    pub dock: LocalConfig,
    /// The socket of the user's dockerd, in the place of such a node.
    pub docker: Option<PathBuf>,
    /// minikube's own program, on the host.
    pub minikube: PathBuf,
    /// What its nodes are made of.
    pub parts: Parts,
    /// The version of Kubernetes as minikube is told; `None`: minikube chooses.
    pub kubernetes: Option<String>,
    /// The pods' network that minikube is told to make, over a base image of minikube's own.
    pub cni: Option<String>,
    /// What is recorded of each node.
    pub components: Vec<ComponentRecord>,
    /// The workers, by their names in scenarios.
    pub workers: Vec<String>,
    /// Where a kubeconfig for the user goes.
    pub kubeconfig: PathBuf,
    /// Told what takes long.
    pub progress: Arc<dyn Progress>,
}

/// Has minikube make a cluster when the first node is asked for, and delete it with the last.
pub struct MinikubeProvider {
    config: MinikubeConfig,
    state: tokio::sync::Mutex<State>,
    /// How many clusters were begun.
    begun: AtomicUsize,
    /// The network that clients stand in: the control plane's.
    network: Arc<Mutex<Option<File>>>,
}

#[derive(Default)]
struct State {
    up: Option<Up>,
    /// The workers that are in use.
    taken: BTreeSet<String>,
    /// Why the last cluster could not be made.
    failed: Option<Failure>,
}

struct Up {
    dock: Dock,
    workers: BTreeMap<String, Arc<Guest>>,
    cluster: Arc<Cluster>,
}

impl MinikubeProvider {
    /// One that has made nothing yet.
    pub fn new(config: MinikubeConfig) -> MinikubeProvider {
        let (state, begun) = (tokio::sync::Mutex::default(), AtomicUsize::new(0));
        MinikubeProvider { config, state, begun, network: Arc::default() }
    }

    async fn bring_up(&self) -> Result<Up, Failure> {
        let config = &self.config;
        let from = Instant::now();
        self.begun.fetch_add(1, Ordering::Relaxed);
        let dock = match &config.docker {
            None => {
                config.progress.say("minikube: starting a dockerd of its own");
                Dock::up(config.dock.clone(), &config.minikube).await?
            }
            Some(socket) => {
                let claimed = config.dock.claims.claim(MINIKUBE_PROFILE, &self.claim(socket));
                claimed.map_err(|e| failure("can't note the claim on a minikube profile", &e))?;
                let dock = Dock::of_user(socket, &config.minikube).await?;
                // minikube's home, which would outlive a harness that is killed.
                let claimed = config.dock.claims.claim(TEMP_DIR, &dock.folder("").display().to_string());
                claimed.map_err(|e| failure("can't note the claim on a temporary folder", &e))?;
                dock
            }
        };
        match self.in_dock(&dock, from).await {
            Ok((workers, cluster)) => {
                let took = Millis::from(from.elapsed());
                config.progress.say(&format!("minikube: {} workers ready after {took}", workers.len()));
                Ok(Up { dock, workers, cluster })
            }
            Err(e) => {
                // The first error is the one to tell.
                let _ = self.end(dock).await;
                Err(e)
            }
        }
    }

    /// The profile's name; its nodes' begin with it. Under a dockerd that others use it is the run's own.
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
        let profile = self.name();
        let delete = minikube(&dock).args(command::delete(&profile));
        let folder = dock.folder("").display().to_string();
        dock.end(delete, &format!("the minikube profile {profile}")).await?;
        let Some(socket) = &self.config.docker else { return Ok(()) };
        let claim = self.claim(socket);
        // minikube says that it has deleted all, and leaves the profile's network (1.38.1).
        let swept = tokio::task::spawn_blocking({
            let claim = claim.clone();
            move || sweep(&claim)
        });
        let swept = swept.await.map_err(|e| failure("can't sweep up after minikube", &e))?;
        swept.map_err(|e| Failure::surroundings(format!("can't sweep up after minikube: {e}")))?;
        let claims = &self.config.dock.claims;
        let released = claims.release(TEMP_DIR, &folder).and_then(|()| claims.release(MINIKUBE_PROFILE, &claim));
        released.map_err(|e| failure("can't note that the minikube profile is gone", &e))
    }

    async fn in_dock(
        &self,
        dock: &Dock,
        from: Instant,
    ) -> Result<(BTreeMap<String, Arc<Guest>>, Arc<Cluster>), Failure> {
        let config = &self.config;
        config.progress.say("minikube: building its base image");
        let image = config.parts.build(dock).await?;
        config.progress.say(&format!("minikube: starting a cluster of {} workers", config.workers.len()));
        self.start(dock, &image).await?;
        let profile = self.name();
        let control = command::known_as(&profile, None);
        let at = dock.container(&control).await?;
        let guest = self.join(dock, "control-plane", &control, &at, Ipv4Addr::UNSPECIFIED).await?;
        let network = guest.network().map_err(|e| failure("can't find the network of the control plane", &e))?;
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = Some(network);
        let control_plane = Arc::new(guest);
        let node: SharedNode = Arc::clone(&control_plane) as SharedNode;
        let cluster = Cluster::attach(node, API, Path::new(ADMIN), Some(&config.kubeconfig)).await?;
        let mut seen = vec![Worker { range: cluster.pods_of(&control).await?, known_as: control, address: at.address }];
        let mut guests = vec![control_plane];
        let mut workers = BTreeMap::new();
        for (i, name) in config.workers.iter().enumerate() {
            let known_as = command::known_as(&profile, Some(i));
            let container = dock.container(&known_as).await?;
            let range = cluster.pods_of(&known_as).await?;
            let pods = range.split('/').next().and_then(|address| address.parse().ok());
            let pods = pods.unwrap_or(Ipv4Addr::UNSPECIFIED);
            let mut guest = self.join(dock, name, &known_as, &container, pods).await?;
            self.record(&mut guest, from);
            let guest = Arc::new(guest);
            seen.push(Worker { known_as, address: container.address, range });
            guests.push(Arc::clone(&guest));
            workers.insert(name.clone(), guest);
        }
        if self.own_network() {
            let nodes: Vec<(&Guest, &Worker)> = guests.iter().map(AsRef::as_ref).zip(&seen).collect();
            network::connect(&nodes).await?;
        }
        for worker in &seen[1..] {
            cluster.await_ready(&worker.known_as, READY_LIMIT).await?;
        }
        alike::look(&workers.values().map(AsRef::as_ref).collect::<Vec<_>>()).await?;
        Ok((workers, cluster))
    }

    /// Whether podferry gives the nodes their pods' network: over a base image of minikube's own minikube does, since who has
    /// that reaches a registry.
    fn own_network(&self) -> bool {
        self.config.parts.base.is_none()
    }

    /// Has minikube make the cluster.
    async fn start(&self, dock: &Dock, image: &str) -> Result<(), Failure> {
        let config = &self.config;
        let home = dock.host_path(&home(dock));
        let cached = config.parts.fill_cache(&home)?;
        let profile = self.name();
        let start = Start {
            profile: &profile,
            image,
            nodes: config.workers.len() + 1,
            kubernetes: config.kubernetes.as_deref(),
            network: match (&config.cni, self.own_network()) {
                (_, true) => Network::Podferry,
                (Some(cni), false) => Network::Named(cni),
                (None, false) => Network::Minikube,
            },
            cached,
        };
        let mut tries = 1;
        loop {
            let output = dock.output(minikube(dock).args(command::start(&start)).timeout(START_LIMIT)).await?;
            if output.code == 0 {
                return Ok(());
            }
            let mut failed = Start::failed(&output, &home);
            failed.log.extend(journals(dock, &profile, config.workers.len()).await);
            if tries == TRIES || !failed.message.contains(EARLY) {
                return Err(failed);
            }
            tries += 1;
            config.progress.say("minikube: it labelled a node that was not there yet; once more");
            dock.output(minikube(dock).args(command::delete(&profile)).timeout(START_LIMIT)).await?;
        }
    }

    async fn join(
        &self,
        dock: &Dock,
        name: &str,
        known_as: &str,
        container: &dock::Container,
        pod_network: Ipv4Addr,
    ) -> Result<Guest, Failure> {
        let podferry = self.config.dock.podferry.clone();
        let cannot = format!("can't join node {known_as}");
        let place = Place {
            name: name.to_owned(),
            known_as: known_as.to_owned(),
            address: container.address,
            pod_network,
            namespaces: dock.namespaces(container.pid),
        };
        let joined = tokio::task::spawn_blocking(move || Guest::new(&podferry, place)).await;
        joined.map_err(|e| failure(&cannot, &e))?.map_err(|e| failure(&cannot, &e))
    }

    fn record(&self, guest: &mut Guest, from: Instant) {
        let read = |file: &str| std::fs::read_to_string(guest.host_path(Path::new(file))).unwrap_or_default();
        let machine = MachineRecord::read(&read("/proc/sys/kernel/osrelease"), &read("/proc/cpuinfo"));
        let record = guest.record_mut();
        record.machine = machine;
        record.components.clone_from(&self.config.components);
        record.up_ms = Millis::from(from.elapsed()).0;
    }
}

/// minikube's home, where dockerd is. It takes a folder of this name as it is, and makes one of it in any other.
fn home(dock: &Dock) -> PathBuf {
    dock.folder("minikube").join(".minikube")
}

/// The last words of containerd and the kubelet on each node that is there.
async fn journals(dock: &Dock, profile: &str, workers: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for node in std::iter::once(None).chain((0..workers).map(Some)).map(|worker| command::known_as(profile, worker)) {
        for unit in ["containerd", "kubelet"] {
            let journal = ["journalctl", "--no-pager", "--output", "cat", "--lines", "8", "--unit", unit];
            let exec = Exec::new("docker").args(["exec", &node]).args(journal);
            // One that minikube did not come to has none.
            let Some(output) = dock.output(exec).await.ok().filter(|output| output.code == 0) else { continue };
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            lines.extend(said.lines().map(|line| format!("{node} {unit}: {line}")));
        }
    }
    lines
}

impl Start<'_> {
    /// Why minikube made no cluster, by its own words; `home` is a folder on the host.
    fn failed(output: &Output, home: &Path) -> Failure {
        let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
        // What it logged of each thing that it did, beside what it tells its user.
        let last = std::fs::read_to_string(home.join("logs/lastStart.txt")).unwrap_or_default();
        let tail = |text: &str| {
            let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
            lines[lines.len().saturating_sub(LOG_LINES)..].to_vec()
        };
        let why = said.lines().find_map(|line| line.split_once("Exiting due to ").map(|(_, why)| why.to_owned()));
        let why = why.unwrap_or_else(|| format!("minikube ended with {}", output.code));
        let log = [tail(&last), tail(&said)].concat();
        Failure { log, ..Failure::surroundings(format!("can't make a minikube cluster: {why}")) }
    }
}

/// A call of minikube. It reads and writes nothing of the user's own: neither `~/.minikube` nor a kubeconfig. Under the user's
/// dockerd nothing else would end it when podferry is killed.
fn minikube(dock: &Dock) -> Exec {
    let exec = Exec::new("setpriv").args(["--pdeathsig", "KILL"]).arg(dock.tool());
    let exec = exec.env("MINIKUBE_HOME", home(dock)).env("KUBECONFIG", dock.folder("minikube").join("kubeconfig"));
    // Its logs and locks.
    let exec = exec.env("TMPDIR", dock.folder("minikube"));
    exec.env("MINIKUBE_IN_STYLE", "false").env("MINIKUBE_WANTUPDATENOTIFICATION", "false")
}

#[async_trait]
impl Provider for MinikubeProvider {
    async fn node(&self, name: &str) -> Result<SharedNode, Failure> {
        let begun = self.begun.load(Ordering::Relaxed);
        let mut state = self.state.lock().await;
        if state.up.is_none() {
            // Who has waited for a cluster that could not be made does not try once more: that may take minutes.
            if let Some(failure) = state.failed.clone().filter(|_| self.begun.load(Ordering::Relaxed) != begun) {
                return Err(failure);
            }
            match self.bring_up().await {
                Ok(up) => state.up = Some(up),
                Err(failure) => {
                    state.failed = Some(failure.clone());
                    return Err(failure);
                }
            }
        }
        let found = state.up.as_ref().and_then(|up| up.workers.get(name).cloned());
        let Some(guest) = found else {
            let all = self.config.workers.join(", ");
            return Err(Failure::surroundings(format!("the minikube cluster has no worker {name}: it has {all}")));
        };
        state.taken.insert(name.to_owned());
        Ok(guest)
    }

    async fn restart(&self, name: &str) -> Result<SharedNode, Failure> {
        Err(Failure::surroundings(format!("can't restart node {name}: {FOREIGN}")))
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
            let network = network.as_ref().ok_or_else(|| io::Error::other("the minikube cluster is not up"))?;
            Ok(setns(network, CloneFlags::CLONE_NEWNET)?)
        })
    }

    async fn cluster(&self) -> Result<Option<Arc<Cluster>>, Failure> {
        let state = self.state.lock().await;
        let up = state.up.as_ref().map(|up| Arc::clone(&up.cluster));
        up.map(Some).ok_or_else(|| Failure::surroundings("the minikube cluster is not up".to_owned()))
    }

    fn foreign(&self) -> Option<&'static str> {
        Some(FOREIGN)
    }
}

fn failure(what: &str, e: &dyn std::error::Error) -> Failure {
    Failure::surroundings(format!("{what}: {}", Chain(e)))
}

/// Why its nodes can't be broken.
pub const FOREIGN: &str = "it is a minikube cluster's, not podferry's own";
