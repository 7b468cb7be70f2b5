//! A kubelet over a containerd of its own: pods by the API server, checkpoints by the kubelet's endpoint, restores as a pod
//! whose image is the checkpoint.
//!
//! What a kubelet has no word for goes by its containerd: freezing, and looking. So a fenced source is one that somebody
//! froze who has access to the node; the kubelet checkpoints it all the same, and knows nothing of it (1.36.3).
//!
//! A pod has no address before its container is started, and there is no making it without starting it.

mod checkpoint;
mod counters;
mod foreign;
mod found;
mod images;
mod own;
mod pod;
mod restore;
mod words;

pub(super) use counters::CONTAINERD_COUNTS;

use super::{Groups, Inner};
use crate::cluster::{Api, Cluster, Direct, KubeletPlaces, wait_for};
use crate::engine::containerd::classify::During;
use crate::engine::containerd::generated;
use crate::engine::cri_api::{LIMIT, Served};
use crate::engine::daemon::{Daemon, READY_POLL};
use crate::engine::{
    Capabilities, Checkpoint, Container, ContainerSpec, Engine, EngineError, Restored, Slot, Stored, Supplies,
    to_its_end,
};
use crate::node::SharedNode;
use crate::record::{Chain, EngineKind, ErrorClass, MemoryReport, OutsideReport};
use async_trait::async_trait;
use generated::runtime::v1 as cri;
use k8s_openapi::List;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use pod::Pull;
use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A pod on an idle machine takes 0.5 s; its image may have to be pulled.
const START_LIMIT: Duration = Duration::from_secs(300);
/// The grace of a pod that ends, and what its kubelet does then.
const GONE_LIMIT: Duration = Duration::from_secs(120);
/// Ready after 3 s on two busy cores.
const READY_LIMIT: Duration = Duration::from_secs(120);

/// The engine `kubelet`, see [`crate::engine::connect`].
pub(in crate::engine) async fn connect(
    kind: EngineKind,
    node: SharedNode,
    supplies: &dyn Supplies,
) -> Result<Arc<dyn Engine>, EngineError> {
    let cluster = supplies.cluster().await?;
    match cluster.is_own() {
        true => own::connect(kind, node, cluster, supplies).await,
        false => foreign::connect(kind, node, cluster, supplies).await,
    }
}

/// A kubelet on one node.
struct KubeletEngine(Arc<Own>);

/// What the engine's own tasks share with it.
struct Own {
    runtime: Arc<Inner>,
    cluster: Arc<Cluster>,
    pods: Api<Pod>,
    /// `None`: somebody else runs the kubelet.
    started: Option<Started>,
    places: KubeletPlaces,
    capabilities: Capabilities,
    /// Images of workloads that were taken away from the node.
    taken: tokio::sync::Mutex<HashSet<String>>,
}

/// A kubelet of podferry's own.
struct Started {
    direct: Direct,
    daemon: Daemon,
    exec: crate::process::Exec,
}

const ALONE: &str = "nobody but a kubelet is the client of its containerd";

fn capabilities(of: &Capabilities, server: &str) -> Capabilities {
    Capabilities {
        version: format!("kubelet {} over {}", server.trim_start_matches('v'), of.version),
        bare_checkpoint: Err(ALONE.to_owned()),
        bare_restore: Err(ALONE.to_owned()),
        strategies: crate::engine::Strategies::default(),
        ..of.clone()
    }
}

impl Own {
    fn node(&self) -> &SharedNode {
        &self.runtime.node
    }

    async fn start_kubelet(&self) -> Result<(), EngineError> {
        match &self.started {
            Some(own) => own.daemon.start(own.exec.clone(), self.ready(own)).await,
            None => Ok(()),
        }
    }

    /// Until it serves and its node is ready: of one that was killed the API server says so for 40 s more. There is no time
    /// limit but the daemon's own.
    async fn ready(&self, own: &Started) {
        while !self.cluster.serves(self.node()).await {
            tokio::time::sleep(READY_POLL).await;
        }
        while self.cluster.await_ready(self.node().known_as(), READY_LIMIT).await.is_err() {}
        // Until it has heard of its pods it says of each that there is none (404, `pod does not exist`).
        while !self.knows_its_pods(own).await {
            tokio::time::sleep(READY_POLL).await;
        }
    }

