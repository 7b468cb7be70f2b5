use super::{address, checkpoint, clients, deploy, restore};
use crate::clock;
use crate::engine::Engine;
use crate::record::{At, ErrorClass, Event, Failure, MigrationRecord, Phase, SourceFate};
use crate::run::carry;
use crate::run::case::{CaseRun, Held, Live};
use crate::scenario::plan::{Address, Given, Medium, Over};
use std::sync::Arc;
use std::time::Duration;

/// How long the restored workload may take to give its first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(30);

/// What is to move where.
pub(super) struct Move<'a> {
    pub(super) step: &'a str,
    pub(super) instance: &'a str,
    pub(super) to: &'a str,
    pub(super) into: &'a str,
    pub(super) source: SourceFate,
    pub(super) medium: Medium,
    pub(super) given: &'a Given,
    pub(super) over: Over,
    pub(super) address: Address,
}

/// Moves an instance to another node, its clients with it.
///
/// The order is what keeps writes: what the target needs is made first (it is no downtime), a fenced source is frozen
/// before the dump and never thawed again, clients are switched when the restore has returned, and the source goes
/// last. If anything fails before the switch, the source is thawed and goes on.
pub(super) async fn migrate(run: &mut CaseRun<'_>, what: &Move<'_>) -> Result<(), Failure> {
    let triggered = clock::now();
    let source = run.live(what.instance)?.clone();
    let done = attempt(run, what, &source).await;
    if done.is_err() {
        run.move_back().await;
    }
    if done.is_err()
        && what.source == SourceFate::Fenced
        && let Err(e) = source.engine.thaw(&source.container).await
        // One that has ended meanwhile has nothing to thaw, and that is what the migration's own error is about.
        && !matches!(e.class, ErrorClass::NotRunning | ErrorClass::UnknownContainer)
    {
        run.recorder.error(Failure {
            message: format!("thawing {} after its migration failed: {e}", what.instance),
            ..Failure::from(e)
        });
    }
    run.record(Event::Migration(MigrationRecord {
        step: what.step.to_owned(),
        of: what.instance.to_owned(),
        into: what.into.to_owned(),
        from_node: source.node.clone(),
        to_node: what.to.to_owned(),
        source: what.source,
        triggered,
        answered: done.as_ref().ok().copied(),
        error: done.as_ref().err().map(|e| e.class),
    }));
    done?;
    if what.source != SourceFate::Running {
        deploy::remove(run, what.instance).await?;
    }
    Ok(())
}

/// Everything up to the first answer; gives when that came.
async fn attempt(run: &mut CaseRun<'_>, what: &Move<'_>, source: &Live) -> Result<At, Failure> {
    let engine = run.world.engine(run.case.engine, what.to).await?;
    let spec = restore::copy_of(run, &source.spec, &source.workload, what.to, what.into, what.given)?;
    let from = clock::now();
    let of = (what.instance, source);
    let slot = address::slot(run, what.address, of, what.into, &engine, &spec).await;
    let slot = slot.map_err(super::restore::for_restore)?;
    run.phase(Phase::Prepare, what.to, from);
    let moved = carry_over(run, what, source, &engine).await;
    let held = match moved {
        Ok(held) => held,
        Err(e) => {
            run.discard(&engine, &slot).await;
            return Err(e);
        }
    };
    let restored = restore::into_slot(run, &engine, &slot, &held, what.to, restore::How::Verified).await?;
    let live = Live {
        workload: source.workload.clone(),
        node: what.to.to_owned(),
        engine,
        container: restored.container,
        spec,
        ended: false,
        removed: false,
    };
    address::arrive(run).await?;
    clients::switch(run, what.instance, what.into, &live, restored.restore_from).await?;
    deploy::adopt(run, what.into, live.clone(), Some(what.step.to_owned()));
    let answered = first_answer(run, what, &live).await?;
    run.phase_until(Phase::FirstAnswer, what.to, restored.restore_to, answered);
    account(run, what, held).await?;
    Ok(answered)
}

/// Freezes (if fenced), checkpoints, carries and verifies.
async fn carry_over(
    run: &mut CaseRun<'_>,
    what: &Move<'_>,
    source: &Live,
    engine: &Arc<dyn Engine>,
) -> Result<Held, Failure> {
    if what.source == SourceFate::Fenced {
        let from = clock::now();
        run.fenced.push(source.clone());
        source.engine.freeze(&source.container).await?;
        run.phase(Phase::Freeze, &source.node, from);
    }
    address::leave(run).await?;
    let mut held = checkpoint::take(run, what.instance, what.step).await?;
    run.checkpoints.insert(what.step.to_owned(), held.clone());
    let from = clock::now();
    let mut bytes = 0;
    if what.medium == Medium::Image {
        held.reference = Some(carry::publish(run.world, &held).await?);
    } else if held.checkpoint.shared && what.over == Over::File {
        // Written where it is read: there is no way on which it could have been harmed, so its structure is looked at
        // (a cut pages image would make the restore spin for ever) and its digest is taken after the restore.
        run.world.transfer_begins().await;
        carry::verify_structure(run.world, what.to, &held.checkpoint).await?;
    } else {
        let carried = checkpoint::carry(run, &mut held, engine.node().name(), what.over).await?;
        bytes = carried.bytes;
        held.known = Some(carried);
    }
    run.phase(Phase::Transfer, what.to, from);
    checkpoint::record_transfer(run, what.step, &held, what.to, what.over, bytes, from);
    run.checkpoints.insert(what.step.to_owned(), held.clone());
    Ok(held)
}

/// Waits for the first answer of the copy: a client's if one follows it, else the workload's own readiness.
async fn first_answer(run: &mut CaseRun<'_>, what: &Move<'_>, live: &Live) -> Result<At, Failure> {
    if let Some(at) = clients::first_answer(run, what.into, FIRST_ANSWER).await? {
        return Ok(at);
    }
    let prepared = run.world.workload(&run.case.workloads[&live.workload]).await?;
    deploy::await_ready(run, &prepared, live).await?;
    Ok(clock::now())
}

/// Records the checkpoint. Its digest, where it was not needed before, is taken now: it is no downtime.
async fn account(run: &mut CaseRun<'_>, what: &Move<'_>, held: Held) -> Result<(), Failure> {
    let known = checkpoint::digest(run, &held).await?;
    checkpoint::record(run, what.instance, what.step, &held, &known);
    run.checkpoints.insert(what.step.to_owned(), Held { known: Some(known), ..held });
    Ok(())
}
