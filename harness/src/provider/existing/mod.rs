//! Nodes of a cluster that is there already, by a kubeconfig and a context that are named, in a namespace of the run's own. Its
//! nodes are other machines, which only the API server reaches: a pod of podferry's on each has an agent ([`crate::node`])
//! that the harness talks with over `pods/exec`.
//!
//! What the harness does there it does with the rights of the user whom the context names, and in that namespace; the
//! kubelets' checkpoints are asked for through the API server. What it leaves on the nodes' disks the agents remove.

mod agents;
mod exec;
mod nodes;
mod preflight;
mod rights;

use super::Provider;
use super::local::Claims;
use super::together::Together;
use crate::client::{Attempt, Stand, Vantage};
use crate::cluster::{Api, Cluster, client_of, prompt_client_of, wait_for};
use crate::component::Progress;
use crate::ledger::CLUSTER_NAMESPACE;
use crate::node::{Node, Remote, SharedNode, Way};
use crate::record::{Chain, Failure, MachineRecord, Millis, RunId};
use agents::Ended;
use async_trait::async_trait;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::DeleteParams;
use nodes::Worker;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Pods have the grace of a second; a namespace goes after all that is in it.
const GONE_LIMIT: Duration = Duration::from_secs(180);
/// Whose a namespace is.
const RUN_LABEL: &str = "podferry.dev/run";

/// Why its nodes can't be broken.
pub const FOREIGN: &str = "it is an existing cluster's, not podferry's own";

/// What of an existing cluster is used.
#[derive(Clone)]
pub struct ExistingConfig {
    /// The run: the namespace is called by it.
    pub run_id: RunId,
    /// The user's kubeconfig; no other is looked for.
    pub kubeconfig: PathBuf,
    /// The context in it.
    pub context: String,
    /// Nodes that may be used, by their names in the cluster; none: those that are ready and have no taint, by name.
    pub nodes: Vec<String>,
    /// The agent's image, as the nodes' runtime knows it or can pull it.
    pub agent_image: String,
    /// The workers, by their names in scenarios.
    pub workers: Vec<String>,
    /// Where the namespace is claimed.
    pub claims: Arc<dyn Claims>,
    /// Told what takes long.
    pub progress: Arc<dyn Progress>,
}

/// Makes a namespace when the first node is asked for, and removes it with the last.
pub struct ExistingProvider {
    config: ExistingConfig,
    nodes: Together<Up>,
    from: Arc<From>,
    /// Carries what goes to the nodes. Others wait there for files that this brings, so that no work of theirs may run on it.
    runtime: Option<Runtime>,
}

struct Up {
    client: kube::Client,
    workers: BTreeMap<String, Arc<Remote>>,
    /// Where clients stand, if that is no worker.
    outside: Option<Remote>,
    /// The agents' ends.
    ends: Vec<Ended>,
    cluster: Arc<Cluster>,
}

/// Where clients connect from: a node that is none of the workers, where there is one.
#[derive(Default)]
struct From(Mutex<Option<(Way, Duration)>>);

impl From {
    fn way(&self) -> io::Result<(Way, Duration)> {
        let way = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        way.ok_or_else(|| io::Error::other("no node of the existing cluster is in use"))
    }
}

/// A connection inside of a cluster is there after some milliseconds, or the SYN was lost.
const CONNECT: Duration = Duration::from_millis(30);

impl Stand for From {
    fn enter(&self) -> io::Result<()> {
        self.way().map(drop)
    }

    fn begin(&self, to: SocketAddr) -> io::Result<Attempt> {
        let (way, _) = self.way()?;
        let (attempt, done) = Attempt::led()?;
        way.begin(to, CONNECT, done);
        Ok(attempt)
    }

    fn patience(&self) -> Duration {
        // The node's own, and the way there and back, which may be busy.
        self.way().map_or(CONNECT, |(_, round_trip)| CONNECT + round_trip * 10 + Duration::from_millis(200))
    }

    fn connect(&self, to: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        self.way()?.0.connect(to, timeout)
    }
}

/// A namespace that is to go, as a claim names it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claimed {
    namespace: String,
    context: String,
    kubeconfig: PathBuf,
}

