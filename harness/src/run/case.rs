//! One case: its steps in order, then the last look, the verdicts, and the removal of all that it made.

use super::action::{self, address::Moving};
use super::daemon_metrics::Counters;
use super::faults::Teller;
use super::known::Cause;
use super::recorder::Recorder;
use super::world::World;
use super::{carry::Carried, clients::Clients, judge, under_way::UnderWay};
use crate::engine::{self, Checkpoint, Container, ContainerSpec, Engine, Slot};
use crate::node::SharedNode;
use crate::process;
use crate::record::{CheckSpec, ErrorClass, Event, Failure, History, Leak, Outcome, Phase, PhaseSpan, RPCS, SPAWNS};
use crate::scenario::plan::Case;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long removing one thing at a case's end may take before it counts as left behind.
const CLEANUP: Duration = Duration::from_secs(20);

/// A case that runs: what it has made so far, under the scenario's own names.
pub(super) struct CaseRun<'a> {
    pub(super) world: &'a World,
    pub(super) case: &'a Case,
    pub(super) recorder: &'a Recorder,
    /// When the time for the steps of the case is up; `None`: each has its own alone.
    pub(super) deadline: Option<Instant>,
    /// Makes names unique on the nodes: number of the case in the run and of the repetition.
    pub(super) tag: String,
    /// Index of the step that runs.
    pub(super) step: usize,
    /// When the step's own time is up.
    pub(super) until: Instant,
    pub(super) instances: BTreeMap<String, Live>,
    pub(super) checkpoints: BTreeMap<String, Held>,
    pub(super) clients: Clients,
    /// Folders of volumes that were made: (node, path in it).
    pub(super) volumes: BTreeSet<(String, PathBuf)>,
    /// Engines whose bare calls a step made: what those leave is put right at the end.
    pub(super) bare: Vec<Arc<dyn Engine>>,
    /// Checkpoints that outlive the step that asked for them.
    pub(super) under_way: Vec<UnderWay>,
    /// Slots in which there is no instance.
    pub(super) slots: Vec<(Arc<dyn Engine>, Slot)>,
    /// Sources that the step at hand has frozen and is to thaw or to remove.
    pub(super) fenced: Vec<Live>,
    /// The address that the step at hand moves.
    pub(super) moving: Option<Moving>,
    /// Addresses that were moved, with the node that each is led to.
    pub(super) moved: BTreeMap<Ipv4Addr, SharedNode>,
    /// Pods, by name: their containers, as instances.
    pub(super) pods: BTreeMap<String, Vec<String>>,
    /// What calls that were given up left behind.
    pub(super) hanging: Vec<Leak>,
    /// Whether captures tell of the numbers in logs: if a check is about them, or one may come.
    pub(super) logs: bool,
}

/// An instance that was made. It stays here when it has been removed, so that the last look can say so.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) workload: String,
    pub(super) node: String,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) container: Container,
    pub(super) spec: ContainerSpec,
    /// Seen to have ended, or its node was restarted: what is left of it answers nobody.
    pub(super) ended: bool,
    pub(super) removed: bool,
}

/// A checkpoint that was taken.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) checkpoint: Checkpoint,
    /// Nodes that have it, the one that wrote it first.
    pub(crate) nodes: Vec<String>,
    /// As it is on nodes that have it at another place than `checkpoint.path`.
    pub(crate) elsewhere: BTreeMap<String, Checkpoint>,
    pub(crate) workload: String,
    pub(crate) spec: ContainerSpec,
    /// Bytes and digest of it unharmed: set when it was taken or first carried, checked whenever it has been carried.
    pub(crate) known: Option<Carried>,
    /// Set for checkpoint OCI images.
    pub(crate) reference: Option<String>,
}

impl Held {
    /// The checkpoint as it is on a node.
    pub(crate) fn at(&self, node: &str) -> &Checkpoint {
        self.elsewhere.get(node).unwrap_or(&self.checkpoint)
    }
}

