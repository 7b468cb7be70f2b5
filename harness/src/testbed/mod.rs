//! The library for tests of your own: nodes, workloads, migrations and checks as in a scenario, driven from Rust. What is done
//! is done by the code that runs scenarios, is recorded as a scenario's steps are, and leaves the same report.
//!
//! ```no_run
//! use podferry::testbed::{ClientKind, TestBed, TestResult};
//!
//! #[test]
//! fn redis_keeps_what_it_acknowledged() -> TestResult {
//!     TestBed::setup().test(async |bed| {
//!         let redis = bed.deploy("redis").on("a").await?;
//!         let writer = redis.client(ClientKind::RedisWriter).await?;
//!         writer.answers(200).await?;
//!         let before = redis.capture().await?;
//!
//!         let moved = redis.migrate("b").await?;
//!         writer.answers(200).await?;
//!
//!         bed.check(writer.lost_nothing()).await?;
//!         bed.check(moved.is_process_of(&before)).await?;
//!         Ok(())
//!     })
//! }
//! ```
//!
//! [`Setup::test`] makes the nodes, runs the body and takes everything down again, however the body ends: by its end, by `?`,
//! by a panic. Where the host or the engine lacks something, the test is skipped, and the reason is told. Whoever has a
//! runtime already takes [`Setup::start`], and ends the bed with [`TestBed::finish`].
//!
//! Each bed lives on a thread of its own, with a runtime of its own, so it works in any test, under any runtime, and several go
//! side by side.

mod checks;
mod failed;
#[cfg(feature = "rstest")]
mod fixtures;
mod handles;
mod names;
mod nodes;
mod setup;
mod steps;
mod thread;

pub use crate::record::{
    Capture, CaseRecord, CheckRecord, CheckSpec, EngineKind, ErrorClass, Evidence, Failure, InstanceExpectation,
    LossPolicy, Metric, SourceFate, Strategy,
};
pub use crate::scenario::plan::{
    Action, Address, CallFault, ClientKind, CriuFault, Damage, DiskOf, During, Fault, FaultKind, LinkFault, Medium,
    Over, Role, RuntimeCall, Stage,
};
pub use checks::{below, never_at_once};
pub use failed::Failed;
#[cfg(feature = "rstest")]
pub use fixtures::bed;
pub use handles::{CheckpointHandle, ClientHandle, Instance};
pub use nodes::Nodes;
pub use setup::Setup;
pub use steps::{Check, Deploy, Doing, Failing, Migrate, Restore, StartClient, Workload};

use crate::record::Origin;
use names::Names;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use thread::{Ask, Asks};
use tokio::sync::oneshot;

/// What a test gives back.
pub type TestResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Nodes with an engine, and what was done on them so far. A clone is the same bed: it goes when the last of them does.
#[derive(Clone)]
pub struct TestBed(Arc<Inner>);

struct Inner {
    asks: Asks,
    thread: Mutex<Option<JoinHandle<()>>>,
    engine: EngineKind,
    nodes: Vec<String>,
    dir: PathBuf,
    deny_skips: bool,
    names: Names,
}

/// A bed that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// All that was recorded of it.
    pub case: CaseRecord,
    /// The folder of its reports.
    pub dir: PathBuf,
}

impl Ended {
    /// The figure of this name, as reports show it, in the metric's unit.
    pub fn figure(&self, metric: Metric) -> Option<f64> {
        self.case.evidence.metrics.get(metric.name()).and_then(|values| values.last().copied())
    }
}

impl TestBed {
    /// What a bed is to be: changed as you like, then started.
    #[track_caller]
    pub fn setup() -> Setup {
        Setup::new(here())
    }

    /// The engine that containers are run by.
    pub fn engine(&self) -> EngineKind {
        self.0.engine
    }

    /// The folder of its reports; they are written when it ends.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Starts a workload: by its name in the catalogue, or as [`Workload`] with its settings. Comes back when it answers and
    /// holds its data.
    #[track_caller]
    pub fn deploy(&self, workload: impl Into<Workload>) -> Deploy {
        Deploy::new(self, workload.into(), here())
    }

