//! Which kinds of state come through a checkpoint, on each engine: a table. The zoo holds them, a copy of it on another
//! node is asked and looked at, and what an engine refuses is found by trying fewer kinds at once.

mod catalogue;
mod files;
mod judge;
mod picture;
mod store;
mod trial;

pub use catalogue::{Row, rows, selected};
pub use store::{StoreError, write};

use crate::engine::Engine;
use crate::provider::Provider;
use crate::record::{EngineKind, ErrorClass, Failure, Fate, Finding, Leak, Survey, SurveyColumn};
use crate::run::world::World;
use crate::run::{Exit, Ground, Preparations, Recorder, Stores};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use trial::{Made, Trial};

/// What a survey is made of.
pub struct Session {
    /// The lines to try.
    pub rows: Vec<Row>,
    /// The columns.
    pub engines: Vec<EngineKind>,
    /// Makes the nodes.
    pub provider: Arc<dyn Provider>,
    /// Images on the host.
    pub stores: Stores,
    /// Makes the zoo ready.
    pub preparations: Preparations,
    /// Whether the nodes join a Kubernetes cluster, and where its kubeconfig is written.
    pub kubernetes: Option<std::path::PathBuf>,
    /// Takes the events of nodes.
    pub recorder: Arc<Recorder>,
    /// Told of what is being done, a line each.
    pub tell: Box<dyn Fn(&str) + Send + Sync>,
    /// Given the survey whenever a column is done: one that is killed has those before it.
    pub save: Box<dyn Fn(&Survey) + Send + Sync>,
    /// Start the copies anew instead of restoring them: everything must come out lost then.
    pub cold: bool,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// The nodes of a survey: from the first to the second.
const NODES: [&str; 2] = ["a", "b"];

/// Tries all lines on all engines, whatever happens: on an interrupt (`stop` turns true) or when the time is up, what was
/// found so far is what there is, and everything is taken down all the same. `head` is the survey without findings.
pub async fn execute(session: Session, head: Survey, mut stop: watch::Receiver<bool>) -> Survey {
    let Session { rows, engines, provider, stores, preparations, kubernetes, recorder, tell, save, cold, timeout } =
        session;
    let ground = Ground { image: None, provider, preparations, kubernetes };
    let world = World::new(ground, stores, Arc::clone(&recorder));
    let survey = Mutex::new(Survey { rows: rows.iter().map(Row::record).collect(), cold, ..head });
    let columns = async {
        for engine in engines {
            let column = Column::new(engine, &world, &survey, &rows, cold, &*tell);
            column.fill().await;
            locked(&survey).nodes = recorder.fold().nodes;
            save(&locked(&survey));
        }
    };
    tokio::select! {
        () = columns => {}
        () = tokio::time::sleep(timeout) => {
            let mut survey = locked(&survey);
            survey.timed_out = true;
            survey.errors.push(Failure {
                hint: Some("give it more with --timeout, or name fewer kinds with --only".to_owned()),
                ..Failure::new(ErrorClass::Timeout, format!("the survey did not end within {timeout:?}"))
            });
        }
        _ = stop.wait_for(|stop| *stop) => locked(&survey).interrupted = true,
    }
    for failure in world.raze().await {
        let reason = "it could not be taken down".to_owned();
        locked(&survey).leaks.push(Leak { kind: "node".to_owned(), name: failure.message, reason });
    }
    let mut survey = survey.into_inner().unwrap_or_else(PoisonError::into_inner);
    let run = recorder.fold();
    survey.nodes = run.nodes;
    survey.errors.extend(run.errors);
    survey
}

/// What a survey ends with: what is lost or refused is what it is there to find.
pub fn exit(survey: &Survey) -> Exit {
    let errored = survey.count(Fate::Errored) > 0 || survey.errors.iter().any(|e| e.class != ErrorClass::Timeout);
    match () {
        () if survey.interrupted => Exit::Interrupted,
        () if errored => Exit::Surroundings,
        () if !survey.leaks.is_empty() => Exit::Leaked,
        () if survey.timed_out => Exit::TimedOut,
        () => Exit::Passed,
    }
}

fn locked(survey: &Mutex<Survey>) -> MutexGuard<'_, Survey> {
    survey.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An engine's column while it is filled.
struct Column<'a> {
    kind: EngineKind,
    world: &'a World,
    survey: &'a Mutex<Survey>,
    rows: &'a [Row],
    cold: bool,
    tell: &'a (dyn Fn(&str) + Send + Sync),
    engines: BTreeMap<&'static str, Arc<dyn Engine>>,
    trials: AtomicU32,
}

impl<'a> Column<'a> {
    fn new(
        kind: EngineKind,
        world: &'a World,
        survey: &'a Mutex<Survey>,
        rows: &'a [Row],
        cold: bool,
        tell: &'a (dyn Fn(&str) + Send + Sync),
    ) -> Self {
        let column = SurveyColumn {
            engine: kind,
            versions: Vec::new(),
            unable: None,
            findings: BTreeMap::new(),
            trials: 0,
            seconds: 0.0,
        };
        locked(survey).columns.push(column);
        Column { kind, world, survey, rows, cold, tell, engines: BTreeMap::new(), trials: AtomicU32::new(0) }
    }

    /// Changes the column as it is recorded: the last one.
    fn note(&self, change: impl FnOnce(&mut SurveyColumn)) {
        if let Some(column) = locked(self.survey).columns.last_mut() {
            change(column);
        }
    }

