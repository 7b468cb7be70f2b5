//! The thread that a bed lives on: it makes the nodes, does what it is asked, and takes all down.

use super::setup::Decided;
use super::{EngineKind, Failed};
use crate::cli::launch::{Asked, Launch, OfCluster};
use crate::cli::run::{link_latest, sweep_first};
use crate::cli::terminal::complain;
use crate::component;
use crate::doctor::{self, State};
use crate::record::{CaseRecord, Chain, Check, CheckRecord, Evidence, Failure, Line, Outcome, Run};
use crate::run::open::{More, OpenCase, States, Stop};
use crate::run::world::World;
use crate::run::{self, Listener};
use crate::scenario::plan::Step;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// What a main thread has: unoptimised, a step takes most of the 2 MiB that another one has.
const STACK: usize = 8 << 20;

type Reply<T> = oneshot::Sender<T>;

/// What the thread is asked.
pub(super) enum Ask {
    Step(More, Box<Step>, Reply<Result<Option<Failure>, Stop>>),
    Check(Vec<Check>, Reply<Result<Vec<CheckRecord>, Stop>>),
    Evidence(Reply<Box<Evidence>>),
    /// The end; with why, if nobody came to it.
    End(Option<String>, Reply<Box<Run>>),
}

pub(super) type Asks = mpsc::UnboundedSender<Ask>;

/// A bed that is there.
pub(super) struct Ready {
    pub(super) asks: Asks,
    pub(super) thread: JoinHandle<()>,
    pub(super) engine: EngineKind,
    pub(super) nodes: Vec<String>,
    pub(super) dir: PathBuf,
    pub(super) deny_skips: bool,
}

/// Makes a bed on a thread of its own: nothing that blocks there is felt by the caller's runtime, and a caller that goes, or
/// panics, can still wait for its end.
pub(super) async fn start(decided: Decided) -> Result<Ready, Failed> {
    let (asks, asked) = mpsc::unbounded_channel();
    let (engine, nodes) = (decided.case.engine, decided.case.nodes.clone());
    let (deny_skips, out) = (decided.deny_skips, decided.out.clone());
    let (ready, made) = oneshot::channel();
    let gone = move || Failed::surroundings(Failure::surroundings("the bed's thread ended before it was made"), &out);
    let work = move || live(decided, asked, ready);
    let thread = std::thread::Builder::new().name(thread_name()).stack_size(STACK).spawn(work);
    let thread = thread.map_err(|e| Failed::usage(format!("can't start a thread for the bed: {e}")))?;
    match made.await.unwrap_or_else(|_| Err(gone())) {
        Ok(dir) => Ok(Ready { asks, thread, engine, nodes, dir, deny_skips }),
        Err(failed) => {
            // It has told all that it had to tell; its end takes no time.
            let _ = thread.join();
            Err(failed)
        }
    }
}

/// What it prints is told under the test's name.
fn thread_name() -> String {
    std::thread::current().name().unwrap_or("podferry-bed").to_owned()
}

fn live(decided: Decided, asked: mpsc::UnboundedReceiver<Ask>, ready: Reply<Result<PathBuf, Failed>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => return drop(ready.send(Err(Failed::usage(format!("can't start a runtime for the bed: {e}"))))),
    };
    runtime.block_on(serve(decided, asked, ready));
    // Questions to workloads that never answered may still wait on their sockets: nobody waits for them.
    runtime.shutdown_background();
}

async fn serve(decided: Decided, mut asked: mpsc::UnboundedReceiver<Ask>, ready: Reply<Result<PathBuf, Failed>>) {
    let mut launch = match launch(&decided).await {
        Ok(launch) => launch,
        Err(failed) => return drop(ready.send(Err(failed))),
    };
    let (recorder, dir) = (Arc::clone(&launch.recorder), launch.dir.clone());
    let ground = std::mem::take(&mut launch.grounds).into_iter().next().expect("one lane on one image");
    let world = World::new(ground, launch.stores.clone(), Arc::clone(&recorder));
    let states = States::new();
    let at = decided.case.origin.clone();
    let begun = OpenCase::begin(&world, &states, decided.case, &recorder).await;
    let mut waiting = None;
    match begun {
        Ok(mut open) => {
            // An error: the caller is gone, and nothing will be asked.
            let _ = ready.send(Ok(dir.clone()));
            let (left, reply) = answer(&mut open, &mut asked).await;
            waiting = reply;
            open.end(left).await;
            close(world, &launch, &decided.out, decided.deny_skips).await;
        }
        Err(stop) => {
            close(world, &launch, &decided.out, decided.deny_skips).await;
            let _ = ready.send(Err(Failed::stopped(stop, &at, &dir)));
        }
    }
    if let Some(reply) = waiting {
        let _ = reply.send(Box::new(recorder.fold()));
    }
}

