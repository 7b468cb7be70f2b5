//! Nodes on this machine: each a set of namespaces over the node image, without Docker and without Kubernetes.
//!
//! A node lives by its PID 1, and that by the harness: when the harness dies, in whatever way, the kernel removes
//! processes, mounts and network. Only folders of control groups outlive it; [`sweep_cgroups`] removes those.

mod cgroups;

pub use cgroups::sweep_cgroups;

use self::cgroups::{Hierarchies, run_folder};
use super::Provider;
use crate::client::Vantage;
use crate::ledger::{CGROUP, Ledger};
use crate::node::fabric::{Fabric, NUMBERS};
use crate::node::{Node, Sandbox, Setup, SharedNode};
use crate::record::{Chain, ComponentRecord, Failure, Leak, MachineRecord, Millis, RunId};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Display;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the processes of a node may take to end.
const DEATH: Duration = Duration::from_secs(10);

/// What the provider claims in the outside world, before it makes it, so that it is found again after a crash.
pub trait Claims: Send + Sync {
    /// Notes that a thing of this kind (`cgroup`) and name is about to be made.
    ///
    /// # Errors
    /// It can't be noted: then the thing must not be made.
    fn claim(&self, kind: &str, name: &str) -> io::Result<()>;

    /// Notes that it is gone.
    ///
    /// # Errors
    /// It can't be noted: it is swept once more then.
    fn release(&self, kind: &str, name: &str) -> io::Result<()>;
}

impl Claims for Ledger {
    fn claim(&self, kind: &str, name: &str) -> io::Result<()> {
        Ledger::claim(self, kind, name)
    }

    fn release(&self, kind: &str, name: &str) -> io::Result<()> {
        Ledger::release(self, kind, name)
    }
}

/// Notes nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoClaims;

impl Claims for NoClaims {
    fn claim(&self, _kind: &str, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn release(&self, _kind: &str, _name: &str) -> io::Result<()> {
        Ok(())
    }
}

/// What local nodes are made of.
#[derive(Clone)]
pub struct LocalConfig {
    /// The run: control groups carry its name.
    pub run_id: RunId,
    /// The `podferry` binary, which becomes PID 1 of each node.
    pub podferry: PathBuf,
    /// A folder on the host with the node image's root; it is read only.
    pub image_rootfs: PathBuf,
    /// Files of the host that cover files of the nodes, read-only: (on the host, in the node).
    pub overrides: Vec<(PathBuf, PathBuf)>,
    /// Files of the host that are seen in the nodes beside their own, read-only: (on the host, in the node).
    pub binds: Vec<(PathBuf, PathBuf)>,
    /// What is recorded of every node.
    pub components: Vec<ComponentRecord>,
    /// Size of the memory-backed file system at `/data` of each node, in bytes; taken from memory only as it is filled.
    pub data_size: u64,
    /// Where claims on the outside world are noted.
    pub claims: Arc<dyn Claims>,
}

/// Makes nodes on this machine. Needs root, and `ip` (iproute2) on the host.
pub struct LocalProvider(Arc<Inner>);

struct Inner {
    config: LocalConfig,
    fabric: Fabric,
    hierarchies: Hierarchies,
    nodes: Mutex<BTreeMap<String, Place>>,
}

/// A number that is given away.
struct Place {
    number: u8,
    /// `None` while the node is being made.
    node: Option<Arc<Sandbox>>,
}

impl LocalProvider {
    /// Makes the run's network and shared folder; nodes come later.
    ///
    /// # Errors
    /// Class `surroundings`: not root, no `ip`, no control groups, or namespaces are refused.
    pub fn new(config: LocalConfig) -> Result<LocalProvider, Failure> {
        let hierarchies = Hierarchies::find().map_err(|e| failure("can't find the control groups", &e))?;
        let fabric = Fabric::new().map_err(|e| failure("can't make the network of the nodes", &e))?;
        Ok(LocalProvider(Arc::new(Inner { config, fabric, hierarchies, nodes: Mutex::default() })))
    }
}

impl Inner {
    fn reserve(&self, name: &str) -> Result<u8, Failure> {
        let mut nodes = self.nodes();
        if nodes.contains_key(name) {
            return Err(failure(format_args!("can't make node {name}"), &Said("a node of this name is there".into())));
        }
        let free = NUMBERS.into_iter().find(|n| nodes.values().all(|place| place.number != *n));
        let run = run_folder(&self.config.run_id);
        if nodes.is_empty() {
            let claim = self.config.claims.claim(CGROUP, &run);
            claim.map_err(|e| failure("can't note the claim on control groups", &e))?;
        }
        let number = free.ok_or_else(|| failure("can't make another node", &Said("all addresses are taken".into())))?;
        nodes.insert(name.to_owned(), Place { number, node: None });
        Ok(number)
    }

