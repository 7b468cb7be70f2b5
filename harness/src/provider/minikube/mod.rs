//! Nodes of a minikube cluster: containers that minikube's docker driver makes, with a control plane and a kubelet of each under
//! systemd, as minikube's users have them. Without a base image of minikube's own podferry builds one of packages and of programs
//! made from source, so that no registry is needed; dockerd is podferry's own, in a node of its own, or the user's.
//!
//! In each container an agent of podferry's is a guest ([`crate::node`]), as on nodes of kind.

mod command;
mod driver;
mod parts;

pub use command::{Network, Start, delete, start};
pub use driver::usable;
pub use parts::{CRICTL, Parts};

use super::Provider;
use super::containers::dock::Dock;
use super::containers::joined::{Joined, Made, Outside};
use super::containers::logs::{self, Said};
use super::containers::sweep::labelled;
use super::local::LocalConfig;
use super::together::Together;
use crate::client::Vantage;
use crate::cluster::Cluster;
use crate::component::Progress;
use crate::ledger::{MINIKUBE_PROFILE, TEMP_DIR};
use crate::node::SharedNode;
use crate::process::{Exec, Output};
use crate::record::{Chain, ComponentRecord, Failure, Millis};
use async_trait::async_trait;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What minikube labels containers, volumes and networks with; the value is the profile's name (1.38.1, `oci.ProfileLabelKey`).
const LABEL: &str = "name.minikube.sigs.k8s.io";
/// What profiles are called.
const NAME: &str = "podferry";
/// The limit of minikube's own waiting is 6 minutes a node.
const START_LIMIT: Duration = Duration::from_secs(20 * 60);
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
    nodes: Together<Up>,
    outside: Outside,
    /// How many clusters were begun.
    begun: AtomicUsize,
    /// What the nodes said of a cluster that could not be made.
    said: Said,
}

struct Up {
    dock: Dock,
    joined: Joined,
}

impl MinikubeProvider {
    /// One that has made nothing yet.
    pub fn new(config: MinikubeConfig) -> MinikubeProvider {
        let nodes = Together::new("minikube cluster", &config.workers);
        let (outside, begun, said) = (Outside::default(), AtomicUsize::new(0), Said::default());
        MinikubeProvider { config, nodes, outside, begun, said }
    }

    async fn bring_up(&self) -> Result<Up, Failure> {
        let config = &self.config;
        let from = Instant::now();
        let nth = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
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
            Ok(joined) => {
                let took = Millis::from(from.elapsed());
                config.progress.say(&format!("minikube: {} workers ready after {took}", joined.workers.len()));
                Ok(Up { dock, joined })
            }
            Err(mut e) => {
                let folder = config.kubeconfig.with_file_name(format!("minikube-{}-{nth}", config.dock.run_id));
                let profile = self.name();
                let control_plane = command::known_as(&profile, None);
                self.said.keep(&dock, (LABEL, &profile), &control_plane, folder, &mut e).await;
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

    async fn in_dock(&self, dock: &Dock, from: Instant) -> Result<Joined, Failure> {
        let config = &self.config;
        config.progress.say("minikube: building its base image");
        let image = config.parts.build(dock).await?;
        config.progress.say(&format!("minikube: starting a cluster of {} workers", config.workers.len()));
        self.start(dock, &image).await?;
        let profile = self.name();
        let made = Made {
            dock,
            podferry: &config.dock.podferry,
            known_as: &|worker| command::known_as(&profile, worker),
            workers: &config.workers,
            api: API,
            kubeconfig: &config.kubeconfig,
            components: &config.components,
            own_network: self.own_network(),
            // In a folder of its version.
            kubelet: "/var/lib/minikube/binaries/*/kubelet",
            from,
        };
        made.join(&self.outside).await
    }

    /// Whether podferry gives the nodes their pods' network: over a base image of minikube's own minikube does, since who has
    /// that reaches a registry.
    fn own_network(&self) -> bool {
        self.config.parts.pieces.base.is_none()
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
            let failed = Start::failed(&output, &home);
            if tries == TRIES || !failed.message.contains(EARLY) {
                return Err(failed);
            }
            tries += 1;
            config.progress.say("minikube: it labelled a node that was not there yet; once more");
            dock.output(minikube(dock).args(command::delete(&profile)).timeout(START_LIMIT)).await?;
        }
    }
}

/// minikube's home, where dockerd is. It takes a folder of this name as it is, and makes one of it in any other.
fn home(dock: &Dock) -> PathBuf {
    dock.folder("minikube").join(".minikube")
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
        let find = |up: &Up| up.joined.workers.get(name).map(|guest| Arc::clone(guest) as SharedNode);
        self.nodes.take(name, self.bring_up(), find).await
    }

    /// With the last, the cluster goes.
    async fn down(&self, name: &str) -> Result<(), Failure> {
        let Some(Up { dock, joined }) = self.nodes.give_back(name).await else { return Ok(()) };
        self.outside.leave();
        drop(joined);
        self.end(dock).await
    }

    async fn collect_logs(&self, into: &Path) -> Result<(), Failure> {
        let held = self.nodes.now().await;
        let cannot = |e: io::Error| failure("can't keep what the nodes of the minikube cluster said", &e);
        if let Some(up) = &held.up {
            let container = command::known_as(&self.name(), None);
            return logs::of_node(&up.dock, &container, true, &into.join("control-plane")).await.map_err(cannot);
        }
        self.said.move_into(into).map_err(cannot)
    }

    fn vantage(&self) -> Vantage {
        self.outside.vantage("minikube")
    }

    async fn cluster(&self) -> Result<Option<Arc<Cluster>>, Failure> {
        self.nodes.of(|up| Some(Arc::clone(&up.joined.cluster))).await
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

/// Removes what a dead run left of its profile under the user's dockerd: minikube's home is gone with the run, so minikube itself
/// would find nothing to delete. `claimed`: the claim's name.
///
/// # Errors
/// Why something is still there.
pub fn sweep(claimed: &str) -> Result<(), String> {
    let (profile, socket) = claimed.split_once(' ').ok_or("the claim names no socket")?;
    labelled(LABEL, profile, socket)
}
