//! A case that is made as it goes, by who writes Rust and not YAML. Its steps, looks, checks and its end are those of a scenario.

use super::case::{CaseRun, Ended};
use super::requirements::{Needs, unmet};
use super::world::World;
use super::{Recorder, conclude, judge};
use crate::record::{Check, CheckRecord, Event, Evidence, Failure, Outcome};
use crate::scenario::plan::{Action, Case, Client, Step, Volume, Workload};
use elsa::FrozenVec;
use std::time::Duration;

/// Each state that a case had: it is looked at by reference, so none goes before its end.
pub(crate) type States = FrozenVec<Box<Case>>;

/// How long the looks of a check may take together.
const LOOK: Duration = Duration::from_secs(120);

/// A case that goes on for as long as somebody adds to it.
pub(crate) struct OpenCase<'a> {
    world: &'a World,
    recorder: &'a Recorder,
    states: &'a States,
    run: CaseRun<'a>,
    /// What the case asked of its engine so far, and the engine has.
    met: Option<Needs>,
    /// Why nothing more is done.
    over: Option<Stop>,
    /// Checks that did not hold.
    broken: Vec<String>,
}

/// What a step needs that the case does not have yet.
#[derive(Default)]
pub(crate) struct More {
    pub(crate) workloads: Vec<(String, Workload)>,
    pub(crate) clients: Vec<(String, Client)>,
    pub(crate) volumes: Vec<(String, Volume)>,
}

/// Why a case does not go on.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// A capability is absent.
    Skipped(String),
    /// A step did not go as it was to: its title, and what it met.
    Failed { step: String, failure: Failure, surroundings: bool },
    /// What was asked for cannot be: names that are not there.
    Usage(String),
}

impl<'a> OpenCase<'a> {
    /// Begins a case that has no step yet.
    pub(crate) async fn begin(
        world: &'a World,
        states: &'a States,
        case: Case,
        recorder: &'a Recorder,
    ) -> Result<Self, Stop> {
        let case: &Case = states.push_get(Box::new(case));
        super::note(case, super::rerun_test(case), recorder);
        recorder.case(&case.id, Event::CaseStarted);
        let mut run = CaseRun::new(world, case, recorder, "c0r0".to_owned());
        // Which checks there will be is not known yet.
        run.logs = true;
        // Its steps have each their own time: how long the whole may take is for who writes it.
        run.deadline = None;
        let mut open = OpenCase { world, recorder, states, run, met: None, over: None, broken: Vec::new() };
        let begun = open.begun().await;
        if let Err(stop) = begun {
            open.over = Some(stop.clone());
            open.end(None).await;
            return Err(stop);
        }
        Ok(open)
    }

    async fn begun(&mut self) -> Result<(), Stop> {
        let case = self.run.case;
        let surroundings = |step: &str, failure| Stop::Failed { step: step.to_owned(), failure, surroundings: true };
        self.world.raise(&[case.engine], &case.nodes).await.map_err(|f| surroundings("make the nodes", f))?;
        self.ask().await?;
        self.run.allocate().await.map_err(|f| surroundings("limit the memory of the nodes", f))
    }

    /// Whether the engine can do all that was asked of it so far.
    async fn ask(&mut self) -> Result<(), Stop> {
        let needs = Needs::of(self.run.case);
        if self.met.as_ref() == Some(&needs) {
            return Ok(());
        }
        match unmet(self.world, self.run.case).await {
            Ok(None) => {
                self.met = Some(needs);
                Ok(())
            }
            Ok(Some(reason)) => Err(Stop::Skipped(reason)),
            Err(failure) => Err(Stop::Failed { step: "ask the engine".to_owned(), failure, surroundings: true }),
        }
    }

    /// Does a step; the error that it was to end with, if it was. After one that did not go as it was to, none is done.
    pub(crate) async fn step(&mut self, more: More, step: Step) -> Result<Option<Failure>, Stop> {
        if let Some(stop) = &self.over {
            return Err(stop.clone());
        }
        let done = Box::pin(self.act(more, step)).await;
        if let Err(stop) = &done {
            self.over = Some(stop.clone());
        }
        done
    }

    async fn act(&mut self, more: More, step: Step) -> Result<Option<Failure>, Stop> {
        let mut case = self.run.case.clone();
        case.workloads.extend(more.workloads);
        case.clients.extend(more.clients);
        case.volumes.extend(more.volumes);
        named(&case, &step.action).map_err(Stop::Usage)?;
        let index = case.steps.len();
        case.steps.push(Step { id: if step.id.is_empty() { format!("step-{}", index + 1) } else { step.id }, ..step });
        let case: &'a Case = self.states.push_get(Box::new(case));
        self.run.case = case;
        self.ask().await?;
        let step = &case.steps[index];
        match Box::pin(self.run.alone(index, step)).await {
            (None, expected) => Ok(expected),
            (Some(failure), _) => {
                let surroundings = judge::accuses_surroundings(&failure, &step.action);
                Err(Stop::Failed { step: step.title.clone(), failure, surroundings })
            }
        }
    }

