use super::{address, checkpoint, clients, deploy, own_strategy, restore, sent};
use crate::clock;
use crate::engine::{Engine, Restored};
use crate::record::{At, ErrorClass, Event, Failure, MigrationRecord, Phase, SourceFate};
use crate::run::carry;
use crate::run::case::{CaseRun, Held, Live};
use crate::scenario::plan::{Medium, Migrate, Over};
use std::sync::Arc;
use std::time::Duration;

/// How long the restored workload may take to give its first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(30);

/// What is known of a migration so far, also of one that fails later.
#[derive(Default)]
pub(super) struct Seen {
    /// When the copy first answered.
    pub(super) answered: Option<At>,
    /// Bytes of state that went from node to node.
    pub(super) moved: Option<u64>,
    /// When memory that came after the restore was there.
    pub(super) pages_arrived: Option<At>,
}

/// Moves an instance to another node, its clients with it.
///
/// The order is what keeps writes: what the target needs is made first (it is no downtime), a fenced source is frozen
/// before the dump and never thawed again, clients are switched when the restore has returned, and the source goes
/// last. If anything fails before the switch, the source is thawed and goes on; one whose copy was lost afterwards stands
/// still, and is removed with the case.
pub(super) async fn migrate(run: &mut CaseRun<'_>, step: &str, what: &Migrate) -> Result<(), Failure> {
    let triggered = clock::now();
    let source = run.live(&what.instance)?.clone();
    let sent_before = sent::by(source.engine.node());
    let mut seen = Seen::default();
    let done = Box::pin(attempt(run, step, what, &source, &mut seen)).await;
    let sent_after = sent::by(source.engine.node());
    if done.is_err() {
        run.move_back().await;
    }
    // Where a copy has answered and is lost, its source would deny what the copy acknowledged: it stays frozen.
    let lost = done.as_ref().is_err_and(|e| e.class == ErrorClass::PagesLost);
    if done.is_err()
        && !lost
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
        step: step.to_owned(),
        of: what.instance.clone(),
        into: what.into.clone(),
        from_node: source.node.clone(),
        to_node: what.to.clone(),
        source: what.source,
        triggered,
        answered: seen.answered,
        error: done.as_ref().err().map(|e| e.class),
        strategy: what.strategy,
        moved: seen.moved,
        sent: sent_before.zip(sent_after).map(|(before, after)| after.saturating_sub(before)),
        pages_arrived: seen.pages_arrived,
    }));
    done?;
    if what.source != SourceFate::Running {
        deploy::remove(run, &what.instance).await?;
    }
    Ok(())
}

/// Everything up to the first answer, and what the strategy has still to do then.
async fn attempt(
    run: &mut CaseRun<'_>,
    step: &str,
    what: &Migrate,
    source: &Live,
    seen: &mut Seen,
) -> Result<(), Failure> {
    let engine = run.world.engine(run.case.engine, &what.to).await?;
    let spec = restore::copy_of(run, &source.spec, &source.workload, &what.to, &what.into, &what.given)?;
    let from = clock::now();
    let of = (what.instance.as_str(), source);
    let slot = address::slot(run, what.address, of, &what.into, &engine, &spec).await;
    let slot = slot.map_err(super::restore::for_restore)?;
    run.phase(Phase::Prepare, &what.to, from);
    if let Some(strategy) = what.of_engine() {
        return Box::pin(own_strategy::attempt(run, step, (what, strategy), source, (&engine, &slot), seen)).await;
    }
    let moved = Box::pin(carry_over(run, step, what, source, &engine, seen)).await;
    let held = match moved {
        Ok(held) => held,
        Err(e) => {
            run.discard(&engine, &slot).await;
            return Err(e);
        }
    };
    let restored = Box::pin(restore::into_slot(run, &engine, &slot, &held, &what.to, restore::How::Verified)).await;
    let restored = match restored {
        Ok(restored) => restored,
        Err(e) => {
            // What could not be restored is told of too; the first error is the one to tell.
            let _ = Box::pin(account(run, step, what, held)).await;
            return Err(e);
        }
    };
    Box::pin(arrive(run, step, what, source, restored, seen)).await?;
    Box::pin(account(run, step, what, held)).await
}

/// The copy runs: its clients are switched to it, and its first answer is waited for.
pub(super) async fn arrive(
    run: &mut CaseRun<'_>,
    step: &str,
    what: &Migrate,
    source: &Live,
    restored: Restored,
    seen: &mut Seen,
) -> Result<(), Failure> {
    let live = Live {
        workload: source.workload.clone(),
        node: what.to.clone(),
        engine: run.world.engine(run.case.engine, &what.to).await?,
        spec: restored.container.slot.spec.clone(),
        container: restored.container,
        ended: false,
        removed: false,
    };
    address::arrive(run).await?;
    clients::switch(run, &what.instance, &what.into, &live, restored.restore_from).await?;
    deploy::adopt(run, &what.into, live.clone(), Some(step.to_owned()));
    let answered = first_answer(run, what, &live).await?;
    seen.answered = Some(answered);
    run.phase_until(Phase::FirstAnswer, &what.to, restored.restore_to, answered);
    Ok(())
}

/// Freezes (if fenced), checkpoints, carries and verifies.
async fn carry_over(
    run: &mut CaseRun<'_>,
    step: &str,
    what: &Migrate,
    source: &Live,
    engine: &Arc<dyn Engine>,
    seen: &mut Seen,
) -> Result<Held, Failure> {
    let last = what.source == SourceFate::Fenced && checkpoint::fence(run, source).await?;
    address::leave(run).await?;
    let mut held = checkpoint::take(run, &what.instance, step, last).await?;
    run.checkpoints.insert(step.to_owned(), held.clone());
    let from = clock::now();
    let mut bytes = 0;
    if what.medium == Medium::Image {
        held.reference = Some(carry::publish(run.world, &held).await?);
    } else if held.checkpoint.shared && what.over == Over::File {
        // Written where it is read: there is no way on which it could have been harmed, so its structure is looked at
        // (a cut pages image would make the restore spin for ever) and its digest is taken after the restore.
        run.world.transfer_begins().await;
        carry::verify_structure(run.world, &what.to, &held.checkpoint).await?;
    } else {
        let carried = checkpoint::carry(run, &mut held, engine.node().name(), what.over).await?;
        bytes = carried.bytes;
        held.known = Some(carried);
    }
    run.phase(Phase::Transfer, &what.to, from);
    checkpoint::record_transfer(run, step, &held, &what.to, what.over, bytes, from);
    seen.moved = Some(bytes);
    run.checkpoints.insert(step.to_owned(), held.clone());
    Ok(held)
}

/// Waits for the first answer of the copy: a client's if one follows it, else the workload's own readiness.
async fn first_answer(run: &mut CaseRun<'_>, what: &Migrate, live: &Live) -> Result<At, Failure> {
    if let Some(at) = clients::first_answer(run, &what.into, FIRST_ANSWER).await? {
        return Ok(at);
    }
    let prepared = run.world.workload(&run.case.workloads[&live.workload]).await?;
    deploy::await_ready(run, &prepared, live).await?;
    Ok(clock::now())
}

/// Records the checkpoint. Its digest, where it was not needed before, is taken now: it is no downtime.
async fn account(run: &mut CaseRun<'_>, step: &str, what: &Migrate, held: Held) -> Result<(), Failure> {
    let known = checkpoint::digest(run, &held).await?;
    checkpoint::record(run, &what.instance, step, &held, &known);
    run.checkpoints.insert(step.to_owned(), Held { known: Some(known), ..held });
    Ok(())
}
