//! A cluster that stays up while somebody else uses it: of local nodes, or of kind.

use crate::bed::{self, Bed};
use crate::machine::Place;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use podferry::cluster::{Api, Cluster};
use podferry::engine::{self, Engine, Supplied};
use podferry::image::RegistryHandle;
use podferry::node::SharedNode;
use podferry::process::Exec;
use podferry::record::EngineKind;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Two that cases run on, and one that clients stand on; or two for each of two parts of the cases.
pub(crate) const NODES: [&str; 4] = ["a", "b", "c", "d"];

/// What podferry's pods on it are, all of it.
const ROLE: &str = include_str!("../../../fixtures/kubernetes/rbac-existing.json");
const IMPORT: Duration = Duration::from_secs(120);

pub(crate) struct Held {
    bed: Bed,
    admin: kube::Client,
    nodes: Vec<SharedNode>,
    /// Where containerd listens on each.
    socket: &'static str,
    /// Local nodes' own, which run as long as it is there.
    own: Option<Own>,
}

struct Own {
    _cluster: Arc<Cluster>,
    _engines: Vec<Arc<dyn Engine>>,
}

impl Held {
    /// Of local nodes, or of those that `PODFERRY_TEST_NODES` names (`--provider kind`). Its kubeconfig has a context `tester` of a
    /// user without rights, whom the administrator speaks for.
    pub(crate) async fn up(place: &Place) -> Held {
        let (held, path) = match std::env::var("PODFERRY_TEST_NODES") {
            Ok(args) => Held::made_by(&args).await,
            Err(_) => Held::local(place).await,
        };
        let mut config: Value = serde_json::to_value(Kubeconfig::read_from(&path).unwrap()).unwrap();
        config["users"][0]["user"]["as"] = json!("tester");
        config["contexts"][0]["name"] = json!("tester");
        config["current-context"] = json!("another");
        std::fs::write(place.path("kubeconfig"), config.to_string()).unwrap();
        held
    }

    async fn local(place: &Place) -> (Held, PathBuf) {
        let bed = Bed::up().await;
        let path = place.path("admin");
        let (control_plane, _) = bed.node("control-plane").await;
        let cluster = Cluster::up(control_plane, Some(&path)).await.unwrap_or_else(|e| panic!("{e:?}"));
        let supplies = Supplied { pause: bed.pause().await, cluster: Arc::clone(&cluster) };
        let (nodes, registries) = nodes_of(&bed).await;
        let mut engines = Vec::new();
        for node in &nodes {
            let engine = engine::connect(EngineKind::Kubelet, Arc::clone(node), &supplies).await;
            engines.push(engine.unwrap_or_else(|e| panic!("{e}: {:#?}", e.log)));
        }
        // Their registries end: the port is for whoever comes.
        drop(registries);
        let bed = bed.without_registries();
        let (admin, socket) = (client(&path).await, "/run/containerd-kubelet/containerd.sock");
        (Held { bed, admin, nodes, socket, own: Some(Own { _cluster: cluster, _engines: engines }) }, path)
    }

    async fn made_by(args: &str) -> (Held, PathBuf) {
        let bed = Bed::by(args, &NODES).await;
        bed.cluster().await.expect("its nodes belong to a cluster");
        let path = bed.folder().expect("it is a run's").join("kubeconfig");
        let (nodes, _) = nodes_of(&bed).await;
        let bed = bed.without_registries();
        let (admin, socket) = (client(&path).await, "/run/containerd/containerd.sock");
        (Held { bed, admin, nodes, socket, own: None }, path)
    }

    /// On nodes of somebody else's an image of a workload comes by archive, with a digest under its name: no registry is there when it is
    /// restored from either.
    pub(crate) async fn needs_no_registry(&self) {
        if self.own.is_some() {
            return;
        }
        let cluster = self.bed.cluster().await.expect("its nodes belong to a cluster");
        let supplies = Supplied { pause: self.bed.pause().await, cluster };
        let [a, b] = [0, 1].map(|nth| engine::connect(EngineKind::Kubelet, Arc::clone(&self.nodes[nth]), &supplies));
        let (a, b) = tokio::join!(a, b);
        let (a, b) = (a.unwrap(), b.unwrap());
        let looper = self.bed.looper().await;
        let source = bed::start(&a, "loaded", &looper).await;
        bed::counted(&a, &source, 5).await;
        let checkpoint = a.checkpoint(&source, "loaded").await.unwrap();
        let [from, to] = [&a, &b].map(|engine| engine.node().host_path(&checkpoint.path));
        std::fs::create_dir_all(to.parent().expect("a folder")).unwrap();
        std::fs::copy(from, to).unwrap();
        a.remove(&source).await.unwrap();
        let slot = b.prepare(&bed::spec("loaded", &looper)).await.unwrap();
        let copy = b.restore(&slot, &checkpoint).await.unwrap_or_else(|e| panic!("{e}: {:#?}", e.log)).container;
        bed::counted(&b, &copy, 6).await;
        b.remove(&copy).await.unwrap();
        for (engine, nth) in [(&a, 0), (&b, 1)] {
            for folder in self.left(nth) {
                std::fs::remove_dir_all(engine.node().host_path(Path::new(&folder))).unwrap();
            }
        }
    }

    /// As its user brings it: the archive, to each node's containerd.
    pub(crate) async fn import_agent(&self, place: &Place) {
        let archive = place.path("agent.tar");
        let made = place.podferry(&["agent-image", "--out", "agent.tar"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        for node in &self.nodes {
            let inside = Path::new("/run/agent.tar");
            let there = node.host_path(inside);
            std::fs::copy(&archive, &there).unwrap();
            let ctr = Exec::new("ctr").args(["--address", self.socket, "--namespace", "k8s.io", "images", "import"]);
            node.run(ctr.arg("--local").arg(inside).timeout(IMPORT)).await.unwrap();
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
        let node = &self.nodes[nth];
        let places =
            ["/run/podferry-guest", "/var/lib/podferry-images", "/data/kubelet/podferry", "/var/lib/kubelet/podferry"];
        places
            .iter()
            .filter(|place| node.host_path(Path::new(place)).exists())
            .map(|place| (*place).to_owned())
            .collect()
    }

    /// What the cluster calls a node.
    pub(crate) fn known_as(&self, nth: usize) -> String {
        self.nodes[nth].known_as().to_owned()
    }

    pub(crate) async fn down(self) {
        for name in NODES {
            self.bed.down(name).await;
        }
    }
}

/// [`NODES`], and the registries of those that the bed does not hold.
async fn nodes_of(bed: &Bed) -> (Vec<SharedNode>, [RegistryHandle; 2]) {
    let ((c, of_c), (d, of_d)) = tokio::join!(bed.node("c"), bed.node("d"));
    (vec![Arc::clone(&bed.a), Arc::clone(&bed.b), c, d], [of_c, of_d])
}

async fn client(path: &Path) -> kube::Client {
    let config = Kubeconfig::read_from(path).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}