    /// Judges checks on what is there now: ends the clients, looks at every instance, as at the end of a scenario.
    pub(crate) async fn check(&mut self, checks: Vec<Check>) -> Result<Vec<CheckRecord>, Stop> {
        if let Some(stop) = &self.over {
            return Err(stop.clone());
        }
        let case: &'a Case = self.states.push_get(Box::new(Case { checks, ..self.run.case.clone() }));
        self.run.case = case;
        if tokio::time::timeout(LOOK, self.run.last_look(false)).await.is_err() {
            let message = format!("the look at the instances did not end within {LOOK:?}");
            let stop =
                Stop::Failed { step: "look".to_owned(), failure: Failure::surroundings(message), surroundings: true };
            self.over = Some(stop.clone());
            return Err(stop);
        }
        let records = judge::now(&self.run, &case.checks);
        let red = records.iter().filter(|r| !r.verdict.passed);
        self.broken.extend(red.map(|r| format!("{}: {}", r.check.spec.name(), r.verdict.seen)));
        Ok(records)
    }

    /// What was recorded so far.
    pub(crate) fn evidence(&self) -> Evidence {
        judge::so_far(&self.run)
    }

    /// Takes down all that the case made, and records how it ended: as `left` says, if nobody came to its end.
    pub(crate) async fn end(mut self, left: Option<String>) {
        let case = Case { checks: Vec::new(), ..self.run.case.clone() };
        self.run.case = self.states.push_get(Box::new(case));
        let (failed, ended) = self.outcome(left);
        let ended = Box::pin(self.run.close(failed.is_some(), |run| {
            judge::end(run);
            ended
        }))
        .await;
        conclude(self.world, self.run.case, ended, self.recorder).await;
    }

    /// What a step met, if that ended the case; and its outcome.
    fn outcome(&mut self, left: Option<String>) -> (Option<Failure>, Ended) {
        let ended = |outcome, reason| Ended::new(outcome, Some(reason));
        match (self.over.take(), left) {
            (Some(Stop::Skipped(reason)), _) => (None, ended(Outcome::Skipped, reason)),
            (Some(Stop::Usage(reason)), _) => (None, ended(Outcome::Errored, reason)),
            (Some(Stop::Failed { failure, surroundings, .. }), _) => {
                let outcome = if surroundings { Outcome::Errored } else { Outcome::Failed };
                (Some(failure.clone()), ended(outcome, failure.message))
            }
            (None, _) if !self.broken.is_empty() => (None, ended(Outcome::Failed, self.broken.join("; "))),
            (None, Some(left)) => (None, ended(Outcome::Errored, left)),
            (None, None) => (None, Ended::new(Outcome::Passed, None)),
        }
    }
}

/// Whether all that an action names is in the case: a scenario's names were looked at before it ran.
fn named(case: &Case, action: &Action) -> Result<(), String> {
    let lacks = |what: &str, name: &str, there: Vec<&String>| {
        let there: Vec<&str> = there.into_iter().map(String::as_str).collect();
        let there =
            if there.is_empty() { "there is none".to_owned() } else { format!("there is {}", there.join(", ")) };
        Err(format!("no {what} `{name}`: {there}"))
    };
    let node = match action {
        Action::Deploy { node, .. } | Action::Restore { node, .. } | Action::Restart { node } => Some(node),
        Action::Transfer { to, .. } | Action::CopyVolume { to, .. } => Some(to),
        Action::StartPod { node, .. } => Some(node),
        Action::MigratePod { to, .. } => Some(to),
        Action::Migrate(migrate) => Some(&migrate.to),
        Action::Fault(fault) => Some(&fault.node),
        _ => None,
    };
    if let Some(node) = node.filter(|node| !case.nodes.contains(node)) {
        return lacks("node", node, case.nodes.iter().collect());
    }
    match action {
        Action::Deploy { workload, .. } if !case.workloads.contains_key(workload) => {
            return lacks("workload", workload, case.workloads.keys().collect());
        }
        Action::StartClient { client } if !case.clients.contains_key(client) => {
            return lacks("client", client, case.clients.keys().collect());
        }
        Action::CopyVolume { volume, .. } if !case.volumes.contains_key(volume) => {
            return lacks("volume", volume, case.volumes.keys().collect());
        }
        Action::StartPod { pod, .. } if !case.pods.contains_key(pod) => {
            return lacks("pod", pod, case.pods.keys().collect());
        }
        _ => {}
    }
    let given = match action {
        Action::Deploy { given, .. } | Action::Restore { given, .. } => given.volumes.as_ref(),
        Action::Migrate(migrate) => migrate.given.volumes.as_ref(),
        _ => None,
    };
    let mut mounted = case.workloads.values().map(|w| &w.volumes).chain(given).flat_map(|mounts| mounts.keys());
    match mounted.find(|volume| !case.volumes.contains_key(*volume)) {
        Some(volume) => lacks("volume", volume, case.volumes.keys().collect()),
        None => Ok(()),
    }
}
