//! What a run stands on, from its arguments: a name and a ledger, a folder with the record in it, and grounds for its cases.

use super::args::{ExistingArgs, KindArgs, StackArgs};
use super::run::{Refusal, close_ledger, drop_images, local as local_nodes, make_folder, new_ledger, now};
use super::stack::{self, Kind, Minikube, Stack};
use crate::component;
use crate::image::{self, Store};
use crate::ledger::Ledger;
use crate::provider::existing::{ExistingConfig, ExistingProvider};
use crate::provider::kind::{KindConfig, KindProvider};
use crate::provider::local::{LocalConfig, LocalProvider};
use crate::provider::minikube::{MinikubeConfig, MinikubeProvider};
use crate::provider::{Provider, local};
use crate::record::{Chain, Event, Failure, RunId};
use crate::run::{Ground, Listener, Preparations, Recorder, Stores};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is asked for.
pub(crate) struct Asked<'a> {
    /// What runs on the nodes.
    pub(crate) stack: &'a StackArgs,
    /// What a cluster is told, if the stack is on one of kind's or minikube's, or on one that is there already.
    pub(crate) of_cluster: Option<OfCluster>,
    /// Where the run's folder is made.
    pub(crate) out: &'a Path,
    /// How many cases may run side by side: so many grounds there are of each node image.
    pub(crate) lanes: usize,
    /// The command line, as it is told.
    pub(crate) command: Vec<String>,
}

/// What a cluster is told.
pub(crate) struct OfCluster {
    /// The cluster that is there already, if it is to be that.
    pub(crate) existing: Option<ExistingArgs>,
    /// The workers, by their names in scenarios.
    pub(crate) workers: Vec<String>,
    /// Told what takes long.
    pub(crate) progress: Arc<dyn component::Progress>,
}

/// A run that has begun, and that nothing was done in.
pub(crate) struct Launch {
    id: RunId,
    ledger: Arc<Ledger>,
    /// Its folder.
    pub(crate) dir: PathBuf,
    /// Takes its events.
    pub(crate) recorder: Arc<Recorder>,
    /// Images on the host.
    pub(crate) stores: Stores,
    /// What the cases run on, those of one node image beside each other.
    pub(crate) grounds: Vec<Ground>,
    /// What the control groups of each further ground go by.
    further: Vec<RunId>,
}

impl Launch {
    /// Gets the node images and components, and begins the record.
    pub(crate) async fn new(
        asked: Asked<'_>,
        progress: &dyn component::Progress,
        listener: Box<dyn Listener>,
    ) -> Result<Launch, Refusal> {
        let (id, ledger) = new_ledger()?;
        let stacks = stack::all(asked.stack, &ledger, progress).await?;
        let dir = make_folder(asked.out, &id)?;
        let recorder = begin(&dir, &id, asked.command, images(&stacks), listener)?;
        let open =
            |path: PathBuf| Store::open(path).map(Arc::new).map_err(|e| Failure::surroundings(Chain(&e).to_string()));
        let cache = stacks[0].1.cache.dir();
        let stores = Stores { lasting: open(cache.join("store"))?, of_run: open(dir.join("store"))? };
        let mut launch = Launch { id, ledger, dir, recorder, stores, grounds: Vec::new(), further: Vec::new() };
        for (name, stack) in &stacks {
            for _ in 0..asked.lanes {
                launch.add_ground(
                    stack,
                    &asked.stack.kind,
                    asked.of_cluster.as_ref(),
                    (stacks.len() > 1).then(|| name.clone()),
                )?;
            }
        }
        Ok(launch)
    }

    fn add_ground(
        &mut self,
        stack: &Stack,
        args: &KindArgs,
        told: Option<&OfCluster>,
        image: Option<String>,
    ) -> Result<(), Refusal> {
        // Nodes of two grounds have the same names: their control groups must not.
        let id = match self.grounds.len() {
            0 => self.id.clone(),
            n => RunId(format!("{}-{n}", self.id)),
        };
        let kubeconfig = match (&image, self.further.len()) {
            (None, 0) if self.grounds.is_empty() => "kubeconfig".to_owned(),
            (Some(name), _) if self.grounds.iter().all(|g| g.image != image) => format!("kubeconfig-{name}"),
            _ => format!("kubeconfig-{}", self.grounds.len()),
        };
        let kubeconfig = self.dir.join(kubeconfig);
        let config = local_nodes(&id, stack, Arc::clone(&self.ledger))?;
        let provider: Arc<dyn Provider> = match (told, &stack.kind, &stack.minikube) {
            (Some(told), Some(kind), _) => Arc::new(kind_nodes(kind, args, told, config, &kubeconfig)),
            (Some(told), _, Some(minikube)) => Arc::new(minikube_nodes(minikube, args, told, config, &kubeconfig)),
            (Some(told @ OfCluster { existing: Some(existing), .. }), None, None) => {
                Arc::new(ExistingProvider::new(existing_nodes(existing, told, config)?)?)
            }
            _ => Arc::new(LocalProvider::new(config)?),
        };
        let preparations = Preparations::new(&stack.image, Arc::clone(&self.stores.lasting), provider.vantage());
        let kubernetes = stack.kubernetes().then_some(kubeconfig);
        if !self.grounds.is_empty() {
            self.further.push(id);
        }
        self.grounds.push(Ground { image, provider, preparations, kubernetes });
        Ok(())
    }

