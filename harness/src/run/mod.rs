//! Executes a plan: makes nodes, does the steps of each case, has the evidence judged, takes everything down again.
//! Every event goes through the [`Recorder`]; what is reported comes from there alone.

mod action;
mod allocatable;
mod builds;
mod bundle;
pub(crate) mod carry;
mod case;
mod clients;
mod daemon_metrics;
mod duel;
mod exit;
mod export;
mod faults;
mod judge;
mod kept;
mod known;
mod lanes;
mod link;
mod memory;
pub(crate) mod open;
mod paired;
mod past;
pub(crate) mod preparation;
mod recheck;
mod recorder;
mod requirements;
mod steps;
mod store;
mod under_way;
mod volumes;
pub(crate) mod world;

pub use builds::{Build, Builds, execute_builds};
pub use bundle::{Bundle, bundle};
pub(crate) use case::Held;
pub use duel::Pairing;
pub use exit::Exit;
pub use export::{OtlpTarget, export_traces};
pub use kept::keep_scenarios;
pub use paired::{Paired, Sides, execute_paired, unpaired};
pub use preparation::Preparations;
pub use recheck::recheck;
pub use recorder::{Listener, Recorder};
pub(crate) use requirements::{breaks_nodes, needs};
pub use store::{StoredRunError, load, load_with_past, write_reports};
pub use world::Stores;

use crate::provider::{Ending, Provider};
use crate::record::{CaseId, ErrorClass, Event, Failure, KnownPart, NODE_IMAGE, Outcome, Run};
use crate::scenario::plan::{Case, Plan, Step};
use case::Ended;
use known::Cause;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use world::World;

/// What a run is made of.
pub struct Session {
    /// What to do.
    pub plan: Plan,
    /// What the cases run on: one for each node image, or several, each a lane that cases run on beside those of others.
    pub grounds: Vec<Ground>,
    /// Images on the host.
    pub stores: Stores,
    /// Takes the events.
    pub recorder: Arc<Recorder>,
    /// Arguments that name the stack under test, for the commands that run a case again: ` --node-image trixie`. By the
    /// grounds' [`Ground::image`].
    pub stack_args: BTreeMap<Option<String>, String>,
    /// Whether a skip makes the run fail.
    pub deny_skips: bool,
    /// How long all cases together may take.
    pub timeout: Duration,
}

/// What the cases of one node image run on.
pub struct Ground {
    /// The image as the user named it, if there are several: the cell of the cases that run on it.
    pub image: Option<String>,
    /// Makes the nodes.
    pub provider: Arc<dyn Provider>,
    /// Makes workloads ready.
    pub preparations: Preparations,
    /// Whether the nodes join a Kubernetes cluster, for the engines that are of one; its kubeconfig is written to this file.
    pub kubernetes: Option<PathBuf>,
}

/// Runs a session to its end, whatever happens: on an interrupt (`stop` turns true) or at the run's timeout the case
/// that runs is given up, and everything is taken down all the same.
pub async fn execute(session: Session, mut stop: watch::Receiver<bool>) -> Run {
    let Session { plan, grounds, stores, recorder, stack_args, deny_skips, timeout } = session;
    for case in &plan.cases {
        let stack = stack_args.get(&case.params.get(NODE_IMAGE).cloned()).map_or("", String::as_str);
        note(case, rerun(case, stack), &recorder);
    }
    let worlds: Vec<World> =
        grounds.into_iter().map(|ground| World::new(ground, stores.clone(), Arc::clone(&recorder))).collect();
    to_its_end(on_each(&worlds, &plan, &recorder), timeout, &mut stop, &recorder).await;
    end(&worlds, &recorder, deny_skips).await
}

/// Works until it is done, late or interrupted.
async fn to_its_end(
    work: impl Future<Output = ()>,
    timeout: Duration,
    stop: &mut watch::Receiver<bool>,
    recorder: &Recorder,
) {
    tokio::select! {
        () = work => {}
        () = tokio::time::sleep(timeout) => {
            recorder.error(Failure {
                class: ErrorClass::Timeout,
                message: format!("the run did not end within {timeout:?}"),
                hint: Some("give it more with --timeout, or select fewer cases".to_owned()),
                log: Vec::new(),
            });
        }
        _ = stop.wait_for(|stop| *stop) => recorder.run(Event::Interrupted),
    }
}

/// Takes everything down and records the end.
pub(crate) async fn end(worlds: &[World], recorder: &Recorder, deny_skips: bool) -> Run {
    let run = recorder.fold();
    // What a case made that was given up in its middle is still there.
    let whole = !run.interrupted && run.cases.iter().all(|case| case.outcome.is_some());
    for world in worlds {
        let failures = if whole { world.part(Ending::Done).await.1 } else { world.raze().await };
        told(failures, recorder);
    }
    let exit = Exit::of(&recorder.fold(), deny_skips);
    recorder.run(Event::RunFinished { exit_code: exit as u8 });
    recorder.fold()
}

/// The nodes of one image at a time: those of two would take twice the memory.
async fn on_each(worlds: &[World], plan: &Plan, recorder: &Recorder) {
    for lanes in worlds.chunk_by(|a, b| a.image() == b.image()) {
        let image = lanes.first().and_then(World::image);
        let here = |case: &&Case| case.params.get(NODE_IMAGE).map(String::as_str) == image;
        Box::pin(lanes::run(lanes, &plan.cases.iter().filter(here).collect::<Vec<_>>(), recorder)).await;
        for world in lanes {
            raze(world, recorder).await;
        }
    }
}

/// Takes all nodes of a world down whose cases have ended, unless they are to stay.
async fn raze(world: &World, recorder: &Recorder) {
    told(world.part(Ending::Done).await.1, recorder);
}

