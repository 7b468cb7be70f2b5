//! A cluster with kubelets on nodes of the test's own, as its administrator and as the users of the checkpoint endpoint see it.

use crate::bed::Bed;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use podferry::cluster::{Api, Cluster, wait_for};
use podferry::engine::{self, Engine, Supplied};
use podferry::image::{RegistryHandle, checkpoint_layout};
use podferry::node::SharedNode;
use podferry::process::Exec;
use podferry::record::EngineKind;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A pod on a busy machine.
const RUNS: Duration = Duration::from_secs(60);
/// containerd's socket in a node, as the engine `kubelet` has it.
const SOCKET: &str = "/run/containerd-kubelet/containerd.sock";

pub(crate) struct Ground {
    pub(crate) bed: Bed,
    pub(crate) cluster: Arc<Cluster>,
    /// Who may do everything.
    pub(crate) admin: kube::Client,
    /// The kubelets, each with its node.
    pub(crate) engines: Vec<Arc<dyn Engine>>,
    _registries: Vec<RegistryHandle>,
}

/// What the checkpoint endpoint answers.
#[derive(Deserialize)]
struct Answer {
    items: Vec<PathBuf>,
}

impl Ground {
    pub(crate) async fn up(names: &[&str]) -> Ground {
        let bed = Bed::up().await;
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = dir.path().join("kubeconfig");
        let (control_plane, _) = bed.node("control-plane").await;
        let cluster = Cluster::up(control_plane, Some(&kubeconfig)).await.unwrap_or_else(|e| panic!("{e:?}"));
        let config = Kubeconfig::read_from(&kubeconfig).unwrap();
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        let admin = kube::Client::try_from(config).unwrap();
        let supplies = Supplied { pause: bed.pause().await, cluster: Arc::clone(&cluster) };
        let (mut engines, mut registries) = (Vec::new(), Vec::new());
        for name in names {
            let (node, registry) = bed.node(name).await;
            let engine = engine::connect(EngineKind::Kubelet, node, &supplies).await;
            engines.push(engine.unwrap_or_else(|e| panic!("{e}: {:#?}", e.log)));
            registries.push(registry);
        }
        Ground { bed, cluster, admin, engines, _registries: registries }
    }

    pub(crate) fn node(&self, nth: usize) -> &SharedNode {
        self.engines[nth].node()
    }

    pub(crate) fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.admin.clone(), namespace)
    }

    /// Makes a pod and waits until its containers run; gives its address.
    pub(crate) async fn run(&self, namespace: &str, pod: &Value) -> Ipv4Addr {
        let pods = self.pods(namespace);
        let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
        let name = pods.create(&PostParams::default(), &pod).await.unwrap().metadata.name.unwrap();
        self.runs(namespace, &name, 0).await
    }

    /// Waits until the container of a pod runs after so many restarts.
    pub(crate) async fn runs(&self, namespace: &str, name: &str, restarts: i32) -> Ipv4Addr {
        let running = |pod: Option<&Pod>| {
            let status = pod.and_then(|pod| pod.status.as_ref());
            let container = status.and_then(|s| s.container_statuses.as_ref()).and_then(|all| all.first());
            let runs = container.is_some_and(|c| {
                c.restart_count == restarts && c.state.as_ref().is_some_and(|state| state.running.is_some())
            });
            Ok(status.filter(|_| runs).and_then(|s| s.pod_ip.as_ref()).and_then(|ip| ip.parse().ok()))
        };
        let found = wait_for(&self.pods(namespace), name, RUNS, running).await;
        let now = async || format!("{:#?}", self.pods(namespace).get(name).await.map(|pod| pod.status));
        match found {
            Ok(address) => address,
            Err(e) => panic!("pod {name}: {e}: {}", now().await),
        }
    }

    pub(crate) async fn delete(&self, namespace: &str, name: &str) {
        let pods = self.pods(namespace);
        pods.delete(name, &DeleteParams::default().grace_period(1)).await.unwrap();
        wait_for(&pods, name, RUNS, |pod| Ok(pod.is_none().then_some(()))).await.unwrap();
    }

    /// Has containerd do something with the container of a pod: `pause`, `resume`.
    pub(crate) async fn task(&self, what: &str, nth: usize, namespace: &str, name: &str) {
        let pod = self.pods(namespace).get(name).await.unwrap();
        let statuses = pod.status.and_then(|status| status.container_statuses).unwrap();
        let id =
            statuses[0].container_id.as_deref().and_then(|id| id.strip_prefix("containerd://")).unwrap().to_owned();
        let ctr = Exec::new("ctr").args(["--address", SOCKET, "--namespace", "k8s.io", "tasks", what, &id]);
        self.node(nth).run(ctr.timeout(RUNS)).await.unwrap();
    }

    /// What was told of a pod that is a warning.
    pub(crate) async fn told(&self, namespace: &str, name: &str) -> Vec<String> {
        let events: Api<Event> = Api::namespaced(self.admin.clone(), namespace);
        let events = events.list(&ListParams::default().fields(&format!("involvedObject.name={name}"))).await.unwrap();
        let warnings = events.items.into_iter().filter(|event| event.type_.as_deref() == Some("Warning"));
        warnings.map(|e| format!("{}: {}", e.reason.unwrap_or_default(), e.message.unwrap_or_default())).collect()
    }

    /// The endpoint, by the API server's proxy, with podferry's own rights; the archive's place in the node.
    pub(crate) async fn checkpoint(&self, nth: usize, container: &str) -> PathBuf {
        let node = self.node(nth).name();
        let path = format!("/api/v1/nodes/{node}/proxy/checkpoint/{container}");
        self.post(self.cluster.client(), &path).await
    }

    pub(crate) async fn post(&self, client: kube::Client, path: &str) -> PathBuf {
        let request = http::Request::post(path).body(Vec::new()).unwrap();
        let answer: Answer = client.request(request).await.unwrap();
        assert_eq!(answer.items.len(), 1, "{:?}", answer.items);
        answer.items[0].clone()
    }

    /// Makes an image of an archive of one node's on another.
    pub(crate) async fn carry(&self, archive: &Path, from: usize, to: usize, container: &str, reference: &str) {
        let (inside, target) = (Path::new("/data/carried.tar"), self.node(to));
        let from = self.node(from).host_path(archive);
        checkpoint_layout(&from, &target.host_path(inside), container, reference).unwrap();
        let ctr = Exec::new("ctr").args(["--address", SOCKET, "--namespace", "k8s.io", "images", "import", "--local"]);
        target.run(ctr.arg(inside).timeout(RUNS)).await.unwrap();
        std::fs::remove_file(target.host_path(inside)).unwrap();
    }

    /// What a redis answers, asked until it does.
    pub(crate) async fn redis(&self, nth: usize, address: Ipv4Addr, words: &[&str]) -> String {
        let address = address.to_string();
        crate::bed::within("an answer of redis", async || {
            let exec = Exec::new("redis-cli").args(["-t", "1", "-h", &address]).args(words).timeout(RUNS);
            let output = self.node(nth).output(exec).await.ok()?;
            (output.code == 0 && !output.text().is_empty()).then(|| output.text())
        })
        .await
    }
}

/// A pod of one redis on a node.
pub(crate) fn pod(name: &str, node: &str, image: &str, more: &Value) -> Value {
    let mut pod = json!({
        "metadata": {"name": name},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "redis", "image": image, "imagePullPolicy": "IfNotPresent"}],
        },
    });
    for (key, value) in more.as_object().unwrap() {
        pod["spec"]["containers"][0][key] = value.clone();
    }
    pod
}
