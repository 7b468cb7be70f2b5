//! containerd itself: the daemon in a node, its calls that CRI has no word for, and what its words mean. The engines of
//! CRI and the engine `ctr` are made of it; each has a containerd of its own.

pub(super) mod classify;
pub(super) mod client;
pub(super) mod criu_log;
mod daemon;
/// Written by `cargo run -p codegen`.
#[allow(missing_docs, unreachable_pub, dead_code, clippy::all, rustdoc::all)]
pub(super) mod generated;
mod leftovers;
mod orphans;
mod outside;
mod places;
mod served;
pub(super) mod tasks;
pub(super) mod version;
mod watchdog;

pub(super) use daemon::{broken, probe, write};
pub(super) use outside::Outside;
pub(super) use places::{KUBELET_ROOT, Places};
pub(super) use watchdog::{Watched, watch_restore};

use super::daemon::Daemon;
use super::{EngineError, criu_options};
use crate::node::SharedNode;
use crate::record::{CriuChoices, EngineKind, ErrorClass};
use classify::During;
use client::Client;
use criu_log::CriuLog;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One containerd in a node.
pub(super) struct Containerd {
    pub(super) node: SharedNode,
    pub(super) kind: EngineKind,
    pub(super) places: Places,
    pub(super) client: Client,
    pub(super) criu: CriuLog,
    /// The OCI runtime: a name on the node's `PATH`, or a path.
    pub(super) runtime: String,
    /// The containerd namespace that the engine's containers are in.
    namespace: &'static str,
    /// The line for CRIU's configuration, if this node's CRIU takes it.
    network_lock: Option<criu_options::NetworkLock>,
    daemon: Daemon,
    hold: Mutex<Hold>,
    /// Somebody else started it, and has containers in it.
    foreign: bool,
}

#[derive(Default)]
struct Hold {
    /// Containers frozen by [`super::Engine::freeze`], not by a checkpoint that broke off.
    frozen: HashSet<String>,
    /// One lock a container: two checkpoints at once fail both.
    turns: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
}

impl Containerd {
    /// A containerd that is to be started. `namespace`: where its containers are; CRI's are in `k8s.io`.
    pub(super) async fn new(node: SharedNode, kind: EngineKind, namespace: &'static str, runtime: &str) -> Containerd {
        let places = Places::of(kind);
        let socket = node.host_path(Path::new(&places.socket));
        Self::at(places, &socket, node, kind, namespace, runtime).await
    }

    /// One that runs already, and that others are clients of too.
    pub(super) async fn foreign(
        places: Places,
        node: SharedNode,
        kind: EngineKind,
        runtime: &str,
    ) -> Result<Containerd, EngineError> {
        let socket = node.socket_path(Path::new(&places.socket));
        let socket = socket.map_err(|e| broken(&node, "reach containerd's socket", e))?;
        Ok(Containerd { foreign: true, ..Self::at(places, &socket, node, kind, "k8s.io", runtime).await })
    }

    async fn at(
        places: Places,
        socket: &Path,
        node: SharedNode,
        kind: EngineKind,
        namespace: &'static str,
        runtime: &str,
    ) -> Containerd {
        Containerd {
            client: Client::new(socket, namespace),
            criu: CriuLog::new(node.host_path(Path::new(&places.criu_log()))),
            network_lock: criu_options::network_lock(&node).await,
            runtime: runtime.to_owned(),
            daemon: Daemon::new(Arc::clone(&node), "containerd", places.log()),
            hold: Mutex::default(),
            node,
            kind,
            places,
            namespace,
            foreign: false,
        }
    }

    fn hold(&self) -> MutexGuard<'_, Hold> {
        // Only maps are kept in it: whole at any time, also after a panic elsewhere.
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock that checkpoints, freezes and thaws of one container take in turn.
    pub(super) fn turn(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.hold().turns.entry(id.to_owned()).or_default())
    }

    /// To be called when a container is gone.
    pub(super) fn forget(&self, id: &str) {
        let mut hold = self.hold();
        hold.frozen.remove(id);
        hold.turns.remove(id);
    }

    pub(super) fn host(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.node.host_path(inside.as_ref())
    }

    /// CRIU reads it when it dumps the container or restores it; containers with the same choices share it.
    pub(super) fn write_criu_config(&self, choices: &CriuChoices) -> Result<(), EngineError> {
        let path = self.host(self.places.criu_config(choices));
        let text = self.places.criu_options(choices, self.network_lock);
        std::fs::write(path, text).map_err(|e| self.surroundings("write CRIU's options", e))
    }

    pub(super) fn surroundings(&self, what: &str, why: impl std::fmt::Display) -> EngineError {
        broken(&self.node, what, why)
    }

    /// An error of this node in the words `can't WHAT on node NAME: SAID`, with its class.
    pub(super) fn error(&self, during: During, what: &str, said: &tonic::Status, criu: Vec<String>) -> EngineError {
        let class = match said.code() {
            // Only the connection itself makes this code: containerd answers UNKNOWN to nearly everything.
            tonic::Code::Unavailable => ErrorClass::DaemonGone,
            _ => classify::classify(during, said.message(), &criu),
        };
        self.told(class, what, said.message(), criu)
    }

    /// An error of a class in the same words.
    pub(super) fn told(&self, class: ErrorClass, what: &str, said: &str, criu: Vec<String>) -> EngineError {
        let message = format!("can't {what} on node {}: {said}", self.node.name());
        let message = super::criu_log::named(class, message, &criu);
        EngineError { class, message, hint: classify::hint(class).map(str::to_owned), log: criu }
    }

    /// Waits for a call that may be given up: none that checkpoints or restores.
    pub(super) async fn call<T>(
        &self,
        during: During,
        what: &str,
        limit: Duration,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, EngineError> {
        super::calls::note();
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.error(during, what, &status, Vec::new())),
            Err(_) => {
                let node = self.node.name();
                let message = format!("can't {what} on node {node}: containerd did not answer within {limit:?}");
                Err(EngineError::new(ErrorClass::Timeout, message))
            }
        }
    }
}
