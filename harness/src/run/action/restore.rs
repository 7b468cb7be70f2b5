use super::deploy;
use crate::clock;
use crate::engine::{ContainerSpec, Engine, Restored, Slot};
use crate::record::{ErrorClass, Failure, Phase};
use crate::run::carry;
use crate::run::case::{CaseRun, Held, Live};
use crate::scenario::plan::Given;
use std::sync::Arc;
use std::time::Duration;

/// How much is looked at before and while a checkpoint is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Its structure and digest first, and a watchdog on the restore.
    Verified,
    /// The watchdog alone.
    Unseen,
    /// Neither: as a naive client does it, which gives up after this time.
    Bare(Duration),
}

/// When a naive client gives up, if the scenario does not say: before the step's own time is up.
pub(super) const BARE: Duration = Duration::from_secs(20);

/// Restores a checkpoint under a name of its own and waits until it answers.
pub(super) async fn restore(
    run: &mut CaseRun<'_>,
    checkpoint: &str,
    node: &str,
    instance: &str,
    how: How,
    given: &Given,
) -> Result<(), Failure> {
    let held = run.held(checkpoint)?.clone();
    if how == How::Verified {
        carry::verify(run.world, &held, node).await?;
    }
    let engine = run.world.engine(run.case.engine, node).await?;
    let spec = copy_of(run, &held.spec, &held.workload, node, instance, given)?;
    let from = clock::now();
    let slot = run.await_slot(&engine, &spec).await.map_err(for_restore)?;
    run.phase(Phase::Prepare, node, from);
    let restored = into_slot(run, &engine, &slot, &held, node, how).await?;
    let live = Live {
        workload: held.workload.clone(),
        node: node.to_owned(),
        engine,
        container: restored.container,
        spec,
        ended: false,
        removed: false,
    };
    deploy::adopt(run, instance, live.clone(), Some(checkpoint.to_owned()));
    let prepared = run.world.workload(&run.case.workloads[&live.workload]).await?;
    deploy::await_ready(run, &prepared, &live).await?;
    run.phase(Phase::FirstAnswer, node, restored.restore_to);
    Ok(())
}

/// What is an image that cannot be had to a fresh container is the base image to one that is restored.
pub(super) fn for_restore(e: Failure) -> Failure {
    match e.class {
        ErrorClass::InvalidImage => Failure { class: ErrorClass::BaseImageMissing, ..e },
        _ => e,
    }
}

/// What the container of a copy is made of: as its source's, but for its name, its node, and what it is given.
pub(super) fn copy_of(
    run: &mut CaseRun<'_>,
    source: &ContainerSpec,
    workload: &str,
    node: &str,
    instance: &str,
    given: &Given,
) -> Result<ContainerSpec, Failure> {
    Ok(ContainerSpec {
        name: run.container_name(instance),
        memory_limit: given.memory.or(source.memory_limit),
        mounts: run.mounts(workload, node, given)?,
        ..source.clone()
    })
}

/// The engine's calls alone, timed; a slot whose restore failed is given back.
pub(super) async fn into_slot(
    run: &mut CaseRun<'_>,
    engine: &Arc<dyn Engine>,
    slot: &Slot,
    held: &Held,
    node: &str,
    how: How,
) -> Result<Restored, Failure> {
    let done = match how {
        How::Bare(deadline) => engine.restore_bare(slot, held.at(node), deadline).await.map_err(Failure::from),
        How::Verified | How::Unseen => run.await_restore(engine, slot, held, node).await,
    };
    match done {
        Ok(restored) => {
            if let Some(from) = restored.create_from {
                run.phase_until(Phase::Create, node, from, restored.restore_from);
            }
            run.phase_until(Phase::Restore, node, restored.restore_from, restored.restore_to);
            Ok(restored)
        }
        Err(e) => {
            run.discard(engine, slot).await;
            Err(e)
        }
    }
}