/// Records what could not be taken down.
fn told(failures: Vec<Failure>, recorder: &Recorder) {
    for failure in failures {
        recorder.run(Event::Leaked(crate::record::Leak {
            kind: "node".to_owned(),
            name: failure.message.clone(),
            reason: "it could not be taken down".to_owned(),
        }));
    }
}

/// Looking, judging and cleaning up after the time for the steps of a case is up.
const AFTERWARDS: Duration = Duration::from_secs(120);

/// How long a case is waited for in all: its steps end in its own time, those of `finally` have theirs.
fn patience(case: &Case) -> Duration {
    case.timeout + AFTERWARDS + case.finally.iter().map(|step| step.timeout).sum::<Duration>()
}

/// A case whose time is up, in a step or after all of them.
fn late(case: &Case, step: Option<&Step>) -> Failure {
    let place = step.map(|step| format!(", in step `{}` ({})", step.id, step.title)).unwrap_or_default();
    Failure {
        class: ErrorClass::Timeout,
        message: format!("the case did not end within {:?}{place}", case.timeout),
        hint: Some("give the scenario a `timeout`, or look at the timeline for what it waited on".to_owned()),
        log: Vec::new(),
    }
}

fn given_up(case: &Case) -> Ended {
    let message = late(case, None).message;
    let causes = vec![Cause { of: KnownPart::Case, message: message.clone() }];
    Ended { causes, ..Ended::new(Outcome::Failed, Some(message)) }
}

/// Mends what a case broke, and records its end. After one that did not pass the nodes are made anew.
async fn conclude(world: &World, case: &Case, ended: Ended, recorder: &Recorder) {
    // A case that came to its end has mended its own; one that was given up in its middle has not.
    for failure in world.faults.mend_all(&faults::Teller { recorder, case: &case.id }).await {
        recorder.error(failure);
    }
    let (ended, known) = known::judge(ended, case, &jiff::Zoned::now().date().to_string());
    for known in known {
        recorder.case(&case.id, Event::Known(known));
    }
    let outcome = ended.outcome.unwrap_or(Outcome::Errored);
    if outcome != Outcome::Skipped {
        daemon_metrics::keep(world, case, &folder(&case.id), recorder).await;
    }
    if !matches!(outcome, Outcome::Passed | Outcome::Skipped) {
        let logs = recorder.dir().join("cases").join(folder(&case.id)).join("logs");
        world.collect_logs(case, &logs).await;
        tell_files(&logs, recorder, &case.id);
        let (left, failures) = world.part(Ending::NotPassed(&case.id)).await;
        failures.into_iter().for_each(|failure| recorder.error(failure));
        if let Some(how) = left {
            tell_left(&how, &case.id, recorder);
        }
    } else if world.untidy() {
        // It is known to fail so.
        world.raze().await.into_iter().for_each(|failure| recorder.error(failure));
    }
    let finished = Event::CaseFinished { outcome, reason: ended.reason };
    recorder.case_finished(&case.id, finished, ended.histories);
}

/// Keeps how nodes are reached that stay as evidence of the case that did not pass on them.
fn tell_left(how: &str, case: &CaseId, recorder: &Recorder) {
    let path = format!("cases/{}/nodes.txt", folder(case));
    let whole = recorder.dir().join(&path);
    match whole.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&whole, how)) {
        Ok(()) => recorder.case(case, Event::File { path }),
        Err(e) => recorder.error(Failure::surroundings(format!("can't write {path}: {e}"))),
    }
}

/// Records the files in a folder of the run's as evidence of a case.
fn tell_files(folder: &std::path::Path, recorder: &Recorder, case: &CaseId) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            tell_files(&path, recorder, case);
        } else if let Ok(inside) = path.strip_prefix(recorder.dir()) {
            recorder.case(case, Event::File { path: inside.display().to_string() });
        }
    }
}

/// Notes what is to be done and judged, so that what never ran is missed.
fn note(case: &Case, rerun: String, recorder: &Recorder) {
    let planned = Event::CasePlanned {
        scenario: case.scenario.clone(),
        title: case.title.clone(),
        origin: case.origin.clone(),
        engine: case.engine,
        params: case.params.clone(),
        labels: case.labels.clone(),
        rerun,
    };
    recorder.case(&case.id, planned);
    recorder.case(&case.id, Event::ChecksPlanned(case.checks.clone()));
}

/// The command that runs a case again, as the user would type it where this run was started.
fn rerun(case: &Case, stack_args: &str) -> String {
    let program = std::env::var("PODFERRY_COMMAND").unwrap_or_else(|_| "podferry".to_owned());
    let given = if case.origin.file.starts_with("scenarios/") {
        String::new()
    } else {
        format!(" --scenario {}", case.origin.file)
    };
    // On one stack alone, the case's name does not say which.
    let id = match case.params.get(NODE_IMAGE) {
        None => case.id.0.clone(),
        Some(stack) => case.id.0.replace(&format!(",{NODE_IMAGE}={stack}"), ""),
    };
    format!("{program} run --engine {}{stack_args}{given} '{id}'", case.engine)
}

/// The command that runs a test of the library again.
fn rerun_test(case: &Case) -> String {
    let given = std::env::var(LIBRARY_ARGS).ok().filter(|given| !given.trim().is_empty());
    let given = given.map(|given| format!("{LIBRARY_ARGS}='{given}' ")).unwrap_or_default();
    format!("{given}cargo test {}", case.scenario)
}

/// Where tests that use the library find arguments, as `podferry run` takes them.
pub(crate) const LIBRARY_ARGS: &str = "PODFERRY_ARGS";

/// The folder of a case inside the run's: its name, with what file names should not hold replaced.
pub(crate) fn folder(case: &CaseId) -> String {
    case.0.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.=,".contains(c) { c } else { '_' }).collect()
}