    async fn knows_its_pods(&self, own: &Started) -> bool {
        let here = ListParams::default().fields(&format!("spec.nodeName={}", self.node().known_as()));
        let Ok(pods) = self.pods.list(&here).await else { return false };
        let Ok(request) = words::get("/pods") else { return false };
        let Ok(known) = own.direct.client.request::<List<Pod>>(request).await else { return false };
        pods.items.iter().all(|pod| known.items.iter().any(|seen| seen.metadata.uid == pod.metadata.uid))
    }

    /// An answer of the API server that says no.
    fn refused(&self, what: &str, e: &kube::Error) -> EngineError {
        words::refused(&format!("can't {what} on node {}", self.node().name()), e)
    }

    /// Makes a pod and waits until its container runs.
    async fn run(&self, slot: &Slot, image: &str, pull: Pull) -> Result<Container, EngineError> {
        self.runtime.write_criu_config(&slot.spec.criu)?;
        let criu = self.runtime.places.criu_config(&slot.spec.criu);
        let object = pod::object(self.cluster.namespace(), &slot.spec, self.node(), image, pull, &criu);
        let what = format!("make a pod for container {}", slot.spec.name);
        self.pods.create(&PostParams::default(), &object).await.map_err(|e| self.refused(&what, &e))?;
        let running = wait_for(&self.pods, &slot.handle, START_LIMIT, pod::running).await;
        let running = running.map_err(|e| {
            let said = tonic::Status::unknown(Chain(&e).to_string());
            self.runtime.error(During::Start, &format!("start container {}", slot.spec.name), &said, Vec::new())
        })?;
        self.adopt(slot, &running);
        let log = pod::log(&self.places.logs, self.cluster.namespace(), &slot.handle, &running.uid, &slot.spec.name);
        let slot = Slot { address: running.address, ..slot.clone() };
        Ok(Container { id: running.id, slot, log: PathBuf::from(log) })
    }

