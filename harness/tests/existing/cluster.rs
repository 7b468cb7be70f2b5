//! A cluster of local nodes that stays up while somebody else uses it.

use crate::bed::Bed;
use crate::machine::Place;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use podferry::cluster::{Api, Cluster};
use podferry::engine::{self, Engine, Supplied};
use podferry::process::Exec;
use podferry::record::EngineKind;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Two that cases run on, and one that clients stand on.
pub(crate) const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// What podferry's pods on it are, all of it.
const ROLE: &str = include_str!("../../../fixtures/kubernetes/rbac-existing.json");
const SOCKET: &str = "/run/containerd-kubelet/containerd.sock";
const IMPORT: Duration = Duration::from_secs(120);

pub(crate) struct Held {
    bed: Bed,
    _cluster: Arc<Cluster>,
    admin: kube::Client,
    engines: Vec<Arc<dyn Engine>>,
}

impl Held {
    /// Its kubeconfig has a context `tester` of a user without rights, whom the administrator speaks for.
    pub(crate) async fn up(place: &Place) -> Held {
        let bed = Bed::up().await;
        let path = place.path("admin");
        let (control_plane, _) = bed.node("control-plane").await;
        let cluster = Cluster::up(control_plane, Some(&path)).await.unwrap_or_else(|e| panic!("{e:?}"));
        let config = Kubeconfig::read_from(&path).unwrap();
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        let admin = kube::Client::try_from(config).unwrap();
        let supplies = Supplied { pause: bed.pause().await, cluster: Arc::clone(&cluster) };
        let mut engines = Vec::new();
        for name in NODES {
            // Its registry ends here: the port is for whoever comes.
            let (node, _registry) = bed.node(name).await;
            let engine = engine::connect(EngineKind::Kubelet, node, &supplies).await;
            engines.push(engine.unwrap_or_else(|e| panic!("{e}: {:#?}", e.log)));
        }
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config["users"][0]["user"]["as"] = json!("tester");
        config["contexts"][0]["name"] = json!("tester");
        config["current-context"] = json!("another");
        std::fs::write(place.path("kubeconfig"), config.to_string()).unwrap();
        Held { bed, _cluster: cluster, admin, engines }
    }

    /// As its user brings it: the archive, to each node's containerd.
    pub(crate) async fn import_agent(&self, place: &Place) {
        let archive = place.path("agent.tar");
        let made = place.podferry(&["agent-image", "--out", "agent.tar"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        for engine in &self.engines {
            let inside = Path::new("/data/agent.tar");
            let there = engine.node().host_path(inside);
            std::fs::copy(&archive, &there).unwrap();
            let ctr =
                Exec::new("ctr").args(["--address", SOCKET, "--namespace", "k8s.io", "images", "import", "--local"]);
            engine.node().run(ctr.arg(inside).timeout(IMPORT)).await.unwrap();
            std::fs::remove_file(there).unwrap();
        }
    }

    /// Gives the tester what the manifest has, but for one resource.
    pub(crate) async fn allow(&self, _place: &Place, but: Option<&str>) {
        let mut role: Value = serde_json::from_str(ROLE).unwrap();
        let rules = role["rules"].as_array_mut().unwrap();
        rules.retain(|rule| but.is_none_or(|but| rule["resources"][0] != but));
        let roles: Api<ClusterRole> = Api::all(self.admin.clone());
        let _ = roles.delete("podferry-existing", &DeleteParams::default()).await;
        roles.create(&PostParams::default(), &serde_json::from_value(role).unwrap()).await.unwrap();
        let binding = json!({
            "metadata": {"name": "podferry-existing"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "podferry-existing"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "tester"}],
        });
        let bindings: Api<ClusterRoleBinding> = Api::all(self.admin.clone());
        let _ = bindings.delete("podferry-existing", &DeleteParams::default()).await;
        bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
    }

    /// Namespaces of runs.
    pub(crate) async fn namespaces(&self) -> Vec<String> {
        let all: Api<Namespace> = Api::all(self.admin.clone());
        let all = all.list(&ListParams::default()).await.unwrap();
        let names = all.items.into_iter().filter_map(|namespace| namespace.metadata.name);
        names.filter(|name| name.starts_with("podferry-")).collect()
    }

    /// What there is on a node of a run that used it.
    pub(crate) fn left(&self, nth: usize) -> Vec<String> {
        let node = self.engines[nth].node();
        let places = ["/run/podferry-guest", "/var/lib/podferry", "/data/kubelet/podferry"];
        places
            .iter()
            .filter(|place| node.host_path(Path::new(place)).exists())
            .map(|place| (*place).to_owned())
            .collect()
    }

    pub(crate) async fn down(self) {
        for name in NODES {
            self.bed.down(name).await;
        }
    }
}