impl ExistingProvider {
    /// One that has made nothing yet.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn new(config: ExistingConfig) -> Result<ExistingProvider, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("podferry-relay")
            .enable_all()
            .build()
            .map_err(|e| failure("can't start a thread", &e))?;
        let nodes = Together::new("existing cluster", &config.workers);
        Ok(ExistingProvider { config, nodes, from: Arc::default(), runtime: Some(runtime) })
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is there until this is dropped")
    }

    fn namespace(&self) -> String {
        format!("podferry-{}", self.config.run_id)
    }

    fn claim(&self) -> Result<String, Failure> {
        let kubeconfig = std::path::absolute(&self.config.kubeconfig);
        let claimed = Claimed {
            namespace: self.namespace(),
            context: self.config.context.clone(),
            kubeconfig: kubeconfig.map_err(|e| failure("can't name the kubeconfig", &e))?,
        };
        serde_json::to_string(&claimed).map_err(|e| failure("can't name the claim on a namespace", &e))
    }

    async fn bring_up(&self) -> Result<Up, Failure> {
        let (config, from) = (&self.config, Instant::now());
        let client = client_of(&config.kubeconfig, &config.context).await?;
        let namespace = self.namespace();
        rights::ask(&client, &config.context, &namespace).await?;
        let chosen = nodes::choose(&client, &config.nodes, &config.workers).await?;
        let told: Vec<String> =
            chosen.workers.iter().map(|worker| format!("{} is {}", worker.name, worker.known_as)).collect();
        config.progress.say(&format!("existing: {}; a namespace {namespace}", told.join(", ")));
        let claimed = config.claims.claim(CLUSTER_NAMESPACE, &self.claim()?);
        claimed.map_err(|e| failure("can't note the claim on a namespace", &e))?;
        match self.settle(&client, &namespace, &chosen).await {
            Ok(up) => {
                let took = Millis::from(from.elapsed());
                config.progress.say(&format!("existing: {} nodes ready after {took}", up.workers.len()));
                Ok(up)
            }
            Err(e) => {
                // The first error is the one to tell.
                let _ = self.end(&client).await;
                Err(e)
            }
        }
    }

    async fn settle(&self, client: &kube::Client, namespace: &str, chosen: &nodes::Chosen) -> Result<Up, Failure> {
        let config = &self.config;
        agents::make_namespace(client, namespace, &config.run_id).await?;
        let from = Instant::now();
        let all: Vec<&Worker> = chosen.workers.iter().chain(&chosen.outside).collect();
        agents::make(client, namespace, &config.agent_image, &all).await?;
        let (mut joined, mut ends) = (Vec::new(), Vec::new());
        for worker in &all {
            // A client of its own: what it does goes on where this one's tasks run.
            let (kubeconfig, context) = (config.kubeconfig.clone(), config.context.clone());
            let (on, worker, namespace) = (self.runtime().handle().clone(), (*worker).clone(), namespace.to_owned());
            let join = async move {
                let client = prompt_client_of(&kubeconfig, &context).await?;
                agents::join(&client, &namespace, &worker, &tokio::runtime::Handle::current()).await
            };
            let (remote, end) = on.spawn(join).await.map_err(|e| failure("can't join a node", &e))??;
            joined.push(remote);
            ends.push(end);
        }
        let outside = if chosen.outside.is_some() { joined.pop() } else { None };
        let mut workers = BTreeMap::new();
        for (mut remote, worker) in joined.into_iter().zip(&chosen.workers) {
            self.record(&mut remote, worker, from).await?;
            workers.insert(worker.name.clone(), Arc::new(remote));
        }
        preflight::look(&workers, &*config.progress).await?;
        let stands = outside.as_ref().or_else(|| workers.values().next().map(AsRef::as_ref));
        if let Some(stands) = stands {
            let round_trip = stands.round_trip().await.map_err(|e| failure("can't measure the way to a node", &e))?;
            config.progress.say(&format!("existing: clients stand on {}, {round_trip:.1?} away", stands.known_as()));
            *self.from.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((stands.way(), round_trip));
        }
        let cluster = Cluster::existing(client.clone(), namespace.to_owned());
        Ok(Up { client: client.clone(), workers, outside, ends, cluster })
    }

    async fn record(&self, remote: &mut Remote, worker: &Worker, from: Instant) -> Result<(), Failure> {
        let read = |file: &str| {
            let text = std::fs::read_to_string(remote.host_path(Path::new(file)));
            text.map_err(|e| failure(&format!("can't read {file} of node {}", worker.known_as), &e))
        };
        let machine = MachineRecord::read(&read("/proc/sys/kernel/osrelease")?, &read("/proc/cpuinfo")?);
        let components = preflight::components(remote, worker).await?;
        let record = remote.record_mut();
        (record.machine, record.components) = (machine, components);
        record.up_ms = Millis::from(from.elapsed()).0;
        Ok(())
    }

    async fn end(&self, client: &kube::Client) -> Result<(), Failure> {
        remove(client, &self.namespace()).await?;
        let released = self.config.claims.release(CLUSTER_NAMESPACE, &self.claim()?);
        released.map_err(|e| failure("can't note that the namespace is gone", &e))
    }
}