    /// Tells what looks at containers where this one's control group is.
    fn adopt(&self, slot: &Slot, running: &pod::Running) {
        let config = cri::PodSandboxConfig {
            linux: Some(cri::LinuxPodSandboxConfig {
                cgroup_parent: pod::group(
                    &self.places.group,
                    &running.uid,
                    &running.quality,
                    self.runtime.groups == Groups::Systemd,
                ),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.runtime.state().sandboxes.insert(slot.handle.clone(), config);
    }

    /// Starts a fresh container; what is left of one that does not start goes.
    async fn start(&self, slot: &Slot) -> Result<Container, EngineError> {
        let started = self.run(slot, &slot.spec.image.reference, Pull::IfNotPresent).await;
        if started.is_err() {
            let _ = self.remove_pod(&slot.handle, None).await;
        }
        started
    }

    /// Deletes a pod, and waits until its kubelet has ended it. `id`: the container, which is not to have the grace of its
    /// pod: it may be frozen, and must not run on.
    async fn remove_pod(&self, name: &str, id: Option<&str>) -> Result<(), EngineError> {
        let what = format!("remove pod {name}");
        let sandboxes = self.sandboxes(name).await?;
        match self.pods.delete(name, &DeleteParams::default().grace_period(1)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            deleted => drop(deleted.map_err(|e| self.refused(&what, &e))?),
        }
        if let Some(id) = id {
            // It may have ended already.
            let _ = self.runtime.kill_task(id).await;
        }
        let gone = wait_for(&self.pods, name, GONE_LIMIT, |pod| Ok(pod.is_none().then_some(()))).await;
        gone.map_err(|e| self.runtime.surroundings(&what, Chain(&e)))?;
        // The kubelet leaves them to its next collection of garbage, within a minute.
        for sandbox in sandboxes {
            self.runtime.remove_sandbox(name, &sandbox).await?;
        }
        self.runtime.state().sandboxes.remove(name);
        Ok(())
    }

    /// The sandboxes that a pod has at the runtime.
    async fn sandboxes(&self, pod: &str) -> Result<Vec<String>, EngineError> {
        let labels = [("io.kubernetes.pod.name".to_owned(), pod.to_owned())].into();
        let filter = cri::PodSandboxFilter { label_selector: labels, ..Default::default() };
        let mut runtime = self.runtime.client.runtime.clone();
        let request = cri::ListPodSandboxRequest { filter: Some(filter) };
        let call = runtime.list_pod_sandbox(request);
        let what = format!("look for the sandbox of pod {pod}");
        let listed = self.runtime.call(During::Control, &what, LIMIT, call).await?;
        Ok(listed.items.into_iter().map(|item| item.id).collect())
    }

    async fn network(&self, name: &str) -> Result<PathBuf, EngineError> {
        let pod = pod::name(name, self.node().name());
        let sandbox = self.sandboxes(&pod).await?.into_iter().next();
        let pid = match sandbox {
            Some(id) => self.runtime.task_pid(&id, &format!("look for the sandbox of pod {pod}")).await?,
            None => None,
        };
        pid.map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net"))).ok_or_else(|| {
            let message = format!("there is no pod {pod} on node {}", self.node().name());
            EngineError::new(ErrorClass::UnknownContainer, message)
        })
    }

    async fn left(&self) -> Result<Vec<String>, EngineError> {
        let listed = self.pods.list(&ListParams::default()).await;
        let listed = listed.map_err(|e| self.refused("list pods", &e))?;
        let here = |pod: &Pod| {
            let selector = pod.spec.as_ref().and_then(|s| s.node_selector.as_ref());
            selector.and_then(|s| s.get("kubernetes.io/hostname")).is_some_and(|node| node == self.node().known_as())
        };
        let pods = listed.items.into_iter().filter(here);
        let mut left: Vec<String> = pods.map(|p| format!("pod {}", p.metadata.name.unwrap_or_default())).collect();
        left.extend(match &self.started {
            Some(_) => self.runtime.left().await?,
            None => self.runtime.containerd.left().await?,
        });
        let checkpoints = std::fs::read_dir(self.runtime.host(format!("{}/checkpoints", self.places.root)));
        let checkpoints = checkpoints.into_iter().flatten().flatten();
        let names = checkpoints.map(|entry| entry.file_name().to_string_lossy().into_owned());
        // A kubelet of somebody else may have others'.
        let ours = format!("_{}-", self.cluster.namespace());
        let names = names.filter(|name| self.started.is_some() || name.contains(&ours));
        left.extend(names.map(|name| format!("checkpoint {name}")));
        Ok(left)
    }

    async fn collect_logs(&self, into: &Path) -> Result<(), EngineError> {
        if self.started.is_none() {
            return self.collect_journals(into).await;
        }
        self.runtime.collect_logs(into)?;
        let failed = |e: std::io::Error| self.runtime.surroundings("collect the kubelet's logs", e);
        let log = self.runtime.host(format!("{}/kubelet.log", self.places.home));
        std::fs::copy(log, into.join("kubelet.log")).map_err(failed)?;
        self.collect_events(into).await
    }

    async fn collect_events(&self, into: &Path) -> Result<(), EngineError> {
        let events: Api<Event> = Api::namespaced(self.cluster.client(), self.cluster.namespace());
        let events = events.list(&ListParams::default()).await.map_err(|e| self.refused("list events", &e))?;
        let lines: String = events.iter().map(words::event).collect();
        let written = std::fs::write(into.join("events.txt"), lines);
        written.map_err(|e| self.runtime.surroundings("collect the pods' events", e))
    }
}

#[async_trait]
impl Engine for KubeletEngine {
    fn kind(&self) -> EngineKind {
        self.0.runtime.kind
    }