/// How a case ended.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) outcome: Option<Outcome>,
    pub(super) reason: Option<String>,
    /// What made it fail.
    pub(super) causes: Vec<Cause>,
    /// What the clients of the last repetition saw.
    pub(super) histories: BTreeMap<String, History>,
}

impl Ended {
    pub(super) fn new(outcome: Outcome, reason: Option<String>) -> Self {
        Ended { outcome: Some(outcome), reason, ..Ended::default() }
    }

    pub(super) fn passed(&self) -> bool {
        self.outcome == Some(Outcome::Passed)
    }
}

/// Runs a case with all its repetitions.
pub(super) async fn run(world: &World, case: &Case, number: usize, recorder: &Recorder) -> Ended {
    match super::requirements::unmet(world, case).await {
        Ok(None) => {}
        Ok(Some(reason)) => return Ended::new(Outcome::Skipped, Some(reason)),
        Err(failure) => return Ended::new(Outcome::Errored, Some(failure.message)),
    }
    let total = case.warmup + case.repetitions;
    let deadline = Some(Instant::now() + case.timeout);
    let mut ended = Ended::new(Outcome::Passed, None);
    let mut enough = None;
    for repetition in 0.. {
        let warmup = repetition < case.warmup;
        if !warmup && enough.is_none() {
            enough = case.repeat_for.map(|time| Instant::now() + time);
        }
        // Of those that are done for a time there is one at least.
        if repetition >= total && enough.is_none_or(|enough| Instant::now() >= enough) {
            break;
        }
        if total > 1 || enough.is_some() {
            let of = case.repeat_for.is_none().then_some(total);
            recorder.case(&case.id, Event::Repetition { number: repetition + 1, of, warmup });
        }
        let mut run = CaseRun::new(world, case, recorder, format!("c{number}r{repetition}"));
        run.deadline = deadline;
        let this = Box::pin(run.repetition(!warmup)).await;
        if !this.passed() {
            return this;
        }
        ended = this;
    }
    if let Some(failed) = judge::budgets(case, recorder) {
        ended = Ended { histories: ended.histories, ..failed };
    }
    ended
}

impl<'a> CaseRun<'a> {
    /// A case about to begin. `tag` makes names unique on the nodes.
    pub(super) fn new(world: &'a World, case: &'a Case, recorder: &'a Recorder, tag: String) -> Self {
        CaseRun {
            world,
            case,
            recorder,
            deadline: Some(Instant::now() + case.timeout),
            tag,
            step: 0,
            until: Instant::now() + case.timeout,
            instances: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            clients: Clients::default(),
            volumes: BTreeSet::new(),
            bare: Vec::new(),
            under_way: Vec::new(),
            slots: Vec::new(),
            fenced: Vec::new(),
            moving: None,
            moved: BTreeMap::new(),
            pods: BTreeMap::new(),
            hanging: Vec::new(),
            logs: case.checks.iter().any(|c| matches!(c.spec, CheckSpec::Log(_))),
        }
    }

    /// Where the events of this case go.
    pub(super) fn teller(&self) -> Teller<'a> {
        Teller { recorder: self.recorder, case: &self.case.id }
    }
}