    fn say(&self, what: &str) {
        (self.tell)(&format!("{}: {what}", self.kind));
    }

    /// A name for what the try at hand makes.
    fn name(&self, part: &str) -> String {
        format!("zoo-{}-{part}", self.trials.load(Ordering::Relaxed))
    }

    async fn fill(mut self) {
        let began = Instant::now();
        match self.connect().await {
            Ok(()) => self.try_all().await,
            Err(reason) => {
                self.say(&format!("can show nothing: {reason}"));
                self.note(|column| column.unable = Some(reason));
            }
        }
        let trials = self.trials.load(Ordering::Relaxed);
        self.note(|column| (column.trials, column.seconds) = (trials, began.elapsed().as_secs_f64()));
    }

    /// The engine on both nodes; the reason why it can show nothing.
    async fn connect(&mut self) -> Result<(), String> {
        for node in NODES {
            let engine = match self.world.engine(self.kind, node).await {
                Ok(engine) => engine,
                Err(failure) => {
                    let message = failure.message.clone();
                    if failure.class != ErrorClass::Unsupported {
                        locked(self.survey).errors.push(failure);
                    }
                    return Err(message);
                }
            };
            let can = engine.capabilities();
            let version = can.version.clone();
            self.note(|column| {
                if !column.versions.contains(&version) {
                    column.versions.push(version);
                }
            });
            for (what, able) in [("checkpoint", &can.checkpoint), ("restore", &can.restore)] {
                able.clone().map_err(|reason| format!("{} can't {what}: {reason}", can.version))?;
            }
            self.engines.insert(node, engine);
        }
        Ok(())
    }

    async fn try_all(&mut self) {
        let (alone, together): (Vec<Row>, Vec<Row>) = self.rows.iter().cloned().partition(|row| row.alone.is_some());
        self.narrow(together).await;
        for row in alone {
            self.narrow(vec![row]).await;
        }
        self.look_for_leaks().await;
    }

    /// Tries lines together; halves of them as long as that is refused, so that each gets a word of its own.
    async fn narrow(&mut self, rows: Vec<Row>) {
        let mut todo = vec![rows];
        while let Some(rows) = todo.pop().filter(|rows| !rows.is_empty()) {
            let number = self.trials.fetch_add(1, Ordering::Relaxed) + 1;
            let what = if rows.len() == 1 { rows[0].name.clone() } else { format!("{} kinds together", rows.len()) };
            let mut made = Made::default();
            let ended = self.trial(&rows, &mut made).await;
            // What hangs may hang on: only the end of its node ends it for sure.
            let hung = matches!(&ended, Trial::Refused(_, failure) if failure.class == ErrorClass::Timeout);
            let left = if hung { Vec::new() } else { self.clean(made).await };
            let dirty = hung || !left.is_empty() || matches!(ended, Trial::Errored(_) | Trial::Silent(_));
            let finding = match ended {
                Trial::Judged(findings) => {
                    self.say(&format!("try {number}, {what}: {}", summary(&findings)));
                    self.note(|column| column.findings.extend(findings));
                    None
                }
                Trial::Refused(stage, failure) => {
                    let (stage, class) = (Some(stage), Some(failure.class));
                    Some(Finding { stage, class, log: failure.log, ..Finding::new(Fate::Refused, failure.message) })
                }
                Trial::Silent(failure) => {
                    Some(Finding::new(Fate::Lost, format!("the copy runs and does not answer: {}", failure.message)))
                }
                Trial::Errored(failure) => Some(Finding::new(Fate::Errored, failure.message)),
            };
            if let Some(finding) = finding {
                self.say(&format!("try {number}, {what}: {}: {}", finding.fate.name(), first_line(&finding.how)));
                match rows.len() {
                    1 => self.note(|column| drop(column.findings.insert(rows[0].name.clone(), finding))),
                    n => {
                        let (one, other) = rows.split_at(n / 2);
                        todo.extend([other.to_vec(), one.to_vec()]);
                    }
                }
            }
            for reason in left {
                self.leaked(reason);
            }
            if dirty && !self.renew().await {
                return;
            }
        }
    }

    fn leaked(&self, reason: String) {
        let name = format!("a try of {}", self.kind);
        locked(self.survey).leaks.push(Leak { kind: "container".to_owned(), name, reason });
    }

    /// Nodes made anew, so that no try suffers from one before it; whether there are any.
    async fn renew(&mut self) -> bool {
        for failure in self.world.raze().await {
            locked(self.survey).errors.push(failure);
        }
        self.engines.clear();
        match self.connect().await {
            Ok(()) => true,
            Err(reason) => {
                self.say(&format!("new nodes are of no use: {reason}"));
                false
            }
        }
    }

    async fn look_for_leaks(&self) {
        for (node, engine) in &self.engines {
            let left = match engine.left().await {
                Ok(left) => left,
                Err(e) => vec![e.message],
            };
            for what in left {
                self.leaked(format!("{what} on {node} is still there after all was removed"));
            }
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// `80 kept, 3 lost`.
fn summary(findings: &[(String, Finding)]) -> String {
    let count = |fate: Fate| findings.iter().filter(|(_, f)| f.fate == fate).count();
    let counts = Fate::ALL.into_iter().map(|fate| (fate, count(fate))).filter(|(_, n)| *n > 0);
    counts.map(|(fate, n)| format!("{n} {}", fate.name())).collect::<Vec<_>>().join(", ")
}