    fn node(&self) -> &SharedNode {
        self.0.node()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    /// The image alone: a sandbox is made with the container.
    async fn prepare(&self, spec: &ContainerSpec) -> Result<Slot, EngineError> {
        let handle = pod::name(&spec.name, self.node().name());
        let there = self.0.pods.get_opt(&handle).await;
        if there.map_err(|e| self.0.refused(&format!("look for pod {handle}"), &e))?.is_some() {
            let message = format!("can't make a pod for container {}: pod {handle} is there", spec.name);
            return Err(EngineError::new(ErrorClass::NameTaken, message));
        }
        self.0.bring(&spec.image).await?;
        Ok(Slot { spec: spec.clone(), address: Ipv4Addr::UNSPECIFIED, handle })
    }

    async fn start(&self, slot: &Slot) -> Result<Container, EngineError> {
        let (own, slot) = (Arc::clone(&self.0), slot.clone());
        to_its_end(async move { own.start(&slot).await }).await
    }

    fn unstarted(&self) -> Result<(), String> {
        Err("a kubelet starts what it makes".to_owned())
    }

    async fn create(&self, slot: &Slot) -> Result<Container, EngineError> {
        let message = format!("can't make container {} without starting it: a kubelet starts its pods", slot.spec.name);
        Err(EngineError::new(ErrorClass::Unsupported, message))
    }

    async fn network(&self, name: &str) -> Result<PathBuf, EngineError> {
        self.0.network(name).await
    }

    async fn forget_image(&self, reference: &str) -> Result<(), EngineError> {
        self.0.taken.lock().await.insert(reference.to_owned());
        self.0.runtime.forget_image(reference).await
    }

    async fn freeze(&self, container: &Container) -> Result<(), EngineError> {
        self.0.runtime.freeze(container).await
    }

    async fn thaw(&self, container: &Container) -> Result<(), EngineError> {
        self.0.runtime.thaw(container).await
    }

    async fn checkpoint(&self, container: &Container, name: &str) -> Result<Checkpoint, EngineError> {
        let (own, container, name) = (Arc::clone(&self.0), container.clone(), name.to_owned());
        to_its_end(async move { own.checkpoint(&container, &name).await }).await
    }

    async fn restore(&self, slot: &Slot, from: &Checkpoint) -> Result<Restored, EngineError> {
        let (own, slot, from) = (Arc::clone(&self.0), slot.clone(), from.clone());
        to_its_end(async move { own.restore_archive(&slot, &from).await }).await
    }

    async fn restore_image(&self, slot: &Slot, reference: &str) -> Result<Restored, EngineError> {
        let (own, slot, reference) = (Arc::clone(&self.0), slot.clone(), reference.to_owned());
        to_its_end(async move { own.restore_image(&slot, &reference).await }).await
    }

    async fn restore_bare(&self, slot: &Slot, _: &Checkpoint, _: Duration) -> Result<Restored, EngineError> {
        let message = format!("no bare restore of {}: {ALONE}", slot.spec.name);
        Err(EngineError::new(ErrorClass::Unsupported, message).hint("use the engine cri"))
    }

    async fn inspect(&self, container: &Container) -> Result<Option<OutsideReport>, EngineError> {
        self.0.runtime.inspect(container).await
    }

    fn memory(&self, container: &Container) -> Option<MemoryReport> {
        self.0.runtime.memory(container)
    }

    async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        let (own, container) = (Arc::clone(&self.0), container.clone());
        to_its_end(async move {
            own.remove_pod(&container.slot.handle, Some(&container.id)).await?;
            own.runtime.forget(&container.id);
            Ok(())
        })
        .await
    }

    async fn discard(&self, slot: &Slot) -> Result<(), EngineError> {
        let (own, handle) = (Arc::clone(&self.0), slot.handle.clone());
        to_its_end(async move { own.remove_pod(&handle, None).await }).await
    }

    async fn left(&self) -> Result<Vec<String>, EngineError> {
        self.0.left().await
    }

    async fn collect_logs(&self, into: &Path) -> Result<(), EngineError> {
        self.0.collect_logs(into).await
    }

    async fn counters(&self) -> Vec<(&'static str, Result<String, EngineError>)> {
        let (kubelet, containerd) = tokio::join!(self.0.kubelet_counters(), self.0.containerd_counters());
        vec![("kubelet", kubelet), ("containerd", containerd)]
    }

    async fn kill_daemon(&self) -> Result<(), EngineError> {
        match &self.0.started {
            Some(own) => own.daemon.kill().await,
            None => Err(EngineError::new(ErrorClass::Unsupported, "somebody else runs the kubelet".to_owned())),
        }
    }

    async fn revive(&self) -> Result<(), EngineError> {
        let own = Arc::clone(&self.0);
        to_its_end(async move {
            let Some(started) = &own.started else {
                return own.runtime.thaw_forgotten("by nobody").await.map(drop);
            };
            own.runtime.revive().await?;
            let well = started.daemon.is_well(own.ready(started)).await?;
            if well { Ok(()) } else { own.start_kubelet().await }
        })
        .await
    }

    fn runtime(&self) -> &str {
        &self.0.runtime.runtime
    }

    fn folder(&self, of: Stored) -> PathBuf {
        match of {
            Stored::Images => PathBuf::from(&self.0.runtime.places.tmp),
            Stored::Archives => PathBuf::from(&self.0.runtime.places.checkpoints),
        }
    }

    async fn first_process(&self, container: &Container) -> Result<Option<u32>, EngineError> {
        self.0.runtime.first_process(container).await
    }
}
