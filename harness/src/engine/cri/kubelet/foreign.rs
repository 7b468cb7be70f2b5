//! A kubelet and a containerd that somebody else made: a kind node's, minikube's, or those of a cluster that was there before.

use super::{Own, capabilities, found};
use crate::cluster::{Api, Cluster, KubeletPlaces};
use crate::engine::cri::{CriEngine, CriOptions};
use crate::engine::{Engine, EngineError, Supplies};
use crate::node::SharedNode;
use crate::process::Exec;
use crate::record::{Chain, EngineKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const JOURNAL_LIMIT: Duration = Duration::from_secs(30);

/// Connects to them. Nothing is started, and no configuration changed.
pub(super) async fn connect(
    kind: EngineKind,
    node: SharedNode,
    cluster: Arc<Cluster>,
    supplies: &dyn Supplies,
) -> Result<Arc<dyn Engine>, EngineError> {
    let options = CriOptions::new(supplies.pause().await?);
    let found = found::look(&node).await?;
    node.own(found::owned(&found, cluster.namespace()));
    let (places, groups) = (found.places.clone(), found.groups);
    let runtime = CriEngine::foreign(kind, Arc::clone(&node), options, places, groups, found.switched_on).await?.0;
    let server = cluster.version().await;
    let server = server.map_err(|e| runtime.surroundings("ask for the cluster's version", Chain(&e)))?;
    let own = Own {
        capabilities: capabilities(&runtime.capabilities, &server),
        pods: Api::namespaced(cluster.client(), cluster.namespace()),
        started: None,
        places: KubeletPlaces {
            home: runtime.places.home.clone(),
            root: found.root,
            logs: found.logs,
            socket: runtime.places.socket.clone(),
            group: found.group,
        },
        taken: tokio::sync::Mutex::default(),
        cluster,
        runtime,
    };
    Ok(Arc::new(super::KubeletEngine(Arc::new(own))))
}

impl Own {
    /// What systemd has kept of what the two said, and CRIU's log.
    pub(super) async fn collect_journals(&self, into: &Path) -> Result<(), EngineError> {
        let failed = |e: std::io::Error| self.runtime.surroundings("collect the kubelet's logs", e);
        std::fs::create_dir_all(into).map_err(failed)?;
        for unit in ["containerd", "kubelet"] {
            std::fs::write(into.join(format!("{unit}.log")), self.journal(unit).await?).map_err(failed)?;
        }
        match std::fs::copy(self.runtime.host(self.runtime.places.criu_log()), into.join("criu.log")) {
            // No CRIU has run yet.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            copied => drop(copied.map_err(failed)?),
        }
        self.collect_events(into).await
    }

    async fn journal(&self, unit: &str) -> Result<Vec<u8>, EngineError> {
        let place = PathBuf::from("/run/systemd/system");
        if !self.runtime.host(&place).is_dir() {
            let name = self.node().name();
            return Ok(format!("node {name} is not run by systemd: nobody keeps what {unit} says\n").into_bytes());
        }
        let journal = Exec::new("journalctl").args(["--no-pager", "--output", "cat", "--unit", unit]);
        let said = self.node().output(journal.timeout(JOURNAL_LIMIT)).await;
        said.map(|said| said.stdout).map_err(|e| self.runtime.surroundings("collect the kubelet's logs", Chain(&e)))
    }
}
