//! Nodes of a kind cluster: containers that kind makes of a node image of podferry's, with a real control plane and a kubelet
//! of each under systemd, as kind's users have them. The image is built of packages and of programs made from source, so that
//! no registry is needed; dockerd is podferry's own, in a node of its own, so that nothing of it outlives the run.
//!
//! In each container an agent of podferry's is a guest ([`crate::node`]): it runs programs there and reaches files as on any
//! node. What a node is broken by (links, pauses, disks) is not to be had of a guest.

mod config;
mod creation;
mod kept;
mod logs;
mod parts;
mod preflight;

pub use kept::sweep;
pub use parts::{PROGRAMS, Parts};

use super::dock::{Container, Dock};
use super::local::LocalConfig;
use super::network::{self, Worker};
use super::{Ending, Provider};
use crate::client::Vantage;
use crate::cluster::Cluster;
use crate::component::Progress;
use crate::ledger::KIND_CLUSTER;
use crate::node::{Guest, Place, SharedNode};
use crate::record::{Chain, ComponentRecord, Failure, MachineRecord, Millis};
use async_trait::async_trait;
use config::{Driver, Shape};
use creation::{create, has_network, known_as};
use kept::Kept;
use nix::sched::{CloneFlags, setns};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What clusters are called.
const NAME: &str = "podferry";
/// A node is ready a second after it has a network.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// Where kubeadm leaves the administrator's kubeconfig, on the control plane's node.
const ADMIN: &str = "/etc/kubernetes/admin.conf";
const API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 6443);

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
    /// Where a kubeconfig for the user goes, into the run's own folder.
    pub kubeconfig: PathBuf,
    /// Whether the first cluster stays on which a case does not pass. Only under the user's dockerd.
    pub keep_failed: bool,
    /// Whether a cluster that an earlier run left is taken over, and left for the next. Only under the user's dockerd.
    pub reuse: bool,
    /// Told what takes long.
    pub progress: Arc<dyn Progress>,
}

/// Makes a kind cluster when the first node is asked for, and ends it with the last.
pub struct KindProvider {
    config: KindConfig,
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
    /// Whether one on which a case did not pass was left.
    failed_kept: bool,
    /// What the nodes said of a cluster that could not be made.
    said: Option<PathBuf>,
}

struct Up {
    /// The cluster's name; its nodes' begin with it.
    name: String,
    dock: Dock,
    workers: BTreeMap<String, Arc<Guest>>,
    cluster: Arc<Cluster>,
}

impl KindProvider {
    /// One that has made nothing yet.
    pub fn new(config: KindConfig) -> KindProvider {
        let (state, begun) = (tokio::sync::Mutex::default(), AtomicUsize::new(0));
        KindProvider { config, state, begun, network: Arc::default() }
    }

    async fn bring_up(&self, state: &mut State) -> Result<Up, Failure> {
        let config = &self.config;
        let from = Instant::now();
        let nth = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let dock = match &config.docker {
            None => {
                config.progress.say("kind: starting a dockerd of its own");
                Dock::up(config.dock.clone(), &config.kind).await?
            }
            Some(socket) => Dock::of_user(socket, &config.kind).await?,
        };
        let mut name = self.name(nth);
        match self.in_dock(&dock, &mut name).await {
            Ok((workers, cluster)) => {
                let took = Millis::from(from.elapsed());
                config.progress.say(&format!("kind: {} workers ready after {took}", workers.len()));
                Ok(Up { name, dock, workers, cluster })
            }
            Err(mut e) => {
                let folder = config.kubeconfig.with_file_name(format!("kind-{}-{nth}", config.dock.run_id));
                match logs::of_all(&dock, &name, &folder).await {
                    Ok(false) => {}
                    Ok(true) => {
                        e.hint = e.hint.or(Some(format!("what its nodes said is in {}", folder.display())));
                        e.log.extend(logs::last_words(&folder));
                        state.said = Some(folder);
                    }
                    Err(error) => e.log.push(format!("can't keep what its nodes said: {error}")),
                }
                // The first error is the one to tell.
                let _ = self.end(dock, &name).await;
                Err(e)
            }
        }
    }

    /// A cluster's name. Under a dockerd that others use it is the run's own.
    fn name(&self, nth: usize) -> String {
        match (&self.config.docker, nth) {
            (None, _) => NAME.to_owned(),
            (Some(_), 1) => format!("{NAME}-{}", self.config.dock.run_id),
            // One before it may have been left.
            (Some(_), nth) => format!("{NAME}-{}-n{nth}", self.config.dock.run_id),
        }
    }

    /// Notes the claim on a cluster, where nothing else would end it.
    fn claim(&self, name: &str) -> io::Result<()> {
        let Some(socket) = &self.config.docker else { return Ok(()) };
        self.config.dock.claims.claim(KIND_CLUSTER, &format!("{name} {}", socket.display()))
    }

    fn release(&self, name: &str) -> Result<(), Failure> {
        let Some(socket) = &self.config.docker else { return Ok(()) };
        let released = self.config.dock.claims.release(KIND_CLUSTER, &format!("{name} {}", socket.display()));
        released.map_err(|e| failure("can't note that the kind cluster is gone", &e))
    }

    async fn end(&self, dock: Dock, name: &str) -> Result<(), Failure> {
        dock.down(name).await?;
        self.release(name)
    }

