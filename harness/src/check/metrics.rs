use super::answers::{ops_to, outage};
use super::connection;
use crate::record::{
    At, CheckpointRecord, Evidence, History, MEASUREMENT_ERROR, Metric, MigrationRecord, OpOutcome, PAGES_WRITTEN,
    Phase, WORST_LATENCY,
};
use std::collections::BTreeMap;

/// The figures that follow from the evidence of one repetition, by [`Metric::name`] and in its unit, with
/// [`WORST_LATENCY`] and [`MEASUREMENT_ERROR`]. Of several migrations, checkpoints or restores, the worst. What the
/// evidence does not tell is left out: a budget on it fails.
pub fn metrics(evidence: &Evidence) -> BTreeMap<String, f64> {
    let migrations = || evidence.migrations.iter();
    let figures = [
        (Metric::Downtime.name(), worst(migrations().map(|m| downtime(evidence, m)))),
        (Metric::Stall.name(), stall(evidence)),
        (Metric::Freeze.name(), worst(evidence.checkpoints.iter().map(|c| freeze(evidence, c)))),
        (Metric::Checkpoint.name(), worst(evidence.checkpoints.iter().map(|c| Some(ms(c.from, c.to))))),
        (Metric::Transfer.name(), worst(evidence.transfers.iter().map(|t| Some(ms(t.from, t.to))))),
        (Metric::Restore.name(), restore(evidence)),
        (Metric::Total.name(), worst(migrations().map(|m| Some(ms(m.triggered, m.answered?))))),
        (Metric::CheckpointSize.name(), worst(evidence.checkpoints.iter().map(|c| Some(c.bytes as f64)))),
        (Metric::BytesMoved.name(), worst(migrations().map(|m| Some(m.moved? as f64)))),
        (Metric::BytesSent.name(), worst(migrations().map(|m| Some(m.sent? as f64)))),
        (Metric::Pages.name(), worst(coming(evidence).map(|(from, to)| Some(ms(from, to))))),
        (Metric::PagesLatency.name(), worst(coming(evidence).map(|span| latency_within(evidence, span)))),
        (PAGES_WRITTEN, pages_written(evidence)),
        (WORST_LATENCY, worst(asking(evidence).map(worst_latency))),
        (MEASUREMENT_ERROR, worst(asking(evidence).map(|h| Some(h.worst_lateness_ns as f64 / 1e6)))),
    ];
    figures.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Of all checkpoints together, if CRIU left its count of each.
fn pages_written(evidence: &Evidence) -> Option<f64> {
    let counts: Option<Vec<u64>> = evidence.checkpoints.iter().map(|c| c.criu_pages_written).collect();
    counts.filter(|counts| !counts.is_empty()).map(|counts| counts.iter().sum::<u64>() as f64)
}

/// The greatest, if all are known: one that is not known could be the greatest.
fn worst(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.collect::<Option<_>>()?;
    values.into_iter().reduce(f64::max)
}

fn ms(from: At, to: At) -> f64 {
    to.since(from).as_secs_f64() * 1e3
}

/// Clients that ask on a schedule. A log follower waits for what comes; its gaps are the workload's own pauses.
fn asking(evidence: &Evidence) -> impl Iterator<Item = &History> {
    evidence.histories.values().filter(|h| h.interval_ns > 0)
}

/// The worst outage around a migration, of the clients that talked to the source or the copy.
fn downtime(evidence: &Evidence, migration: &MigrationRecord) -> Option<f64> {
    let window = (migration.triggered, migration.answered?);
    let concerned = |h: &&History| {
        [&migration.of, &migration.into].iter().any(|i| ops_to(h, i).any(|op| op.outcome == OpOutcome::Ok))
    };
    let seen = asking(evidence).filter(concerned).map(|h| Some(outage(h, window)?.as_secs_f64() * 1e3));
    worst(seen)
}

/// The longest that a connection which outlived a migration waited for an answer around it: from its trigger to that of
/// the next.
fn stall(evidence: &Evidence) -> Option<f64> {
    let mut longest: Option<f64> = None;
    for (i, migration) in evidence.migrations.iter().enumerate() {
        let next = evidence.migrations.get(i + 1).map_or(At(u64::MAX), |m| m.triggered);
        let Some(answered) = migration.answered else { continue };
        for history in asking(evidence) {
            let Some(on) = connection::at(history, migration.triggered) else { continue };
            if on.ended.is_some_and(|(end, _)| end <= answered) {
                continue;
            }
            let seen = connection::stall(history, on, migration.triggered, next).map(|d| d.as_secs_f64() * 1e3);
            longest = seen.into_iter().chain(longest).reduce(f64::max);
        }
    }
    longest
}

/// How long the source's tasks stood still for this checkpoint. When podferry froze them first: from that call until
/// the checkpoint was done (CRIU's own figure covers only its part). Else CRIU's figure.
fn freeze(evidence: &Evidence, checkpoint: &CheckpointRecord) -> Option<f64> {
    match frozen_before(evidence, checkpoint) {
        Some((from, _)) => Some(ms(from, checkpoint.to)),
        None => checkpoint.criu_frozen_us.map(|us| us as f64 / 1e3),
    }
}

/// When the call that froze the source ahead of this checkpoint began, and when the tasks were frozen.
pub(super) fn frozen_before(evidence: &Evidence, checkpoint: &CheckpointRecord) -> Option<(At, At)> {
    let here = || evidence.phases.iter().filter(|p| p.node == checkpoint.node);
    let step =
        here().find(|p| p.phase == Phase::Checkpoint && p.from <= checkpoint.to && p.to >= checkpoint.from)?.step;
    let froze = here().filter(|p| p.phase == Phase::Freeze && p.step == step && p.from <= checkpoint.from);
    froze.map(|p| (p.from, p.to)).next_back()
}

/// The engine's calls of a restore, together (CRI has two).
fn restore(evidence: &Evidence) -> Option<f64> {
    let mut steps: BTreeMap<usize, f64> = BTreeMap::new();
    for p in evidence.phases.iter().filter(|p| matches!(p.phase, Phase::Create | Phase::Restore)) {
        *steps.entry(p.step).or_default() += ms(p.from, p.to);
    }
    steps.into_values().reduce(f64::max)
}

/// From the first answer until all memory was there, of each copy that got its memory after its restore.
fn coming(evidence: &Evidence) -> impl Iterator<Item = (At, At)> {
    evidence.migrations.iter().filter_map(|m| Some((m.answered?, m.pages_arrived?)))
}

/// The worst latency of what was due in a span.
fn latency_within(evidence: &Evidence, (from, to): (At, At)) -> Option<f64> {
    let ops = asking(evidence).flat_map(|h| &h.ops).filter(|op| op.outcome == OpOutcome::Ok);
    ops.filter(|op| op.intended >= from && op.intended <= to).map(|op| ms(op.intended, op.done)).reduce(f64::max)
}

fn worst_latency(history: &History) -> Option<f64> {
    let answered = history.ops.iter().filter(|op| op.outcome == OpOutcome::Ok);
    answered.map(|op| ms(op.intended, op.done)).reduce(f64::max)
}

#[cfg(test)]
mod tests;