/// Does what it is asked, until it is asked to end.
async fn answer(
    open: &mut OpenCase<'_>,
    asked: &mut mpsc::UnboundedReceiver<Ask>,
) -> (Option<String>, Option<Reply<Box<Run>>>) {
    loop {
        // An error of a reply: who asked does not wait any more.
        match asked.recv().await {
            Some(Ask::Step(more, step, reply)) => drop(reply.send(open.step(more, *step).await)),
            Some(Ask::Check(checks, reply)) => drop(reply.send(open.check(checks).await)),
            Some(Ask::Evidence(reply)) => drop(reply.send(Box::new(open.evidence()))),
            Some(Ask::End(left, reply)) => return (left, Some(reply)),
            None => return (Some("the test is gone".to_owned()), None),
        }
    }
}

pub(super) async fn launch(decided: &Decided) -> Result<Launch, Failed> {
    let findings = doctor::quick_host_check();
    if let Some(missing) = findings.iter().find(|f| f.state == State::Missing) {
        let remedy = missing.remedy.as_ref().map(|remedy| format!(" ({remedy})")).unwrap_or_default();
        return Err(Failed::skip(format!("{}: {}{remedy}", missing.name, missing.detail)));
    }
    sweep_first();
    let told = OfCluster {
        existing: decided.stack.existing.named().then(|| decided.stack.existing.clone()),
        workers: decided.case.nodes.clone(),
        progress: Arc::new(()),
    };
    let asked = Asked {
        stack: &decided.stack,
        of_cluster: Some(told),
        out: &decided.out,
        lanes: 1,
        command: std::env::args().collect(),
    };
    Ok(Launch::new(asked, &Told, Box::new(Quiet)).await?)
}

/// Takes the nodes down and writes the reports. What goes wrong is in them; what is wrong with them is printed.
async fn close(world: World, launch: &Launch, out: &Path, deny_skips: bool) {
    run::end(&[world], &launch.recorder, deny_skips).await;
    launch.close();
    let run = run::load(&launch.dir).unwrap_or_else(|_| launch.recorder.fold());
    if let Err(e) = run::write_reports(&launch.dir, &run) {
        complain(&format!("warning: {}", Chain(&e)));
    }
    link_latest(out, &launch.dir);
}

/// What the end of a bed says.
pub(super) fn verdict(run: Run, dir: &Path, deny_skips: bool) -> Result<super::Ended, Failed> {
    let Run { cases, leaks, errors, .. } = run;
    let Some(case) = cases.into_iter().next() else { return Err(Failed::over(dir)) };
    if let Some(failure) = errors.into_iter().next() {
        return Err(Failed::surroundings(failure, dir));
    }
    if !leaks.is_empty() {
        return Err(Failed::left(leaks, dir));
    }
    let reason = case.reason.clone().unwrap_or_default();
    match case.outcome {
        Some(Outcome::Passed) => Ok(super::Ended { case, dir: dir.to_owned() }),
        Some(Outcome::Skipped) if !deny_skips => Err(Failed::skip(reason)),
        _ => Err(failed(&case, reason, dir)),
    }
}

/// What did not go well, though nobody looked.
fn failed(case: &CaseRecord, reason: String, dir: &Path) -> Failed {
    if let Some((step, failure)) =
        case.evidence.steps.iter().find_map(|s| Some((s, s.failure.clone()?)).filter(|_| !s.as_expected()))
    {
        let stop =
            Stop::Failed { step: step.title.clone(), failure, surroundings: case.outcome == Some(Outcome::Errored) };
        return Failed::stopped(stop, &step.origin, dir);
    }
    let red: Vec<CheckRecord> = case.checks.iter().filter(|c| !c.verdict.passed).cloned().collect();
    match red.first().map(|first| first.check.origin.clone()) {
        Some(at) => Failed::checks(red, &at, dir),
        None => Failed::surroundings(Failure::surroundings(reason), dir),
    }
}

/// Tells of what takes long, for the first time on a machine: a node image, a build.
struct Told;

impl component::Progress for Told {
    fn say(&self, line: &str) {
        complain(line);
    }

    fn update(&self, _line: &str) {}
}

/// A test tells of its end.
struct Quiet;

impl Listener for Quiet {
    fn line(&self, _line: &Line) {}

    fn case(&self, _case: &CaseRecord) {}
}