impl CaseRun<'_> {
    /// Does the steps once, judges what came of them and removes all that they made. Its figures are recorded if it counts.
    pub(super) async fn repetition(&mut self, counts: bool) -> Ended {
        let counted = Counters::now(self.world, &self.case.nodes, self.case.engine).await;
        let (programs, calls) = (process::started(), engine::calls());
        if let Err(failure) = self.allocate().await {
            return Ended::new(Outcome::Errored, Some(failure.message));
        }
        let broken = Box::pin(self.steps()).await;
        let failed = broken.is_some();
        let after = Box::pin(self.finally()).await;
        let judged = |run: &Self| {
            let ended = judge::repetition(run, counts, broken, &after);
            // They are counts of the whole process.
            if counts && ended.passed() && run.world.alone() {
                // The last look is in them: it asks the same of both sides of a comparison.
                run.figure(SPAWNS, process::started() - programs);
                run.figure(RPCS, engine::calls() - calls);
            }
            ended
        };
        let ended = self.close(failed, judged).await;
        if counts && ended.passed() {
            for (name, value) in Counters::now(self.world, &self.case.nodes, self.case.engine).await.since(&counted) {
                self.record(Event::Metric { name: name.to_owned(), value });
            }
        }
        ended
    }

    /// Mends what is broken, looks for the last time, has it judged and removes all that was made.
    pub(super) async fn close(&mut self, failed: bool, judged: impl FnOnce(&Self) -> Ended) -> Ended {
        // Before anything else: nothing can be looked at or removed on a node that is broken.
        let unmended = self.world.faults.mend_all(&self.teller()).await;
        self.settle().await;
        self.last_look(failed).await;
        let mut ended = judged(self);
        for failure in unmended {
            if ended.passed() {
                ended = Ended::new(Outcome::Errored, Some(failure.message));
            } else {
                self.recorder.error(failure);
            }
        }
        // What made it fail is to be seen on nodes that stay.
        let stays = !ended.passed() && self.world.stays().await;
        let leaks = if stays { Vec::new() } else { self.clean_up().await };
        if ended.passed() && !leaks.is_empty() {
            let names: Vec<_> = leaks.iter().map(|l| format!("{} {}", l.kind, l.name)).collect();
            ended = Ended::new(Outcome::Leaked, Some(format!("left behind: {}", names.join(", "))));
        }
        ended.histories = self.clients.take_histories();
        ended
    }

    fn figure(&self, name: &str, count: u64) {
        self.record(Event::Metric { name: name.to_owned(), value: count as f64 });
    }

    /// Puts right what bare calls left. The steps have seen it, and the last look too.
    async fn heal(&mut self) {
        let killed = self.case.steps.iter().flat_map(|step| step.bare_kill());
        for node in killed {
            self.bare.extend(self.world.engine(self.case.engine, node).await);
        }
        for engine in std::mem::take(&mut self.bare) {
            if let Err(e) = engine.heal().await {
                self.recorder.error(Failure { class: ErrorClass::Surroundings, ..e.into() });
            }
        }
    }

    /// Stops the clients and captures every instance, so that checks see the end. After a failed step the look is for
    /// the report alone: what state is the source in, was anything lost?
    pub(super) async fn last_look(&mut self, failed: bool) {
        action::clients::stop_all(self).await;
        let checked = self.case.checks.iter().filter_map(|c| match &c.spec {
            CheckSpec::Instance(instance) => Some(&instance.of),
            _ => None,
        });
        // Instances that never came to be are looked at too: a check may want them absent.
        let names: BTreeSet<String> = self.instances.keys().chain(checked).cloned().collect();
        for name in names {
            let beyond = if failed { None } else { self.to_be_passed(&name).await };
            let capture = action::capture::last(self, &name, beyond, !failed).await;
            self.record(Event::Capture(Box::new(capture)));
        }
    }

    /// The counter that an instance is to have left behind at the end, if a check wants that it went on. One look says
    /// nothing of that: where there was none before, it is taken here.
    async fn to_be_passed(&self, of: &str) -> Option<u64> {
        let since = self.case.checks.iter().find_map(|c| match &c.spec {
            CheckSpec::Instance(i) if i.of == of && i.at.is_none() => i.progressed_since.clone(),
            CheckSpec::Consistent(c) if c.containers.iter().any(|name| name == of) => Some(format!("restored:{of}")),
            _ => None,
        });
        let counted = self.case.checks.iter().any(|c| matches!(&c.spec, CheckSpec::Counter(c) if c.of == of));
        let mut captures = self.recorder.evidence(&self.case.id).captures;
        if counted && !captures.iter().any(|c| c.instance == of) {
            let early = action::capture::capture(self, of, &format!("early:{of}"), true).await;
            self.record(Event::Capture(Box::new(early.clone())));
            captures.push(early);
        }
        let wanted = captures.iter().filter(|c| Some(&c.name) == since.as_ref() || (counted && c.instance == of));
        wanted.filter_map(|c| c.inside.as_ref()?.counter).max()
    }

    /// Removes all that the case made, newest first, and says what would not go.
    async fn clean_up(&mut self) -> Vec<Leak> {
        let mut leaks = std::mem::take(&mut self.hanging);
        self.heal().await;
        let live: Vec<(String, Live)> = self.instances.iter().map(|(n, l)| (n.clone(), l.clone())).collect();
        for (name, live) in live.into_iter().rev().filter(|(_, l)| !l.removed) {
            let removed = tokio::time::timeout(CLEANUP, live.engine.remove(&live.container)).await;
            let reason = match removed {
                Ok(Ok(())) => continue,
                Ok(Err(e)) => e.message,
                Err(_) => format!("removing it took longer than {CLEANUP:?}"),
            };
            leaks.push(Leak { kind: "container".to_owned(), name: format!("{name} on {}", live.node), reason });
        }
        leaks.extend(self.return_addresses().await);
        for held in std::mem::take(&mut self.checkpoints).into_values() {
            for node in &held.nodes {
                // Gone already is no error: where nodes share a folder, the first removes it for all.
                let Checkpoint { path, archive, .. } = held.at(node);
                if let Err(e) = self.world.remove_path(node, path, !archive) {
                    let name = format!("{} on {node}", path.display());
                    leaks.push(Leak { kind: "checkpoint".to_owned(), name, reason: e.to_string() });
                }
            }
        }
        leaks.extend(self.remove_volumes());
        leaks.extend(self.lift_allocatable());
        leaks.extend(self.world.left(self.case).await);
        for leak in &leaks {
            self.record(Event::Leaked(leak.clone()));
        }
        leaks
    }

    /// How long the step that runs may wait for one thing: it ends before the step's own time does, since it can say what it
    /// waited for.
    pub(super) fn patience(&self) -> Duration {
        let left = self.until.saturating_duration_since(Instant::now()).mul_f64(0.95);
        // It is told to people.
        Duration::from_millis(left.as_millis().try_into().unwrap_or(u64::MAX))
    }

    /// The latest phase of a kind in this case.
    pub(super) fn last_phase(&self, phase: Phase) -> Option<PhaseSpan> {
        self.recorder.evidence(&self.case.id).phases.into_iter().rev().find(|p| p.phase == phase)
    }

    pub(super) fn record(&self, event: Event) {
        self.recorder.case(&self.case.id, event);
    }

    /// The instance of this name.
    pub(super) fn live(&self, name: &str) -> Result<&Live, Failure> {
        self.instances.get(name).filter(|l| !l.removed).ok_or_else(|| Failure {
            class: ErrorClass::UnknownContainer,
            message: format!("no instance `{name}` at this point of the scenario"),
            hint: None,
            log: Vec::new(),
        })
    }

    /// The instance of this name, also one that has been removed: of that the engine can be asked what it says.
    pub(super) fn ever(&self, name: &str) -> Result<&Live, Failure> {
        self.instances.get(name).map_or_else(|| self.live(name), Ok)
    }

    /// The checkpoint of this name.
    pub(super) fn held(&self, name: &str) -> Result<&Held, Failure> {
        self.checkpoints.get(name).ok_or_else(|| Failure {
            class: ErrorClass::InvalidArchive,
            message: format!("no checkpoint `{name}` at this point of the scenario"),
            hint: None,
            log: Vec::new(),
        })
    }

    /// The name that the engine knows an instance by.
    pub(super) fn container_name(&self, instance: &str) -> String {
        let mut name = format!("{}-{instance}", self.tag);
        name.truncate(40);
        name
    }
}