    /// A check of what is there now: it ends the clients and looks at every instance, as the end of a scenario does.
    #[track_caller]
    pub fn check(&self, what: CheckSpec) -> Check {
        Check::new(self, vec![what], here())
    }

    /// Several checks by one look. All are judged, and all that do not hold are told.
    #[track_caller]
    pub fn check_all(&self, what: impl IntoIterator<Item = CheckSpec>) -> Check {
        Check::new(self, what.into_iter().collect(), here())
    }

    /// Any step that a scenario can have.
    #[track_caller]
    pub fn act(&self, action: Action) -> Doing<()> {
        Doing::new(self, action, here(), ())
    }

    /// Breaks something, until it is mended or the bed ends.
    #[track_caller]
    pub fn fault(&self, node: &str, kind: FaultKind) -> Doing<()> {
        self.named_fault(None, node, kind)
    }

    /// [`TestBed::fault`] with a name that [`TestBed::mend`] finds it by.
    #[track_caller]
    pub fn named_fault(&self, name: Option<&str>, node: &str, kind: FaultKind) -> Doing<()> {
        let name = name.map(str::to_owned);
        Doing::new(self, Action::Fault(Fault { node: node.to_owned(), name, kind }), here(), ())
    }

    /// Mends what the fault of this name broke.
    #[track_caller]
    pub fn mend(&self, name: &str) -> Doing<()> {
        Doing::new(self, Action::Mend { name: name.to_owned() }, here(), ())
    }

    /// Takes a node down whole, with all that runs on it, and brings it back with what is on its disk.
    #[track_caller]
    pub fn restart(&self, node: &str) -> Doing<()> {
        Doing::new(self, Action::Restart { node: node.to_owned() }, here(), ())
    }

    /// All that was recorded so far; histories are of clients that have ended.
    ///
    /// # Errors
    /// The bed has ended.
    pub async fn evidence(&self) -> Result<Evidence, Failed> {
        self.ask(Ask::Evidence).await.map(|evidence| *evidence)
    }

    /// The figure of this metric by what was recorded so far, in the metric's unit; `None`: nothing was measured. Figures of
    /// a client are those of one that has ended.
    ///
    /// # Errors
    /// The bed has ended.
    pub async fn figure(&self, metric: Metric) -> Result<Option<f64>, Failed> {
        Ok(crate::check::metrics(&self.evidence().await?).get(metric.name()).copied())
    }

    /// Takes everything down, writes the reports, and says how it went.
    ///
    /// # Errors
    /// A check did not hold or a step failed, also if its error was not looked at; something was left behind; a report could
    /// not be written.
    pub async fn finish(self) -> Result<Ended, Failed> {
        let ended = self.ask(|reply| Ask::End(None, reply)).await?;
        self.join();
        thread::verdict(*ended, &self.0.dir, self.0.deny_skips)
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Failed> {
        let (reply, answer) = oneshot::channel();
        // An error of either: the thread has ended.
        let asked = self.0.asks.send(ask(reply)).is_ok();
        let answer = if asked { answer.await.ok() } else { None };
        answer.ok_or_else(|| Failed::over(&self.0.dir))
    }

    fn join(&self) {
        self.0.join();
    }

    fn failed(&self, stop: crate::run::open::Stop, at: &Origin) -> Failed {
        Failed::stopped(stop, at, &self.0.dir)
    }
}

impl Inner {
    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Its panic has been printed, and every answer that it owed is an error by now.
        let _ = thread.map(JoinHandle::join);
    }
}

/// A bed that nobody finished is taken down all the same, and its report says so.
impl Drop for Inner {
    fn drop(&mut self) {
        let why = if std::thread::panicking() {
            "the test panicked"
        } else {
            "the test ended before it had finished the bed"
        };
        let (reply, _) = oneshot::channel();
        // An error: it has ended.
        let _ = self.asks.send(Ask::End(Some(why.to_owned()), reply));
        self.join();
    }
}

/// The caller's line, as reports show it.
#[track_caller]
fn here() -> Origin {
    let at = std::panic::Location::caller();
    Origin { file: at.file().to_owned(), line: at.line(), column: at.column() }
}

/// How long a step may take, unless it says otherwise: as in a scenario.
const STEP: Duration = Duration::from_secs(60);
