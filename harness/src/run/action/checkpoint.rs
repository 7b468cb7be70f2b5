use crate::archive;
use crate::clock;
use crate::engine::{Checkpoint, Stored};
use crate::record::{CheckpointRecord, Event, Failure, Phase, SourceFate, TransferRecord, Trick};
use crate::run::carry::{self, Carried};
use crate::run::case::{CaseRun, Held, Live};
use crate::run::link;
use crate::scenario::plan::{Damage, Medium, Over};
use std::collections::BTreeMap;

/// Takes a checkpoint; see [`SourceFate`] for what becomes of the source.
pub(super) async fn checkpoint(
    run: &mut CaseRun<'_>,
    instance: &str,
    name: &str,
    source: SourceFate,
    medium: Medium,
) -> Result<(), Failure> {
    let live = run.ever(instance)?.clone();
    let last = match source {
        SourceFate::Running => false,
        SourceFate::Stopped | SourceFate::Fenced => fence(run, &live).await?,
    };
    let taken = take(run, instance, name, last).await;
    if taken.is_err() && source != SourceFate::Running && !last {
        live.engine.thaw(&live.container).await?;
    }
    let held = taken?;
    let mut held = held;
    let known = digest(run, &held).await?;
    record(run, instance, name, &held, &known);
    held.known = Some(known);
    if medium == Medium::Image {
        held.reference = Some(carry::publish(run.world, &held).await?);
    }
    run.checkpoints.insert(name.to_owned(), held);
    if source != SourceFate::Running {
        super::deploy::remove(run, instance).await?;
    }
    Ok(())
}

/// Sees to it that an instance never goes on after its checkpoint: by freezing it first, or, if it is to be shown what that
/// is worth, by a checkpoint that ends it; then gives true.
pub(super) async fn fence(run: &mut CaseRun<'_>, live: &Live) -> Result<bool, Failure> {
    if !live.spec.does(Trick::PauseFirst) {
        return Ok(true);
    }
    let from = clock::now();
    run.fenced.push(live.clone());
    live.engine.freeze(&live.container).await?;
    run.phase(Phase::Freeze, &live.node, from);
    Ok(false)
}

/// The engine's call alone, timed. `last`: the instance ends with it.
pub(super) async fn take(run: &mut CaseRun<'_>, instance: &str, name: &str, last: bool) -> Result<Held, Failure> {
    let live = run.ever(instance)?.clone();
    let from = clock::now();
    let checkpoint = run.await_checkpoint(&live, format!("{}-{name}", run.tag), last).await?;
    run.phase(Phase::Checkpoint, &live.node, from);
    Ok(held_of(&live, checkpoint))
}

/// A checkpoint that was just taken of an instance.
pub(super) fn held_of(live: &Live, checkpoint: Checkpoint) -> Held {
    Held {
        checkpoint,
        nodes: vec![live.node.clone()],
        elsewhere: BTreeMap::new(),
        workload: live.workload.clone(),
        spec: live.spec.clone(),
        known: None,
        reference: None,
    }
}

/// Size and digest: known, or found out now.
pub(super) async fn digest(run: &CaseRun<'_>, held: &Held) -> Result<Carried, Failure> {
    if let Some(known) = &held.known {
        return Ok(known.clone());
    }
    let from = clock::now();
    let node = &held.nodes[0];
    let digested = carry::digest(run.world, node, &held.checkpoint).await?;
    run.phase(Phase::Digest, node, from);
    Ok(digested)
}

/// Records a checkpoint, with what CRIU says of it.
pub(super) fn record(run: &CaseRun<'_>, instance: &str, name: &str, held: &Held, known: &Carried) {
    record_at(run, instance, name, held, (known, &held.nodes[0]));
}