    /// With `disk`, the node has what was on that.
    fn make(&self, name: &str, number: u8, disk: Option<OwnedFd>) -> Result<Arc<Sandbox>, Failure> {
        let from = Instant::now();
        let cannot = format!("can't make node {name}");
        let groups = self.hierarchies.node(&self.config.run_id, name);
        groups.make().map_err(|e| failure(&cannot, &e))?;
        let setup = Setup {
            name: name.to_owned(),
            rootfs: self.config.image_rootfs.clone(),
            cgroups: groups.for_init(),
            overrides: self.config.overrides.clone(),
            binds: self.config.binds.clone(),
            data_size: self.config.data_size,
        };
        match Sandbox::new(&self.config.podferry, setup, disk, number, &self.fabric) {
            Ok(mut node) => {
                let read = |file: &str| std::fs::read_to_string(node.host_path(Path::new(file))).unwrap_or_default();
                let machine = MachineRecord::read(&read("/proc/sys/kernel/osrelease"), &read("/proc/cpuinfo"));
                let record = node.record_mut();
                record.machine = machine;
                record.components.clone_from(&self.config.components);
                record.up_ms = Millis::from(from.elapsed()).0;
                Ok(Arc::new(node))
            }
            Err(e) => {
                let mut failure = failure(&cannot, &e);
                failure.log = groups.remove().iter().map(|l| format!("left behind: {} {}", l.kind, l.name)).collect();
                Err(failure)
            }
        }
    }

    /// Gives a name and number back. With the last, the run's claim on control groups ends.
    fn give_back(&self, name: &str) -> Result<(), Failure> {
        let mut nodes = self.nodes();
        if nodes.remove(name).is_some() && nodes.is_empty() {
            let released = self.config.claims.release(CGROUP, &run_folder(&self.config.run_id));
            released.map_err(|e| failure("can't note that the control groups are gone", &e))?;
        }
        Ok(())
    }

    fn node(&self, name: &str) -> Option<Arc<Sandbox>> {
        self.nodes().get(name).and_then(|place| place.node.clone())
    }

    /// Ends a node with all that it holds, and waits until nothing of it is left.
    async fn end(self: &Arc<Self>, name: &str, node: &Sandbox) -> Result<(), Failure> {
        let groups = self.hierarchies.node(&self.config.run_id, name);
        node.hang_up();
        let this = self.clone();
        let leaks = blocking(move || Ok(groups.remove())).await?;
        let ended = tokio::time::timeout(DEATH, node.ended()).await;
        let number = node.number();
        blocking(move || this.fabric.unplug(number).map_err(|e| failure("can't unplug a node", &e))).await?;
        ended.map_err(|_| failure(format_args!("node {name} does not end"), &Said(format!("waited {DEATH:?}"))))?;
        leaks_as_failure(name, &leaks)
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Provider for LocalProvider {
    async fn node(&self, name: &str) -> Result<SharedNode, Failure> {
        let number = self.0.reserve(name)?;
        let (this, name) = (self.0.clone(), name.to_owned());
        let work = move || {
            let made = this.make(&name, number, None);
            match &made {
                Ok(node) => drop(this.nodes().insert(name, Place { number, node: Some(node.clone()) })),
                // What it left stays claimed, so that it is swept.
                Err(failure) if failure.log.is_empty() => this.give_back(&name)?,
                Err(_) => {}
            }
            made
        };
        Ok(blocking(work).await?)
    }

    async fn restart(&self, name: &str) -> Result<SharedNode, Failure> {
        let cannot = format!("can't restart node {name}");
        let node = self.0.node(name).ok_or_else(|| failure(&cannot, &Said("there is none of this name".into())))?;
        let (this, name, number) = (self.0.clone(), name.to_owned(), node.number());
        let disk = {
            let node = node.clone();
            blocking(move || node.disk().map_err(|e| failure(&cannot, &e))).await?
        };
        // Its name, number and claim stay taken meanwhile.
        this.end(&name, &node).await?;
        drop(node);
        let work = move || {
            let made = this.make(&name, number, Some(disk))?;
            this.nodes().insert(name, Place { number, node: Some(made.clone()) });
            Ok(made)
        };
        Ok(blocking(work).await?)
    }

    async fn down(&self, name: &str) -> Result<(), Failure> {
        let Some(node) = self.0.node(name) else { return Ok(()) };
        self.0.end(name, &node).await?;
        self.0.give_back(name)
    }

    fn vantage(&self) -> Vantage {
        self.0.fabric.vantage()
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => Err(failure("a thread of the provider ended early", &e)),
    }
}

fn leaks_as_failure(name: &str, leaks: &[Leak]) -> Result<(), Failure> {
    if leaks.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = leaks.iter().map(|l| format!("{} {} ({})", l.kind, l.name, l.reason)).collect();
    Err(failure(format_args!("node {name} left something behind"), &Said(list.join(", "))))
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);

/// All that goes wrong here is the surroundings' fault. Joins the chain of causes.
fn failure(what: impl Display, error: &dyn Error) -> Failure {
    Failure::surroundings(format!("{what}: {}", Chain(error)))
}
