//! Nodes of a kind cluster: containers that kind makes of a node image of podferry's, with a real control plane and a kubelet
//! of each under systemd, as kind's users have them. The image is built of packages and of programs made from source, so that
//! no registry is needed; dockerd is podferry's own, in a node of its own, so that nothing of it outlives the run.
//!
//! In each container an agent of podferry's is a guest ([`crate::node`]): it runs programs there and reaches files as on any
//! node. What a node is broken by (links, pauses, disks) is not to be had of a guest.

mod config;
mod creation;
mod kept;
mod parts;

pub use kept::sweep;
pub use parts::Parts;

use super::containers::dock::Dock;
use super::containers::joined::{Joined, Made, Outside};
use super::containers::logs::{self, Said};
use super::local::LocalConfig;
use super::together::Together;
use super::{Ending, Provider};
use crate::client::Vantage;
use crate::cluster::Cluster;
use crate::component::Progress;
use crate::ledger::KIND_CLUSTER;
use crate::node::SharedNode;
use crate::record::{Chain, ComponentRecord, Failure, Millis};
use async_trait::async_trait;
use config::{Driver, Shape};
use creation::{create, has_network, known_as};
use kept::Kept;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// What clusters are called.
const NAME: &str = "podferry";
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
    nodes: Together<Up>,
    outside: Outside,
    /// How many clusters were begun.
    begun: AtomicUsize,
    /// Whether one on which a case did not pass was left.
    failed_kept: AtomicBool,
    /// What the nodes said of a cluster that could not be made.
    said: Said,
}

struct Up {
    /// The cluster's name; its nodes' begin with it.
    name: String,
    dock: Dock,
    joined: Joined,
}

impl KindProvider {
    /// One that has made nothing yet.
    pub fn new(config: KindConfig) -> KindProvider {
        let nodes = Together::new("kind cluster", &config.workers);
        let (outside, begun, said) = (Outside::default(), AtomicUsize::new(0), Said::default());
        KindProvider { config, nodes, outside, begun, failed_kept: AtomicBool::new(false), said }
    }

    async fn bring_up(&self) -> Result<Up, Failure> {
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
        match self.in_dock(&dock, &mut name, from).await {
            Ok(joined) => {
                let took = Millis::from(from.elapsed());
                config.progress.say(&format!("kind: {} workers ready after {took}", joined.workers.len()));
                Ok(Up { name, dock, joined })
            }
            Err(mut e) => {
                let folder = config.kubeconfig.with_file_name(format!("kind-{}-{nth}", config.dock.run_id));
                self.said.keep(&dock, (LABEL, &name), &known_as(&name, None), folder, &mut e).await;
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

    /// Makes the cluster, or takes one over: that has another `name` then. `from`: when that began.
    async fn in_dock(&self, dock: &Dock, name: &mut String, from: Instant) -> Result<Joined, Failure> {
        let shape = self.shape(dock).await?;
        if let Some(taken) = self.take_over(dock, &shape).await? {
            self.config.progress.say(&format!("kind: takes over the cluster {taken} of an earlier run"));
            *name = taken;
        } else {
            self.config.progress.say(&format!("kind: creating a cluster of {} workers", shape.workers));
            self.claim(name).map_err(|e| failure("can't note the claim on a kind cluster", &e))?;
            create(dock, name, &shape).await?;
        }
        let config = &self.config;
        let made = Made {
            dock,
            podferry: &config.dock.podferry,
            known_as: &|worker| known_as(name, worker),
            workers: &config.workers,
            api: API,
            kubeconfig: &config.kubeconfig,
            components: &config.components,
            own_network: shape.own_network,
            kubelet: "kubelet",
            from,
        };
        made.join(&self.outside).await
    }
}

#[async_trait]
impl Provider for KindProvider {
    async fn node(&self, name: &str) -> Result<SharedNode, Failure> {
        let find = |up: &Up| up.joined.workers.get(name).map(|guest| Arc::clone(guest) as SharedNode);
        self.nodes.take(name, self.bring_up(), find).await
    }

    /// With the last, the cluster goes.
    async fn down(&self, name: &str) -> Result<(), Failure> {
        let Some(Up { name, dock, joined }) = self.nodes.give_back(name).await else { return Ok(()) };
        self.outside.leave();
        drop(joined);
        self.end(dock, &name).await
    }

    async fn leave(&self, ending: Ending<'_>) -> Result<Option<String>, Failure> {
        let mut held = self.nodes.now().await;
        let wanted = match ending {
            Ending::NotPassed(_) => self.keeps_failed().await,
            Ending::Done => self.config.reuse,
        };
        let Some(socket) = self.config.docker.as_ref().filter(|_| wanted) else { return Ok(None) };
        let Some(up) = &held.up else { return Ok(None) };
        let case = match ending {
            Ending::NotPassed(case) => Some(case),
            Ending::Done => None,
        };
        let kept = Kept::new(&up.name, case.is_some(), socket);
        let workers = &self.config.workers;
        let told = kept.keep(&up.dock, case, &self.config.kubeconfig, workers, &*self.config.dock.claims).await?;
        self.release(&up.name)?;
        self.config.progress.say(told.trim_end());
        self.failed_kept.fetch_or(case.is_some(), Ordering::Relaxed);
        drop(held.let_go());
        self.outside.leave();
        Ok(Some(told))
    }

    async fn collect_logs(&self, into: &Path) -> Result<(), Failure> {
        let held = self.nodes.now().await;
        let cannot = |e: io::Error| failure("can't keep what the nodes of the kind cluster said", &e);
        if let Some(up) = &held.up {
            let container = known_as(&up.name, None);
            return logs::of_node(&up.dock, &container, true, &into.join("control-plane")).await.map_err(cannot);
        }
        self.said.move_into(into).map_err(cannot)
    }

    fn vantage(&self) -> Vantage {
        self.outside.vantage("kind")
    }

    async fn cluster(&self) -> Result<Option<Arc<Cluster>>, Failure> {
        self.nodes.of(|up| Some(Arc::clone(&up.joined.cluster))).await
    }

    async fn keeps_failed(&self) -> bool {
        self.config.keep_failed && !self.failed_kept.load(Ordering::Relaxed)
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