/// [`record`] of one that was taken on a node, and may lie on another.
pub(super) fn record_at(run: &CaseRun<'_>, instance: &str, name: &str, held: &Held, (known, node): (&Carried, &str)) {
    let path = run.world.host_path(&held.nodes[0], &held.checkpoint.path);
    let stats = path.as_ref().and_then(|p| archive::stats(p).ok().flatten());
    let call = run.last_phase(Phase::Checkpoint);
    run.record(Event::Checkpoint(CheckpointRecord {
        name: name.to_owned(),
        of: instance.to_owned(),
        node: node.to_owned(),
        engine: held.checkpoint.engine,
        from: call.as_ref().map_or_else(clock::now, |c| c.from),
        to: call.as_ref().map_or_else(clock::now, |c| c.to),
        bytes: known.bytes,
        digest: known.digest.clone(),
        criu_frozen_us: stats.as_ref().map(|s| u64::from(s.frozen_us)),
        criu_pages_written: stats.as_ref().map(|s| s.pages_written),
        trailing_bytes: path.as_ref().and_then(|p| archive::trailing(p).ok().flatten()),
        parts: path.and_then(|p| archive::makeup(&p).ok()).unwrap_or_default(),
    }));
}

/// Carries a checkpoint to another node and verifies that it arrived whole.
pub(super) async fn transfer(run: &mut CaseRun<'_>, name: &str, to: &str, over: Over) -> Result<(), Failure> {
    let mut held = run.held(name)?.clone();
    let from = clock::now();
    let moved = carry(run, &mut held, to, over).await?;
    run.phase(Phase::Transfer, to, from);
    record_transfer(run, name, &held, to, over, moved.bytes, from);
    run.checkpoints.insert(name.to_owned(), held);
    Ok(())
}

/// Carries it one way or the other, and notes where it is then.
pub(super) async fn carry(run: &CaseRun<'_>, held: &mut Held, to: &str, over: Over) -> Result<Carried, Failure> {
    run.world.transfer_begins().await;
    let carried = match over {
        Over::File => carry::carry(run.world, held, to).await?,
        Over::Link => {
            let engine = run.world.engine(run.case.engine, to).await?;
            link::carry(run.world, held, to, &engine.folder(Stored::Archives)).await?
        }
    };
    held.nodes.push(to.to_owned());
    Ok(carried)
}

/// Records how a checkpoint was carried.
pub(super) fn record_transfer(
    run: &CaseRun<'_>,
    name: &str,
    held: &Held,
    to: &str,
    over: Over,
    bytes: u64,
    from: crate::record::At,
) {
    let via = match (&held.reference, held.checkpoint.shared) {
        (Some(_), _) => "registry",
        (None, _) if over == Over::Link => "link",
        (None, true) => "shared",
        (None, false) => "file",
    };
    run.record(Event::Transfer(TransferRecord {
        checkpoint: name.to_owned(),
        from_node: held.nodes[0].clone(),
        to_node: to.to_owned(),
        via: via.to_owned(),
        bytes,
        from,
        to: clock::now(),
    }));
}

/// Makes a damaged copy, on the first node that has the checkpoint; its digest stays that of the unharmed one.
pub(super) async fn tamper(run: &mut CaseRun<'_>, name: &str, copy: &str, damage: &Damage) -> Result<(), Failure> {
    let held = run.held(name)?.clone();
    let file = format!("{}-{copy}", run.tag);
    let path =
        held.checkpoint.path.with_file_name(if held.checkpoint.archive { format!("{file}.tar") } else { file.clone() });
    let bad = Held {
        checkpoint: Checkpoint { name: file, path, ..held.checkpoint.clone() },
        nodes: vec![held.nodes[0].clone()],
        reference: None,
        ..held.clone()
    };
    carry::tamper(run.world, &held, &bad, damage).await?;
    let now = carry::digest(run.world, &bad.nodes[0], &bad.checkpoint).await?;
    record_copy(run, name, copy, now);
    run.checkpoints.insert(copy.to_owned(), bad);
    Ok(())
}

/// A damaged copy was taken when its original was: a check of what is restored from it must know when that is.
fn record_copy(run: &CaseRun<'_>, name: &str, copy: &str, now: Carried) {
    let evidence = run.recorder.evidence(&run.case.id);
    if let Some(original) = evidence.checkpoints.into_iter().rev().find(|c| c.name == name) {
        let Carried { bytes, digest } = now;
        run.record(Event::Checkpoint(CheckpointRecord { name: copy.to_owned(), bytes, digest, ..original }));
    }
}
