//! Pods: several containers that are started, frozen and moved together.
//!
//! The order of a move that keeps a pod in one piece: the pod's slots on the target; all its containers frozen at one instant;
//! a checkpoint of each; what they share copied, since no checkpoint holds it and nobody writes to it now; each restored in
//! its slot; the source removed.

use super::{capture, checkpoint, clients, deploy, restore};
use crate::clock;
use crate::engine::{Container, ContainerSpec, Engine, Slot};
use crate::record::{At, Event, Failure, MigrationRecord, Phase, SourceFate};
use crate::run::carry;
use crate::run::case::{CaseRun, Held, Live};
use crate::scenario::plan::{Given, Over, PodFreeze, container_of};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How far a pod must go on between two checkpoints that are to be of two instants, in counts of its first container.
const APART: u64 = 100;

/// How long that may take.
const APART_LIMIT: Duration = Duration::from_secs(20);

/// What is to move where.
pub(super) struct Move<'a> {
    pub(super) step: &'a str,
    pub(super) pod: &'a str,
    pub(super) to: &'a str,
    pub(super) into: &'a str,
    pub(super) freeze: PodFreeze,
}

/// Starts a pod and waits until all its containers answer.
pub(super) async fn start(run: &mut CaseRun<'_>, pod: &str, node: &str) -> Result<(), Failure> {
    let engine = run.world.engine(run.case.engine, node).await?;
    let mut specs = Vec::new();
    for workload in &run.case.pods[pod] {
        let prepared = run.world.workload(&run.case.workloads[workload]).await?;
        specs.push(ContainerSpec {
            name: run.container_name(&container_of(pod, workload)),
            image: Arc::clone(&prepared.image),
            args: prepared.args(),
            env: Vec::new(),
            memory_limit: None,
            mounts: run.mounts(workload, node, &Given::default())?,
            user: run.case.workloads[workload].user,
            criu: run.case.criu.clone(),
            without: run.case.without.clone(),
        });
    }
    let from = clock::now();
    let slots = run.await_pod(&engine, &run.container_name(pod), &specs).await?;
    run.phase(Phase::Prepare, node, from);
    let mut names = Vec::new();
    for (workload, slot) in run.case.pods[pod].iter().zip(slots) {
        let container = engine.start(&slot).await?;
        let name = container_of(pod, workload);
        deploy::adopt(run, &name, live(workload, node, &engine, container, slot.spec), None);
        names.push(name);
    }
    ready(run, &names).await?;
    run.pods.insert(pod.to_owned(), names);
    Ok(())
}

fn live(workload: &str, node: &str, engine: &Arc<dyn Engine>, container: Container, spec: ContainerSpec) -> Live {
    let (workload, node, engine) = (workload.to_owned(), node.to_owned(), Arc::clone(engine));
    Live { workload, node, engine, container, spec, ended: false, removed: false }
}

async fn ready(run: &CaseRun<'_>, names: &[String]) -> Result<(), Failure> {
    for name in names {
        let live = run.live(name)?;
        let prepared = run.world.workload(&run.case.workloads[&live.workload]).await?;
        deploy::await_ready(run, &prepared, live).await?;
    }
    Ok(())
}

/// Moves a pod to another node.
pub(super) async fn migrate(run: &mut CaseRun<'_>, what: &Move<'_>) -> Result<(), Failure> {
    let triggered = clock::now();
    let names = run.pods.get(what.pod).cloned().unwrap_or_default();
    let sources: Vec<Live> = names.iter().map(|name| run.live(name).cloned()).collect::<Result<_, _>>()?;
    let done = attempt(run, what, &names, &sources).await;
    if done.is_err() {
        for source in &sources {
            if let Err(e) = source.engine.thaw(&source.container).await {
                let message = format!("thawing {} after its migration failed: {e}", source.spec.name);
                run.recorder.error(Failure { message, ..Failure::from(e) });
            }
        }
    }
    for (name, source) in names.iter().zip(&sources) {
        run.record(Event::Migration(MigrationRecord {
            step: what.step.to_owned(),
            of: name.clone(),
            into: container_of(what.into, &source.workload),
            from_node: source.node.clone(),
            to_node: what.to.to_owned(),
            source: SourceFate::Fenced,
            triggered,
            answered: done.as_ref().ok().copied(),
            error: done.as_ref().err().map(|e| e.class),
            strategy: None,
            moved: None,
            sent: None,
            pages_arrived: None,
        }));
    }
    done?;
    for name in &names {
        deploy::remove(run, name).await?;
    }
    Ok(())
}