    /// Takes over a cluster that an earlier run left, if there is one like that; its name.
    async fn take_over(&self, dock: &Dock, shape: &Shape) -> Result<Option<String>, Failure> {
        let Some(socket) = self.config.docker.as_ref().filter(|_| self.config.reuse) else { return Ok(None) };
        let cannot = |e: String| Failure::surroundings(format!("can't look for kind clusters of earlier runs: {e}"));
        let all = kept::all(socket).map_err(cannot)?;
        if all.is_empty() {
            self.config.progress.say("kind: no earlier run left a cluster that could be taken over");
        }
        for kept in all {
            let name = kept.name.clone();
            match kept.misfit(dock, shape).await {
                Some(why) => {
                    let told = format!("kind: the cluster {name} is not taken over: {why} (podferry clean removes it)");
                    self.config.progress.say(&told);
                }
                None if kept.take(|| self.claim(&name)).map_err(cannot)? => return Ok(Some(name)),
                None => self.config.progress.say(&format!("kind: another run has taken over the cluster {name}")),
            }
        }
        Ok(None)
    }

    /// What the cluster is made of, with its node image built.
    async fn shape(&self, dock: &Dock) -> Result<Shape, Failure> {
        self.config.progress.say("kind: building its node image");
        let image = self.config.parts.build(dock).await?;
        let own_network = !has_network(dock, &image).await?;
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").is_file();
        let driver = if unified { Driver::Systemd } else { Driver::Cgroupfs };
        Ok(Shape { image, workers: self.config.workers.len(), own_network, driver })
    }

    /// Makes the cluster, or takes one over: that has another `name` then.
    async fn in_dock(
        &self,
        dock: &Dock,
        name: &mut String,
    ) -> Result<(BTreeMap<String, Arc<Guest>>, Arc<Cluster>), Failure> {
        let shape = self.shape(dock).await?;
        if let Some(taken) = self.take_over(dock, &shape).await? {
            self.config.progress.say(&format!("kind: takes over the cluster {taken} of an earlier run"));
            *name = taken;
        } else {
            self.config.progress.say(&format!("kind: creating a cluster of {} workers", shape.workers));
            self.claim(name).map_err(|e| failure("can't note the claim on a kind cluster", &e))?;
            create(dock, name, &shape).await?;
        }
        self.joined(dock, name, &shape).await
    }

    /// Joins the nodes of a cluster that is there.
    async fn joined(
        &self,
        dock: &Dock,
        cluster_name: &str,
        shape: &Shape,
    ) -> Result<(BTreeMap<String, Arc<Guest>>, Arc<Cluster>), Failure> {
        let config = &self.config;
        let from = Instant::now();
        let control = known_as(cluster_name, None);
        let at = dock.container(&control).await?;
        let place = |name: &str, known_as: &str, container: &Container, pods| Place {
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
            let known_as = known_as(cluster_name, Some(i));
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
        if shape.own_network {
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

#[async_trait]
impl Provider for KindProvider {
    async fn node(&self, name: &str) -> Result<SharedNode, Failure> {
        let begun = self.begun.load(Ordering::Relaxed);
        let mut state = self.state.lock().await;
        if state.up.is_none() {
            // Who has waited for a cluster that could not be made does not try once more: that may take minutes.
            if let Some(failure) = state.failed.take().filter(|_| self.begun.load(Ordering::Relaxed) != begun) {
                state.failed = Some(failure.clone());
                return Err(failure);
            }
            match self.bring_up(&mut state).await {
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
        let Some(Up { name, dock, workers, cluster }) = state.up.take() else { return Ok(()) };
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = None;
        drop((workers, cluster));
        self.end(dock, &name).await
    }

    async fn leave(&self, ending: Ending<'_>) -> Result<Option<String>, Failure> {
        let mut state = self.state.lock().await;
        let wanted = match ending {
            Ending::NotPassed(_) => self.config.keep_failed && !state.failed_kept,
            Ending::Done => self.config.reuse,
        };
        let Some(socket) = self.config.docker.as_ref().filter(|_| wanted) else { return Ok(None) };
        let Some(up) = &state.up else { return Ok(None) };
        let case = match ending {
            Ending::NotPassed(case) => Some(case),
            Ending::Done => None,
        };
        let kept = Kept::new(&up.name, case.is_some(), socket);
        let workers = &self.config.workers;
        let told = kept.keep(&up.dock, case, &self.config.kubeconfig, workers, &*self.config.dock.claims).await?;
        self.release(&up.name)?;
        self.config.progress.say(told.trim_end());
        state.failed_kept |= case.is_some();
        state.taken.clear();
        state.up = None;
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(Some(told))
    }

    async fn collect_logs(&self, into: &Path) -> Result<(), Failure> {
        let mut state = self.state.lock().await;
        let cannot = |e: io::Error| failure("can't keep what the nodes of the kind cluster said", &e);
        if let Some(up) = &state.up {
            let container = known_as(&up.name, None);
            return logs::of_node(&up.dock, &container, &into.join("control-plane")).await.map_err(cannot);
        }
        let Some(said) = state.said.take() else { return Ok(()) };
        std::fs::create_dir_all(into).map_err(cannot)?;
        for node in std::fs::read_dir(&said).map_err(cannot)? {
            let node = node.map_err(cannot)?;
            std::fs::rename(node.path(), into.join(node.file_name())).map_err(cannot)?;
        }
        std::fs::remove_dir(&said).map_err(cannot)
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

    async fn keeps_failed(&self) -> bool {
        self.config.keep_failed && !self.state.lock().await.failed_kept
    }

    fn foreign(&self) -> Option<&'static str> {
        Some(FOREIGN)
    }
}

fn failure(what: &str, e: &dyn std::error::Error) -> Failure {
    Failure::surroundings(format!("{what}: {}", Chain(e)))
}

/// Why its nodes can't be broken.
pub const FOREIGN: &str = "it is a kind cluster's, not podferry's own";

/// What kind labels its containers with; the value is the cluster's name.
const LABEL: &str = "io.x-k8s.kind.cluster";
