//! Two nodes that last for a whole measurement, and cases that are run on them.

use super::{Bench, Table, blocking, broke, broken};
use crate::client::Vantage;
use crate::node::SharedNode;
use crate::provider::Provider;
use crate::provider::local::LocalProvider;
use crate::record::{CaseRecord, EngineKind, Failure, Line, Outcome, Phase};
use crate::run::{self, Ground, Listener, Preparations, Recorder, Session};
use crate::scenario::{self, Selection};
use crate::workload::KINDS;
use async_trait::async_trait;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Nodes that outlive the sessions that run on them: made anew for each sample they would be cold each time.
pub(super) struct Bed {
    pub(super) provider: Arc<LocalProvider>,
    nodes: BTreeMap<String, SharedNode>,
}

impl Bed {
    pub(super) async fn up(bench: &Bench, names: &[&str]) -> Result<Arc<Bed>, Failure> {
        let provider = bench.provider()?;
        let made = join_all(names.iter().map(|name| provider.node(name))).await;
        let mut nodes = BTreeMap::new();
        for (name, node) in names.iter().zip(made) {
            nodes.insert((*name).to_owned(), node?);
        }
        Ok(Arc::new(Bed { provider, nodes }))
    }

    pub(super) fn get(&self, name: &str) -> &SharedNode {
        &self.nodes[name]
    }

    pub(super) async fn down(&self) -> Result<(), Failure> {
        let done = join_all(self.nodes.keys().map(|name| self.provider.down(name))).await;
        done.into_iter().collect()
    }
}

/// What a session sees of it: nodes that are there already, and that stay.
#[async_trait]
impl Provider for Bed {
    async fn node(&self, name: &str) -> Result<SharedNode, Failure> {
        self.nodes.get(name).cloned().ok_or_else(|| broken(format!("the benchmark has no node {name}")))
    }

    async fn restart(&self, name: &str) -> Result<SharedNode, Failure> {
        Err(broken(format!("the benchmark does not restart node {name}")))
    }

    async fn down(&self, _name: &str) -> Result<(), Failure> {
        Ok(())
    }

    fn vantage(&self) -> Vantage {
        self.provider.vantage()
    }
}

/// Runs a scenario as `podferry run` does, on one engine; it must pass.
pub(super) async fn case(
    bench: &Bench,
    provider: Arc<dyn Provider>,
    engine: EngineKind,
    text: &str,
) -> Result<CaseRecord, Failure> {
    let (scenario, found) = scenario::load(text, "benchmark", KINDS);
    let Some(scenario) = scenario else {
        return Err(broken(format!("the benchmark's own scenario is invalid: {found:?}")));
    };
    let selection = Selection { engines: vec![engine], ..Selection::default() };
    let plan = scenario::plan(&[scenario], &selection).map_err(|d| broken(format!("{d:?}")))?;
    let dir = tempfile::tempdir_in(&bench.dir).map_err(|e| broke("can't make a folder for a case", &e))?;
    let recorder = Recorder::create(dir.path(), Box::new(Deaf)).map_err(|e| broke("can't record a case", &e))?;
    let preparations = Preparations::new(&bench.image, Arc::clone(&bench.stores.lasting), provider.vantage());
    let session = Session {
        plan,
        grounds: vec![Ground { image: None, provider, preparations, kubernetes: None }],
        stores: bench.stores.clone(),
        recorder: Arc::new(recorder),
        stack_args: BTreeMap::new(),
        deny_skips: true,
        timeout: Duration::from_secs(600),
    };
    let (_interrupt, never) = watch::channel(false);
    let run = run::execute(session, never).await;
    blocking(move || drop(dir)).await?;
    if let Some(error) = run.errors.into_iter().next() {
        return Err(error);
    }
    let case = run.cases.into_iter().next().ok_or_else(|| broken("the benchmark's plan is empty".to_owned()))?;
    match case.outcome {
        Some(Outcome::Passed) => Ok(case),
        outcome => {
            let reason = case.reason.unwrap_or_default();
            Err(broken(format!("case {} of the benchmark: {outcome:?}: {reason}", case.id)))
        }
    }
}

struct Deaf;

impl Listener for Deaf {
    fn line(&self, _line: &Line) {}

    fn case(&self, _case: &CaseRecord) {}
}

/// How long the phases of a kind took together, in the case's last repetition, in ms.
pub(super) fn phase_ms(case: &CaseRecord, phase: Phase) -> Option<f64> {
    let spans = || case.evidence.phases.iter().filter(|p| p.phase == phase);
    spans().next()?;
    Some(spans().map(|p| p.to.since(p.from).as_secs_f64() * 1e3).sum())
}

/// A table for each of the sizes (in MiB) that are asked for, each on nodes `a` and `b` of its own: what a size leaves in
/// caches is not the next one's. What is measured is told above the first.
pub(super) async fn each_size(
    bench: &Bench,
    sizes: &[u64],
    about: &[&str],
    measure: impl AsyncFn(&Arc<Bed>, u64) -> Result<Table, Failure>,
) -> Result<Vec<Table>, Failure> {
    let mut tables = Vec::new();
    for mib in bench.sizes(sizes) {
        let bed = Bed::up(bench, &["a", "b"]).await?;
        let measured = measure(&bed, mib).await;
        let down = bed.down().await;
        tables.push(measured?);
        down?;
    }
    if let Some(first) = tables.first_mut() {
        first.about.splice(0..0, about.iter().map(|s| (*s).to_owned()));
    }
    Ok(tables)
}