    /// Removes what nobody needs when the run has ended; what stays is told in the report.
    pub(crate) fn close(&self) {
        drop_images(&self.dir, &self.recorder);
        sweep_last(&self.id, &self.further, &self.ledger, &self.recorder);
    }
}

/// Begins the record of a run in its folder. `images`: the node images, as they are told.
pub(super) fn begin(
    dir: &Path,
    id: &RunId,
    command: Vec<String>,
    images: String,
    listener: Box<dyn Listener>,
) -> Result<Arc<Recorder>, Refusal> {
    let recorder =
        Recorder::create(dir, listener).map_err(|e| Failure::surroundings(format!("{}: {e}", dir.display())))?;
    recorder.run(Event::RunStarted {
        id: id.clone(),
        podferry: env!("CARGO_PKG_VERSION").to_owned(),
        command,
        started: now(),
        host: component::host_record(),
        image: images,
    });
    Ok(Arc::new(recorder))
}

/// Removes the control groups of a run, and those of its further grounds, and forgets the claims on them; what stays is told in
/// the report.
pub(super) fn sweep_last(id: &RunId, further: &[RunId], ledger: &Ledger, recorder: &Recorder) {
    let swept = further.iter().try_for_each(|id| match local::sweep_cgroups(id) {
        Ok(leaks) => leaks.first().map_or(Ok(()), |l| Err(format!("{} {}: {}", l.kind, l.name, l.reason))),
        Err(e) => Err(e.to_string()),
    });
    if let Err(reason) = swept.and_then(|()| close_ledger(id, ledger)) {
        recorder.error(Failure::surroundings(format!(
            "sweeping up after this run: {reason}; `podferry clean` tries again"
        )));
    }
}

fn kind_nodes(kind: &Kind, args: &KindArgs, asked: &OfCluster, dock: LocalConfig, kubeconfig: &Path) -> KindProvider {
    KindProvider::new(KindConfig {
        docker: args.docker.clone(),
        keep_failed: args.keep_on_failure,
        reuse: args.reuse,
        // Nothing of the stack under test runs beside its nodes.
        dock: LocalConfig { overrides: Vec::new(), binds: Vec::new(), ..dock },
        kind: kind.program.clone(),
        parts: kind.parts.clone(),
        components: kind.components.clone(),
        workers: asked.workers.clone(),
        kubeconfig: kubeconfig.to_owned(),
        progress: Arc::clone(&asked.progress),
    })
}

fn minikube_nodes(
    minikube: &Minikube,
    args: &KindArgs,
    asked: &OfCluster,
    dock: LocalConfig,
    kubeconfig: &Path,
) -> MinikubeProvider {
    MinikubeProvider::new(MinikubeConfig {
        docker: args.docker.clone(),
        dock: LocalConfig { overrides: Vec::new(), binds: Vec::new(), ..dock },
        minikube: minikube.program.clone(),
        parts: minikube.parts.clone(),
        kubernetes: minikube.kubernetes.clone(),
        cni: minikube.cni.clone(),
        components: minikube.components.clone(),
        workers: asked.workers.clone(),
        kubeconfig: kubeconfig.to_owned(),
        progress: Arc::clone(&asked.progress),
    })
}

fn existing_nodes(args: &ExistingArgs, told: &OfCluster, own: LocalConfig) -> Result<ExistingConfig, Refusal> {
    let agent_image = match &args.agent_image {
        Some(image) => image.clone(),
        None => image::agent_reference(&own.podferry).map_err(|e| Failure::surroundings(Chain(&e).to_string()))?,
    };
    // That both are named was looked at first of all.
    let named = || Failure::surroundings("no kubeconfig or no context is named".to_owned());
    Ok(ExistingConfig {
        run_id: own.run_id,
        kubeconfig: args.kubeconfig.clone().ok_or_else(named)?,
        context: args.context.clone().ok_or_else(named)?,
        nodes: args.nodes.clone(),
        agent_image,
        workers: told.workers.clone(),
        claims: own.claims,
        progress: Arc::clone(&told.progress),
    })
}

/// The node images, each once: several stacks may be on one.
fn images(stacks: &[(String, Stack)]) -> String {
    let mut images: Vec<String> = stacks.iter().map(|(_, s)| format!("{} {}", s.image.suite, s.image.key)).collect();
    images.dedup();
    images.join(", ")
}
