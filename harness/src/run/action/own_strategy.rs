//! Migrations by a strategy that is the engine's own.

use super::checkpoint;
use super::migrate::{Seen, arrive};
use crate::clock;
use crate::engine::{Engine, Migration, Moved, Slot, Timed};
use crate::record::{Event, Failure, Phase, SourceFate, Strategy, TransferRecord};
use crate::run::case::{CaseRun, Held, Live};
use crate::scenario::plan::Migrate;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Lets the engine move it, switches the clients as soon as the copy runs, and waits then for what comes behind.
pub(super) async fn attempt(
    run: &mut CaseRun<'_>,
    step: &str,
    (what, strategy): (&Migrate, Strategy),
    source: &Live,
    (engine, slot): (&Arc<dyn Engine>, &Slot),
    seen: &mut Seen,
) -> Result<(), Failure> {
    let migration = Migration {
        strategy,
        name: format!("{}-{step}", run.tag),
        container: source.container.clone(),
        target: Arc::clone(engine),
        slot: slot.clone(),
        timed: Timed::default(),
    };
    if what.source == SourceFate::Fenced {
        run.fenced.push(source.clone());
    }
    if strategy == Strategy::Stream {
        // It is on its way from here on.
        run.world.transfer_begins().await;
    }
    let from = clock::now();
    let moved = run.await_migration(source, &migration).await;
    for timed in migration.timed.take() {
        run.phase_until(timed.phase, &timed.node, timed.from, timed.to);
    }
    let moved = match moved {
        Ok(moved) => moved,
        Err(e) => {
            run.discard(engine, slot).await;
            return Err(e);
        }
    };
    let Moved { restored, moved, images, pages } = moved;
    seen.moved = Some(moved);
    run.record(Event::Transfer(TransferRecord {
        checkpoint: step.to_owned(),
        from_node: source.node.clone(),
        to_node: what.to.clone(),
        via: strategy.name().to_owned(),
        bytes: moved,
        from,
        to: restored.restore_from,
    }));
    let held = images.map(|images| held(run, step, what, source, images));
    run.phase_until(Phase::Restore, &what.to, restored.restore_from, restored.restore_to);
    let restore_to = restored.restore_to;
    let arrived = arrive(run, step, what, source, restored, seen).await;
    // Waited for also when it never answered: that its memory did not come may be why.
    let pages = match pages {
        Some(pages) => run.await_pages(&what.to, &migration.name, pages).await.map(Some),
        None => Ok(None),
    };
    if let Ok(Some(pages)) = &pages {
        seen.moved = Some(moved + pages.moved);
        seen.pages_arrived = Some(pages.at);
        run.phase_until(Phase::Pages, &what.to, restore_to, pages.at);
    }
    // What the engine says of the pages is the cause, where both failed.
    pages.map(drop).and(arrived)?;
    match held {
        Some(held) => {
            let known = checkpoint::digest(run, &held).await?;
            checkpoint::record_at(run, &what.instance, step, &held, (&known, &source.node));
            run.checkpoints.insert(step.to_owned(), Held { known: Some(known), ..held });
            Ok(())
        }
        None => Ok(()),
    }
}

/// Images that are removed with the case from now on.
fn held(run: &mut CaseRun<'_>, step: &str, what: &Migrate, source: &Live, images: crate::engine::Checkpoint) -> Held {
    let held = Held {
        checkpoint: images,
        nodes: vec![what.to.clone()],
        elsewhere: BTreeMap::new(),
        workload: source.workload.clone(),
        spec: source.spec.clone(),
        known: None,
        reference: None,
    };
    run.checkpoints.insert(step.to_owned(), held.clone());
    held
}
