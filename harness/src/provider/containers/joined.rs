//! Podferry's guests in the nodes of a cluster that is there, and where its clients stand.

use super::dock::{Container, Dock};
use super::network::{self, Link};
use super::{alike, failure};
use crate::client::Vantage;
use crate::cluster::Cluster;
use crate::node::{Guest, Node, Place, SharedNode};
use crate::record::{ComponentRecord, Failure, MachineRecord, Millis};
use nix::sched::{CloneFlags, setns};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A node is ready a second after it has a network.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// Where kubeadm leaves the administrator's kubeconfig, on the control plane's node.
pub(in crate::provider) const ADMIN: &str = "/etc/kubernetes/admin.conf";

/// A cluster as it was made.
pub(in crate::provider) struct Made<'a> {
    pub(in crate::provider) dock: &'a Dock,
    /// podferry's own program, on the host.
    pub(in crate::provider) podferry: &'a Path,
    /// What the control plane's node is called, or the worker's of this number from 0.
    pub(in crate::provider) known_as: &'a (dyn Fn(Option<usize>) -> String + Sync),
    /// The workers, by their names in scenarios.
    pub(in crate::provider) workers: &'a [String],
    /// Where the API server listens, on its node.
    pub(in crate::provider) api: SocketAddr,
    /// Where a kubeconfig for the user goes.
    pub(in crate::provider) kubeconfig: &'a Path,
    /// What is recorded of each node.
    pub(in crate::provider) components: &'a [ComponentRecord],
    /// Whether podferry gives the nodes their pods' network.
    pub(in crate::provider) own_network: bool,
    /// The kubelet's program, on a node, as a shell finds it.
    pub(in crate::provider) kubelet: &'a str,
    /// When its making began.
    pub(in crate::provider) from: Instant,
}

/// The nodes, once there are guests in them.
pub(in crate::provider) struct Joined {
    pub(in crate::provider) workers: BTreeMap<String, Arc<Guest>>,
    pub(in crate::provider) cluster: Arc<Cluster>,
}

impl Made<'_> {
    /// Joins the nodes, and waits until the workers are ready. Clients stand `outside` from then on.
    pub(in crate::provider) async fn join(&self, outside: &Outside) -> Result<Joined, Failure> {
        let control = (self.known_as)(None);
        let at = self.dock.container(&control).await?;
        let guest = self.guest("control-plane", &control, &at, Ipv4Addr::UNSPECIFIED).await?;
        outside.set(Some(guest.network().map_err(|e| failure("can't find the network of the control plane", &e))?));
        let control_plane = Arc::new(guest);
        let node: SharedNode = Arc::clone(&control_plane) as SharedNode;
        let cluster = Cluster::attach(node, self.api, Path::new(ADMIN), Some(self.kubeconfig)).await?;
        let range = cluster.pods_of(&control).await?;
        let mut links = vec![Link { node: control_plane, known_as: control, address: at.address, range }];
        let mut workers = BTreeMap::new();
        for (i, name) in self.workers.iter().enumerate() {
            let known_as = (self.known_as)(Some(i));
            let container = self.dock.container(&known_as).await?;
            let range = cluster.pods_of(&known_as).await?;
            let pods = range.split('/').next().and_then(|address| address.parse().ok());
            let mut guest = self.guest(name, &known_as, &container, pods.unwrap_or(Ipv4Addr::UNSPECIFIED)).await?;
            self.record(&mut guest);
            let node = Arc::new(guest);
            workers.insert(name.clone(), Arc::clone(&node));
            links.push(Link { node, known_as, address: container.address, range });
        }
        if self.own_network {
            network::connect(&links).await?;
        }
        // The control plane's keeps its taint.
        for link in &links[1..] {
            cluster.await_ready(&link.known_as, READY_LIMIT).await?;
        }
        alike::look(&workers.values().map(AsRef::as_ref).collect::<Vec<_>>(), self.kubelet).await?;
        Ok(Joined { workers, cluster })
    }

    async fn guest(
        &self,
        name: &str,
        known_as: &str,
        container: &Container,
        pod_network: Ipv4Addr,
    ) -> Result<Guest, Failure> {
        let (podferry, namespaces) = (self.podferry.to_owned(), self.dock.namespaces(container.pid));
        let cannot = format!("can't join node {known_as}");
        let (name, known_as, address) = (name.to_owned(), known_as.to_owned(), container.address);
        let place = Place { name, known_as, address, pod_network };
        let joined = tokio::task::spawn_blocking(move || Guest::new(&podferry, place, &namespaces)).await;
        joined.map_err(|e| failure(&cannot, &e))?.map_err(|e| failure(&cannot, &e))
    }

    fn record(&self, guest: &mut Guest) {
        let read = |file: &str| std::fs::read_to_string(guest.host_path(Path::new(file))).unwrap_or_default();
        let machine = MachineRecord::read(&read("/proc/sys/kernel/osrelease"), &read("/proc/cpuinfo"));
        let record = guest.record_mut();
        record.machine = machine;
        record.components = self.components.to_vec();
        record.up_ms = Millis::from(self.from.elapsed()).0;
    }
}

/// Where clients stand: in the network of the control plane, while there is one.
#[derive(Clone, Default)]
pub(in crate::provider) struct Outside(Arc<Mutex<Option<File>>>);

impl Outside {
    fn set(&self, network: Option<File>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = network;
    }

    /// The cluster goes.
    pub(in crate::provider) fn leave(&self) {
        self.set(None);
    }

    /// For clients. `whose`: the program that makes the cluster.
    pub(in crate::provider) fn vantage(&self, whose: &'static str) -> Vantage {
        let network = Arc::clone(&self.0);
        Arc::new(move || {
            let network = network.lock().unwrap_or_else(PoisonError::into_inner);
            let none = || io::Error::other(format!("the {whose} cluster is not up"));
            Ok(setns(network.as_ref().ok_or_else(none)?, CloneFlags::CLONE_NEWNET)?)
        })
    }
}