/// Everything up to the first answers; gives when those were there.
async fn attempt(run: &mut CaseRun<'_>, what: &Move<'_>, names: &[String], sources: &[Live]) -> Result<At, Failure> {
    let engine = run.world.engine(run.case.engine, what.to).await?;
    let copies: Vec<String> = sources.iter().map(|s| container_of(what.into, &s.workload)).collect();
    let mut specs = Vec::new();
    for (source, copy) in sources.iter().zip(&copies) {
        specs.push(restore::copy_of(run, &source.spec, &source.workload, what.to, copy, &Given::default())?);
    }
    let from = clock::now();
    let pod = run.container_name(what.into);
    let slots = run.await_pod(&engine, &pod, &specs).await.map_err(restore::for_restore)?;
    run.phase(Phase::Prepare, what.to, from);
    let mut held = match what.freeze {
        PodFreeze::Together => together(run, what, names, sources).await?,
        PodFreeze::Each => each(run, what, names, sources).await?,
    };
    copy_volumes(run, sources, what.to).await?;
    for held in &mut held {
        carry(run, held, what).await?;
    }
    let from = clock::now();
    let restored = into_slots(run, &engine, &slots, &held, what).await?;
    for ((((source, spec), copy), name), container) in sources.iter().zip(specs).zip(&copies).zip(names).zip(restored) {
        let live = live(&source.workload, what.to, &engine, container, spec);
        clients::switch(run, name, copy, &live, from).await?;
        deploy::adopt(run, copy, live, Some(format!("{}-{}", what.step, source.workload)));
    }
    let from = clock::now();
    ready(run, &copies).await?;
    let answered = clock::now();
    run.phase_until(Phase::FirstAnswer, what.to, from, answered);
    for copy in &copies {
        let seen = capture::capture(run, copy, &format!("restored:{copy}"), true).await;
        run.record(Event::Capture(Box::new(seen)));
    }
    run.pods.insert(what.into.to_owned(), copies);
    Ok(answered)
}

/// All frozen at one instant, and none thawed again.
async fn together(
    run: &mut CaseRun<'_>,
    what: &Move<'_>,
    names: &[String],
    sources: &[Live],
) -> Result<Vec<Held>, Failure> {
    let Some(first) = sources.first() else { return Ok(Vec::new()) };
    let containers: Vec<Container> = sources.iter().map(|s| s.container.clone()).collect();
    let from = clock::now();
    run.fenced.extend(sources.iter().cloned());
    first.engine.freeze_pod(&run.container_name(what.pod), &containers).await?;
    run.phase(Phase::Freeze, &first.node, from);
    let mut held = Vec::new();
    for (name, source) in names.iter().zip(sources) {
        held.push(take(run, what, name, source).await?);
    }
    Ok(held)
}

/// Each frozen for its own checkpoint; before the next one the pod goes on. After the last, all stand still.
async fn each(
    run: &mut CaseRun<'_>,
    what: &Move<'_>,
    names: &[String],
    sources: &[Live],
) -> Result<Vec<Held>, Failure> {
    run.fenced.extend(sources.iter().cloned());
    let mut held = Vec::new();
    for (i, (name, source)) in names.iter().zip(sources).enumerate() {
        if i > 0 {
            let first = &names[0];
            let now = capture::counter(run, first, APART_LIMIT).await?;
            capture::await_counter(run, first, now + APART, APART_LIMIT).await?;
        }
        let from = clock::now();
        source.engine.freeze(&source.container).await?;
        run.phase(Phase::Freeze, &source.node, from);
        held.push(take(run, what, name, source).await?);
        if i + 1 < names.len() {
            source.engine.thaw(&source.container).await?;
        }
    }
    for source in sources {
        source.engine.freeze(&source.container).await?;
    }
    Ok(held)
}

async fn take(run: &mut CaseRun<'_>, what: &Move<'_>, name: &str, source: &Live) -> Result<Held, Failure> {
    let as_of = format!("{}-{}", what.step, source.workload);
    let mut held = checkpoint::take(run, name, &as_of, false).await?;
    let known = checkpoint::digest(run, &held).await?;
    checkpoint::record(run, name, &as_of, &held, &known);
    held.known = Some(known);
    run.checkpoints.insert(as_of, held.clone());
    Ok(held)
}

/// What the containers have outside of themselves, once for all of them.
async fn copy_volumes(run: &mut CaseRun<'_>, sources: &[Live], to: &str) -> Result<(), Failure> {
    let case = run.case;
    let volumes: BTreeSet<&String> = sources.iter().flat_map(|s| case.workloads[&s.workload].volumes.keys()).collect();
    let Some(from) = sources.first().map(|s| s.node.clone()) else { return Ok(()) };
    for volume in volumes.into_iter().filter(|name| !case.volumes[*name].shared) {
        run.copy_volume(volume, &from, to).await?;
    }
    Ok(())
}

async fn carry(run: &mut CaseRun<'_>, held: &mut Held, what: &Move<'_>) -> Result<(), Failure> {
    let from = clock::now();
    let mut bytes = 0;
    if held.checkpoint.shared {
        run.world.transfer_begins().await;
        carry::verify_structure(run.world, what.to, &held.checkpoint).await?;
    } else {
        let carried = checkpoint::carry(run, held, what.to, Over::File).await?;
        bytes = carried.bytes;
        held.known = Some(carried);
    }
    run.phase(Phase::Transfer, what.to, from);
    let name = format!("{}-{}", what.step, held.workload);
    checkpoint::record_transfer(run, &name, held, what.to, Over::File, bytes, from);
    run.checkpoints.insert(name, held.clone());
    Ok(())
}

/// Restores all, or none.
async fn into_slots(
    run: &mut CaseRun<'_>,
    engine: &Arc<dyn Engine>,
    slots: &[Slot],
    held: &[Held],
    what: &Move<'_>,
) -> Result<Vec<Container>, Failure> {
    let mut restored: Vec<Container> = Vec::new();
    for (slot, held) in slots.iter().zip(held) {
        match restore::into_slot(run, engine, slot, held, what.to, restore::How::Verified).await {
            Ok(done) => restored.push(done.container),
            Err(e) => {
                for container in &restored {
                    // The first error is the one to tell; what stays is found among what is left.
                    let _ = engine.remove(container).await;
                }
                return Err(e);
            }
        }
    }
    Ok(restored)
}
