//! Workloads made ready: settings understood, image in the store; and the asking of their instances.

use super::case::Live;
use crate::client::Vantage;
use crate::component::NodeImage;
use crate::image::{self, Image, ImageError, NodeRoot, Store, WorkloadBinaries};
use crate::record::{Chain, ErrorClass, Failure, KindReport, SelfReport};
use crate::scenario::plan;
use crate::workload::{self, ProbeError, Target, Workload};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a workload may take to tell its journal, and to take its data. A step's own timeout ends both earlier.
const JOURNAL: Duration = Duration::from_secs(60);
const LOAD: Duration = Duration::from_secs(300);

/// A workload with its image in the store.
pub(crate) struct Prepared {
    workload: Workload,
    pub(crate) image: Arc<Image>,
}

/// Makes workloads ready, each once a run.
pub struct Preparations {
    /// Nodes stand on it: it is in use until the run has ended, so that no other podferry drops it from the cache.
    node_image: NodeImage,
    store: Arc<Store>,
    binaries: WorkloadBinaries,
    vantage: Vantage,
    ready: Mutex<HashMap<String, Arc<Prepared>>>,
    pause: Mutex<Option<Arc<Image>>>,
}

impl Preparations {
    /// Images are made from this node image and kept in this store; instances are asked from this vantage.
    pub fn new(image: &NodeImage, store: Arc<Store>, vantage: Vantage) -> Self {
        Preparations {
            node_image: image.clone(),
            store,
            binaries: WorkloadBinaries::find(),
            vantage,
            ready: Mutex::default(),
            pause: Mutex::default(),
        }
    }

    /// The workload as a scenario asks for it.
    pub(super) async fn get(&self, wanted: &plan::Workload) -> Result<Arc<Prepared>, Failure> {
        let name = format!("{} {:?}", wanted.kind, wanted.with);
        let mut ready = self.ready.lock().await;
        if let Some(prepared) = ready.get(&name) {
            return Ok(Arc::clone(prepared));
        }
        let workload = Workload::new(&wanted.kind, &wanted.with)?;
        let image = workload.image(&self.store, self.root(), &self.binaries).await.map_err(failure)?;
        let prepared = Arc::new(Prepared { workload, image: Arc::new(image) });
        ready.insert(name, Arc::clone(&prepared));
        Ok(prepared)
    }

    /// The image of a sandbox's own container.
    pub(super) async fn pause(&self) -> Result<Arc<Image>, Failure> {
        let mut pause = self.pause.lock().await;
        if let Some(image) = pause.as_ref() {
            return Ok(Arc::clone(image));
        }
        let spec = workload::pause();
        let image = image::build(&self.store, self.root(), &self.binaries, &spec).await.map_err(failure)?;
        let image = Arc::new(image);
        *pause = Some(Arc::clone(&image));
        Ok(image)
    }

    fn root(&self) -> NodeRoot<'_> {
        NodeRoot { dir: &self.node_image.rootfs, key: &self.node_image.key }
    }

    /// An instance as it is asked through.
    pub(super) fn target(&self, live: &Live) -> Target {
        let log = live.engine.node().host_path(&live.container.log);
        Target { connect: Arc::new(Arc::clone(&self.vantage)), address: live.container.slot.address, log }
    }
}

impl Prepared {
    /// Program and arguments; empty: the image's own.
    pub(crate) fn args(&self) -> Vec<String> {
        self.workload.args.clone()
    }

    /// The port that it listens on.
    pub(super) fn port(&self) -> Result<u16, Failure> {
        self.workload.port.ok_or_else(|| Failure {
            class: ErrorClass::WorkloadUnreachable,
            message: format!("workload {} listens on no port", self.workload.kind),
            hint: Some("use a client of kind log-follower".to_owned()),
            log: Vec::new(),
        })
    }

    /// Waits until the instance answers. That it does not within the time of its step is a `timeout`, as of any step.
    pub(super) async fn await_ready(self: &Arc<Self>, target: Target, patience: Duration) -> Result<(), Failure> {
        self.asked(move |w| w.ready(&target, patience), ProbeError::class).await
    }

    /// Fills a fresh instance with its data.
    pub(super) async fn load(self: &Arc<Self>, target: Target) -> Result<(), Failure> {
        self.ask(move |w| w.load(&target, LOAD)).await
    }

    /// Asks the instance for all that it says of itself.
    pub(super) async fn probe(self: &Arc<Self>, target: Target, limit: Duration) -> Result<SelfReport, Failure> {
        self.ask(move |w| w.probe(&target, limit)).await
    }

    /// Waits until it answers, and asks it for each kind of state that it holds.
    pub(crate) async fn kinds(self: &Arc<Self>, target: Target, limit: Duration) -> Result<Vec<KindReport>, Failure> {
        self.ask(move |w| w.kinds(&target, limit)).await
    }

    /// The sequence numbers that a writer's journal in it holds.
    pub(super) async fn journal(self: &Arc<Self>, target: Target) -> Result<Option<Vec<u64>>, Failure> {
        self.ask(move |w| w.journal(&target, JOURNAL)).await
    }

    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Workload) -> Result<T, ProbeError> + Send + 'static,
    ) -> Result<T, Failure> {
        self.asked(question, |_| ErrorClass::WorkloadUnreachable).await
    }

    async fn asked<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Workload) -> Result<T, ProbeError> + Send + 'static,
        class: impl FnOnce(&ProbeError) -> ErrorClass,
    ) -> Result<T, Failure> {
        let this = Arc::clone(self);
        let kind = this.workload.kind.clone();
        let failed = |class, message: String| Failure::new(class, format!("workload {kind}: {message}"));
        match tokio::task::spawn_blocking(move || question(&this.workload)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(e)) => {
                Err(Failure { hint: e.hint().map(str::to_owned), ..failed(class(&e), Chain(&e).to_string()) })
            }
            Err(e) => Err(failed(ErrorClass::WorkloadUnreachable, e.to_string())),
        }
    }
}

fn failure(e: ImageError) -> Failure {
    let absent = matches!(e, ImageError::NoBinary { .. });
    let how = "build podferry's workloads (`cargo xtask e2e doctor` does), and name their folder in PODFERRY_WORKLOADS";
    let hint = absent.then(|| how.to_owned());
    Failure { class: e.class(), message: Chain(&e).to_string(), hint, log: Vec::new() }
}