impl Drop for ExistingProvider {
    fn drop(&mut self) {
        // Waiting for it may not be allowed here.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[async_trait]
impl Provider for ExistingProvider {
    async fn node(&self, name: &str) -> Result<SharedNode, Failure> {
        let find = |up: &Up| up.workers.get(name).map(|remote| Arc::clone(remote) as SharedNode);
        self.nodes.take(name, self.bring_up(), find).await
    }

    /// With the last, the namespace goes.
    async fn down(&self, name: &str) -> Result<(), Failure> {
        let up = self.nodes.give_back(name).await;
        let Some(Up { client, workers, outside, ends, cluster }) = up else { return Ok(()) };
        *self.from.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        drop((workers, outside, cluster));
        // Each removes first what podferry has on its node's disk.
        for ended in ends {
            if let Err(late) = ended.wait().await {
                self.config.progress.say(&late);
            }
        }
        self.end(&client).await
    }

    fn vantage(&self) -> Vantage {
        Arc::clone(&self.from) as Vantage
    }

    async fn cluster(&self) -> Result<Option<Arc<Cluster>>, Failure> {
        self.nodes.of(|up| Some(Arc::clone(&up.cluster))).await
    }

    fn foreign(&self) -> Option<&'static str> {
        Some(FOREIGN)
    }
}

/// Removes a namespace of podferry's, and waits until it is gone; one that is not there is no error.
async fn remove(client: &kube::Client, namespace: &str) -> Result<(), Failure> {
    let cannot = format!("can't remove the namespace {namespace}");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let Some(there) = namespaces.get_opt(namespace).await.map_err(|e| failure(&cannot, &e))? else { return Ok(()) };
    let labels = there.metadata.labels.unwrap_or_default();
    if labels.get(RUN_LABEL).is_none_or(|run| namespace != format!("podferry-{run}")) {
        return Err(Failure::surroundings(format!(
            "{cannot}: it has no label {RUN_LABEL} of its run, so it is another's"
        )));
    }
    match namespaces.delete(namespace, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        deleted => drop(deleted.map_err(|e| failure(&cannot, &e))?),
    }
    let gone = wait_for(&namespaces, namespace, GONE_LIMIT, |namespace| Ok(namespace.is_none().then_some(())));
    gone.await.map_err(|e| failure(&cannot, &e))
}

/// Removes what a dead run left in a cluster. `claimed`: the claim's name.
///
/// # Errors
/// Why it is still there.
pub fn sweep(claimed: &str) -> Result<(), String> {
    let claimed: Claimed = serde_json::from_str(claimed).map_err(|e| format!("the claim names no namespace: {e}"))?;
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        runtime.block_on(async {
            let client = client_of(&claimed.kubeconfig, &claimed.context).await.map_err(|e| e.message)?;
            remove(&client, &claimed.namespace).await.map_err(|e| e.message)
        })
    };
    // A thread of its own: the caller's may belong to a runtime.
    std::thread::scope(|s| s.spawn(work).join().unwrap_or_else(|_| Err("a thread ended early".to_owned())))
}

fn failure(what: &str, e: &dyn std::error::Error) -> Failure {
    Failure::surroundings(format!("{what}: {}", Chain(e)))
}
