use crate::client::{Client, ClientConfig, DEFAULT_MAX_OPS, Endpoint, Kind, WaitError};
use crate::clock;
use crate::record::{At, Chain, ErrorClass, Event, Failure};
use crate::run::case::{CaseRun, Live};
use crate::scenario::plan::{Action, ClientKind};
use std::path::Path;
use std::time::Duration;

/// How long a client that starts may hear nothing at all: the workload may be frozen, or not up.
const SILENCE: Duration = Duration::from_millis(300);

/// How long one may hear only what it does not take: a server may say for a while that it is not ready.
const UNDERSTOOD: Duration = Duration::from_secs(2);

/// Starts a client on its target.
pub(super) async fn start(run: &mut CaseRun<'_>, name: &str) -> Result<(), Failure> {
    let spec = &run.case.clients[name];
    let live = run.live(&spec.target)?.clone();
    let kind = kind(spec.kind);
    let client = Client::start(ClientConfig {
        name: name.to_owned(),
        kind,
        interval: Duration::from_secs_f64(1.0 / spec.rate),
        op_timeout: spec.op_timeout,
        instance: spec.target.clone(),
        endpoint: endpoint(run, &live, kind, None).await?,
        vantage: run.world.vantage(),
        max_ops: DEFAULT_MAX_OPS,
    })
    .map_err(|e| Failure::surroundings(format!("can't start client {name}: {e}")))?;
    let watch = client.watch().clone();
    run.clients.add(name, spec.target.clone(), client);
    if kind == Kind::LogFollower || !answers_wanted(run, name) {
        // A program may print other lines before those that count.
        return Ok(());
    }
    let patience = UNDERSTOOD.min(run.patience());
    let understood = tokio::task::spawn_blocking(move || watch.wait_understood(SILENCE, patience))
        .await
        .map_err(|e| Failure::surroundings(format!("waiting for client {name}: {e}")))?;
    understood.map_err(|e| unanswered(&e, format!("client {name} had no answer: {}", e.seen()), None))
}

/// Whether a later step waits for its answers: one that is there to see that none come is let be.
fn answers_wanted(run: &CaseRun<'_>, name: &str) -> bool {
    let target = &run.case.clients[name].target;
    run.case.steps.iter().skip(run.step).any(|step| match &step.action {
        Action::AwaitAnswers { client, .. } => client == name,
        Action::Migrate(what) => what.instance == *target,
        _ => false,
    })
}

/// Nobody had an answer. What the client itself knows to do about it goes before anything else.
fn unanswered(e: &WaitError, message: String, otherwise: Option<&str>) -> Failure {
    let hint = e.hint().or(otherwise).map(str::to_owned);
    Failure { hint, ..Failure::new(ErrorClass::WorkloadUnreachable, message) }
}

fn kind(kind: ClientKind) -> Kind {
    match kind {
        ClientKind::RedisWriter => Kind::RedisWriter,
        ClientKind::CounterReader => Kind::CounterReader,
        ClientKind::TcpEcho => Kind::TcpEcho,
        ClientKind::LogFollower => Kind::LogFollower,
    }
}

/// Where a client of this kind finds an instance: its address and port, or its log.
async fn endpoint(run: &CaseRun<'_>, live: &Live, kind: Kind, not_before: Option<At>) -> Result<Endpoint, Failure> {
    if kind == Kind::LogFollower {
        let path = run.world.host_path(&live.node, &live.container.log);
        let path = path.ok_or_else(|| Failure::surroundings(format!("node {} is gone", live.node)))?;
        return Ok(Endpoint::Log { path, not_before });
    }
    let port = run.world.workload(&run.case.workloads[&live.workload]).await?.port()?;
    Ok(Endpoint::Tcp((live.container.slot.address, port).into()))
}

