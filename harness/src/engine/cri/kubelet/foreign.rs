//! A kubelet and a containerd that somebody else made, under systemd: a kind node's, or minikube's.

use super::{Own, capabilities};
use crate::cluster::{Api, Cluster, KubeletPlaces, NAMESPACE};
use crate::engine::containerd::{FOREIGN_KUBELET_ROOT, broken};
use crate::engine::cri::{CriEngine, CriOptions, Groups};
use crate::engine::{Engine, EngineError, Supplies};
use crate::node::SharedNode;
use crate::process::Exec;
use crate::record::{Chain, EngineKind};
use std::path::Path;
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
    let config = node.host_path(&Path::new(FOREIGN_KUBELET_ROOT).join("config.yaml"));
    let config = std::fs::read_to_string(config).map_err(|e| broken(&node, "read the kubelet's configuration", e))?;
    let systemd = config.lines().any(|line| line.trim() == "cgroupDriver: systemd");
    let groups = if systemd { Groups::Systemd } else { Groups::Cgroupfs };
    let runtime = CriEngine::foreign(kind, Arc::clone(&node), options, groups).await?.0;
    let server = cluster.version().await;
    let server = server.map_err(|e| runtime.surroundings("ask for the cluster's version", Chain(&e)))?;
    let own = Own {
        capabilities: capabilities(&runtime.capabilities, &server),
        pods: Api::namespaced(cluster.client(), NAMESPACE),
        started: None,
        places: KubeletPlaces {
            home: runtime.places.home.clone(),
            root: FOREIGN_KUBELET_ROOT.to_owned(),
            logs: "/var/log/pods".to_owned(),
            socket: runtime.places.socket.clone(),
            group: root_group(&config).to_owned(),
        },
        cluster,
        runtime,
    };
    Ok(Arc::new(super::KubeletEngine(Arc::new(own))))
}

/// Below which group a kubelet puts all that it starts: `/kubelet` is kind's; minikube leaves it at the root, which is "".
fn root_group(config: &str) -> &str {
    let said = config.lines().find_map(|line| line.strip_prefix("cgroupRoot:"));
    said.map_or("", |group| group.trim().trim_matches('"').trim_end_matches('/'))
}

impl Own {
    /// What systemd has kept of what the two said, and CRIU's log.
    pub(super) async fn collect_journals(&self, into: &Path) -> Result<(), EngineError> {
        let failed = |e: std::io::Error| self.runtime.surroundings("collect the kubelet's logs", e);
        std::fs::create_dir_all(into).map_err(failed)?;
        for unit in ["containerd", "kubelet"] {
            let journal = Exec::new("journalctl").args(["--no-pager", "--output", "cat", "--unit", unit]);
            let said = self.node().output(journal.timeout(JOURNAL_LIMIT)).await;
            let said = said.map_err(|e| self.runtime.surroundings("collect the kubelet's logs", Chain(&e)))?;
            std::fs::write(into.join(format!("{unit}.log")), said.stdout).map_err(failed)?;
        }
        match std::fs::copy(self.runtime.host(self.runtime.places.criu_log()), into.join("criu.log")) {
            // No CRIU has run yet.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            copied => drop(copied.map_err(failed)?),
        }
        self.collect_events(into).await
    }
}

#[cfg(test)]
mod tests {
    use super::root_group;

    #[test]
    fn the_root_of_a_kubelets_groups_is_read() {
        assert_eq!(root_group("kind: x\ncgroupRoot: /kubelet\nz: 1\n"), "/kubelet");
        assert_eq!(root_group("cgroupRoot: \"/\"\n"), "");
        assert_eq!(root_group("cgroupDriver: cgroupfs\n"), "");
    }
}
