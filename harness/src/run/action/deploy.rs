use crate::clock;
use crate::engine::ContainerSpec;
use crate::record::{EndReason, EndReport, ErrorClass, Event, Failure, InstanceRecord, Phase};
use crate::run::case::{CaseRun, Live};
use crate::run::preparation::Prepared;
use crate::scenario::plan::Given;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Starts a workload and waits until it answers and holds its data; or makes its container and leaves it at that.
pub(super) async fn deploy(
    run: &mut CaseRun<'_>,
    workload: &str,
    node: &str,
    instance: &str,
    start: bool,
    given: &Given,
) -> Result<(), Failure> {
    let engine = run.world.engine(run.case.engine, node).await?;
    let prepared = run.world.workload(&run.case.workloads[workload]).await?;
    let spec = ContainerSpec {
        name: run.container_name(instance),
        image: Arc::clone(&prepared.image),
        args: prepared.args(),
        env: Vec::new(),
        memory_limit: given.memory,
        mounts: run.mounts(workload, node, given)?,
        user: run.case.workloads[workload].user,
        criu: run.case.criu.clone(),
        without: run.case.without.clone(),
    };
    let from = clock::now();
    let slot = run.await_slot(&engine, &spec).await?;
    run.phase(Phase::Prepare, node, from);
    let made = if start { engine.start(&slot).await } else { engine.create(&slot).await };
    let container = match made {
        Ok(container) => container,
        Err(e) => {
            // The slot is ours until a container owns it; what the start says matters more than what this says.
            run.discard(&engine, &slot).await;
            return Err(e.into());
        }
    };
    let live = Live {
        workload: workload.to_owned(),
        node: node.to_owned(),
        engine,
        container,
        spec,
        ended: false,
        removed: false,
    };
    adopt(run, instance, live.clone(), None);
    if !start {
        return Ok(());
    }
    await_ready(run, &prepared, &live).await?;
    prepared.load(run.world.target(&live)).await
}

/// How often a container that does not answer yet is looked at: whether it has ended is no event that engines tell.
const LOOK: Duration = Duration::from_millis(100);

/// How long an engine may take to tell why a container ended, or who killed it: CRI notices an end, and the kernel's word that
/// it was for want of memory, one after the other (containerd 2.1.9).
const TOLD: Duration = Duration::from_secs(1);

/// Lines of its log that are shown when a container ends where it should answer.
const LOG_LINES: usize = 10;

/// Waits until a fresh or restored instance answers; gives up as soon as its container is seen to have ended.
pub(super) async fn await_ready(run: &CaseRun<'_>, prepared: &Arc<Prepared>, live: &Live) -> Result<(), Failure> {
    tokio::select! {
        ready = prepared.await_ready(run.world.target(live), run.patience()) => ready,
        ended = end_of(run, live) => Err(ended),
    }
}

/// Comes back when the container is seen to have ended.
async fn end_of(run: &CaseRun<'_>, live: &Live) -> Failure {
    let mut ended: Option<Instant> = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let seen = match live.engine.inspect(&live.container).await {
            Ok(Some(seen)) if ["running", "paused", "created"].contains(&seen.engine_state.as_str()) => continue,
            Ok(seen) => seen,
            // What cannot be looked at may still answer.
            Err(_) => continue,
        };
        let reason = seen.as_ref().and_then(|s| s.end.as_ref()).and_then(EndReport::reason);
        let state = seen.map_or_else(|| "gone".to_owned(), |s| s.engine_state);
        if reason == Some(EndReason::OomKilled) {
            return out_of_memory(live);
        }
        let told = !matches!(reason, None | Some(EndReason::Killed));
        if !told && ended.get_or_insert_with(Instant::now).elapsed() < TOLD {
            continue;
        }
        let log = run.world.host_path(&live.node, &live.container.log);
        let log = log.and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        let lines: Vec<String> = String::from_utf8_lossy(&log).lines().map(str::to_owned).collect();
        return Failure {
            hint: Some("its log is all that it said: look at the program's arguments and at its image".to_owned()),
            log: lines[lines.len().saturating_sub(LOG_LINES)..].to_vec(),
            ..Failure::new(
                ErrorClass::NotRunning,
                format!("container {} on node {} is {state}, before it answered", live.spec.name, live.node),
            )
        };
    }
}

fn out_of_memory(live: &Live) -> Failure {
    let (name, node) = (&live.spec.name, &live.node);
    let limit = live.spec.memory_limit;
    Failure {
        hint: Some(match limit {
            Some(_) => "give it more `memory`".to_owned(),
            None => "the containers of the node may not take more together (`allocatable`), or the node has no more"
                .to_owned(),
        }),
        ..Failure::new(
            ErrorClass::NoMemory,
            format!("container {name} on node {node} was killed for want of memory, before it answered"),
        )
    }
}

/// After a restart of its node: an instance that still runs was never on a node that went down.
pub(super) async fn must_have_ended(run: &CaseRun<'_>, instance: &str) -> Result<(), Failure> {
    let live = run.live(instance)?;
    match live.engine.inspect(&live.container).await? {
        Some(seen) if seen.engine_state != "stopped" || seen.processes.is_some_and(|n| n > 0) => {
            Err(Failure::surroundings(format!(
                "container {} is {} after a restart of node {}",
                live.spec.name, seen.engine_state, live.node
            )))
        }
        _ => Ok(()),
    }
}

/// Puts an instance among those of the case and records its start.
pub(super) fn adopt(run: &mut CaseRun<'_>, name: &str, live: Live, restored_from: Option<String>) {
    run.record(Event::Instance(InstanceRecord {
        name: name.to_owned(),
        workload: live.workload.clone(),
        node: live.node.clone(),
        container_id: live.container.id.clone(),
        restored_from,
        started: clock::now(),
        ended: None,
    }));
    let of = &live.container.slot;
    run.slots.retain(|(_, slot)| slot.handle != of.handle || slot.spec.name != of.spec.name);
    run.instances.insert(name.to_owned(), live);
}

/// Stops and removes an instance.
pub(super) async fn remove(run: &mut CaseRun<'_>, instance: &str) -> Result<(), Failure> {
    let live = run.live(instance)?.clone();
    let from = clock::now();
    live.engine.remove(&live.container).await?;
    run.phase(Phase::StopSource, &live.node, from);
    gone(run, instance);
    Ok(())
}

/// Notes that an instance is no more.
pub(super) fn gone(run: &mut CaseRun<'_>, instance: &str) {
    if let Some(live) = run.instances.get_mut(instance) {
        live.removed = true;
    }
    run.record(Event::InstanceEnded { name: instance.to_owned() });
}