/// Points every client that follows `from` to the new instance. Lines of its log from before its restore are the
/// source's: containerd copies them.
pub(super) async fn switch(
    run: &mut CaseRun<'_>,
    from: &str,
    into: &str,
    live: &Live,
    restored: At,
) -> Result<(), Failure> {
    for name in run.clients.following(from) {
        let kind = kind(run.case.clients[&name].kind);
        let endpoint = endpoint(run, live, kind, Some(restored)).await?;
        run.clients.switch(&name, into, endpoint)?;
    }
    Ok(())
}

/// When the first client of `instance` had its first answer; `None` if no client follows it.
pub(super) async fn first_answer(run: &CaseRun<'_>, instance: &str, patience: Duration) -> Result<Option<At>, Failure> {
    let Some(name) = run.clients.following(instance).into_iter().next() else { return Ok(None) };
    let watch = run.clients.watch(&name)?;
    let (asked, waiter) = (instance.to_owned(), watch.clone());
    let deadline = clock::now() + patience;
    let answer = tokio::task::spawn_blocking(move || waiter.first_answer_from(&asked, deadline))
        .await
        .map_err(|e| Failure::surroundings(format!("waiting for client {name}: {e}")))?;
    answer.map(Some).map_err(|e| {
        // Then it is not the restore that is to blame.
        let never = if watch.answered() == 0 { "; nor had it any before the restore" } else { "" };
        let message = format!(
            "client {name} had no answer of {instance} within {patience:?} after its restore: {}{never}",
            e.seen()
        );
        unanswered(
            &e,
            message,
            Some("the engine said that it runs: look at its log and at the addresses in the report"),
        )
    })
}

/// Waits for answers counted from now.
pub(super) async fn await_answers(
    run: &CaseRun<'_>,
    name: &str,
    count: u64,
    patience: Duration,
) -> Result<(), Failure> {
    let watch = run.clients.watch(name)?;
    let deadline = clock::now() + patience;
    let before = watch.answered();
    let waiter = watch.clone();
    let reached = tokio::task::spawn_blocking(move || waiter.wait_answers(before + count, deadline))
        .await
        .map_err(|e| Failure::surroundings(format!("waiting for client {name}: {e}")))?;
    reached.map(|_| ()).map_err(|e| {
        let had = watch.answered() - before;
        unanswered(&e, format!("client {name} had {had} of {count} answers within {patience:?}: {}", e.seen()), None)
    })
}

/// Stops a client, reads what a writer's last instance holds, and keeps its history as a file.
pub(super) async fn stop(run: &mut CaseRun<'_>, name: &str) -> Result<(), Failure> {
    let Some(running) = run.clients.take(name) else {
        return Err(Failure::surroundings(format!("client {name} does not run")));
    };
    let client = running.client;
    let mut history = tokio::task::spawn_blocking(move || client.stop())
        .await
        .map_err(|e| Failure::surroundings(format!("stopping client {name}: {e}")))?;
    if let Some(live) = run.instances.get(&running.follows).filter(|l| !l.removed && !l.ended) {
        let prepared = run.world.workload(&run.case.workloads[&live.workload]).await?;
        // No answer leaves it unread, and that fails the check that needs it.
        history.final_journal = prepared.journal(run.world.target(live)).await.ok().flatten();
    }
    let file = format!("cases/{}/{name}-{}.csv", crate::run::folder(&run.case.id), run.tag);
    let path = run.recorder.dir().join(&file);
    let written = make_parent(&path)
        .and_then(|()| crate::client::write_history(&path, &history).map_err(|e| Chain(&e).to_string()));
    run.clients.keep(name, history);
    written.map_err(Failure::surroundings)?;
    run.record(Event::History { client: name.to_owned(), file });
    Ok(())
}

fn make_parent(path: &Path) -> Result<(), String> {
    let Some(dir) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(dir).map_err(|e| format!("can't make the folder {}: {e}", dir.display()))
}

/// Stops what still runs.
pub(in crate::run) async fn stop_all(run: &mut CaseRun<'_>) {
    for name in run.clients.running() {
        if let Err(failure) = stop(run, &name).await {
            run.recorder.error(failure);
        }
    }
}
