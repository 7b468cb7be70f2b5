use super::answers::ops_to;
use super::metrics::frozen_before;
use super::{Judged, Red, capture, count, instance_record, red};
use crate::record::{At, Capture, CheckpointRecord, CounterCheck, Evidence, InstanceRecord, OpOutcome, Phase};
use std::time::Duration;

pub(super) fn judge(check: &CounterCheck, evidence: &Evidence) -> Judged {
    let before = capture(evidence, &check.resumes_from)?;
    let inside = before.inside.as_ref();
    let Some(base) = inside.and_then(|i| i.counter) else {
        return Err(red(
            format!("capture `{}` has no counter", before.name),
            "the source's counter before the checkpoint",
        ));
    };
    let of = instance_record(evidence, &check.of)?;
    let checkpoint = restored_from(of, evidence)?;
    let values = Values::of(&of.name, evidence)?;
    let pace = inside.and_then(|i| i.counter_interval_ms).filter(|ms| *ms > 0.0);
    let ahead = steps(pace, stood_still(evidence, checkpoint).since(before.at));
    let at_dump = base.saturating_add(ahead);
    let (first_at, first) = values.first;
    if first < base {
        return Err(red(
            format!(
                "`{}` began at {first}, below the {base} of `{}`: state went back, or it started cold",
                of.name, before.name
            ),
            format!("a first value of at least {base}"),
        ));
    }
    let run_since = steps(pace, first_at.since(went_on(evidence, of)));
    let most = at_dump.saturating_add(run_since).saturating_add(check.tolerance);
    if first > most {
        return Err(red(
            format!("`{}` began at {first}, {} above the {base} of `{}`", of.name, first - base, before.name),
            format!("at most {most}, which time and a tolerance of {} explain", check.tolerance),
        ));
    }
    // One value that the source can't have reached by its checkpoint shows it, too.
    let grew = values.last > first || (pace.is_some() && values.last > at_dump);
    if !grew {
        return Err(red(
            format!("`{}` is at {} after {}", of.name, values.last, count(values.seen, "look")),
            "a value that grows",
        ));
    }
    let mut seen = format!(
        "counter of `{}` went on at {first} after {base}, up to {} in {}",
        of.name,
        values.last,
        count(values.seen, "answer")
    );
    if let Some(entries) = journal(&of.name, first, evidence)? {
        seen += &format!("; its journal has {}, each once", count(entries, "value"));
    }
    Ok(seen)
}

fn restored_from<'a>(of: &InstanceRecord, evidence: &'a Evidence) -> Result<&'a CheckpointRecord, Red> {
    let wanted = "an instance that was restored from a checkpoint";
    let Some(name) = &of.restored_from else {
        return Err(red(format!("`{}` was started cold", of.name), wanted));
    };
    let found = evidence.checkpoints.iter().rev().find(|c| c.name == *name);
    found.ok_or_else(|| red(format!("there is no record of checkpoint `{name}`"), wanted))
}

/// When the source stood still at the latest: frozen ahead of the checkpoint, or by CRIU for a known time in it.
fn stood_still(evidence: &Evidence, checkpoint: &CheckpointRecord) -> At {
    let frozen = Duration::from_micros(checkpoint.criu_frozen_us.unwrap_or(0));
    let by_criu = At(checkpoint.to.0.saturating_sub(u64::try_from(frozen.as_nanos()).unwrap_or(0)));
    frozen_before(evidence, checkpoint).map_or(by_criu, |(_, to)| to.min(by_criu))
}

/// When the restored instance went on at the earliest: the record may be stamped at the end of the call that did it.
fn went_on(evidence: &Evidence, of: &InstanceRecord) -> At {
    let restores = evidence.phases.iter().filter(|p| p.phase == Phase::Restore && p.node == of.node);
    let ours = restores.filter(|p| p.from <= of.started).map(|p| p.from).max();
    ours.map_or(of.started, |from| from.min(of.started))
}

/// Steps that a counter of this pace makes in this time, at most. One that does not count by itself makes none.
fn steps(pace_ms: Option<f64>, time: Duration) -> u64 {
    pace_ms.map_or(0, |pace| (time.as_secs_f64() * 1e3 / pace).ceil() as u64)
}

/// What was seen of the counter of one instance.
struct Values {
    first: (At, u64),
    last: u64,
    seen: usize,
}

impl Values {
    /// From captures and from all clients that read it. Each source must not go back; between two sources the order
    /// of arrival says nothing that fine.
    fn of(instance: &str, evidence: &Evidence) -> Result<Values, Red> {
        let captured = evidence.captures.iter().filter(|c| c.instance == instance);
        let mut sources: Vec<(String, Vec<(At, u64)>)> =
            vec![("captures".to_owned(), captured.filter_map(|c| Some((c.at, c.inside.as_ref()?.counter?))).collect())];
        for (client, history) in &evidence.histories {
            if matches!(history.kind.as_str(), "counter-reader" | "log-follower") {
                let ok = ops_to(history, instance).filter(|op| op.outcome == OpOutcome::Ok);
                sources.push((format!("client `{client}`"), ok.map(|op| (op.done, op.value)).collect()));
            }
        }
        for (source, values) in &mut sources {
            values.sort_by_key(|v| v.0);
            if let Some(pair) = values.windows(2).find(|pair| pair[1].1 < pair[0].1) {
                return Err(red(
                    format!("{source} saw `{instance}` at {} and then at {}", pair[0].1, pair[1].1),
                    "values that only grow",
                ));
            }
        }
        let all = || sources.iter().flat_map(|(_, values)| values);
        let first = all().min_by_key(|v| v.0).copied();
        let last = all().map(|v| v.1).max();
        match (first, last) {
            (Some(first), Some(last)) => Ok(Values { first, last, seen: all().count() }),
            _ => {
                Err(red(format!("no value of the counter of `{instance}` was seen"), "values of it after the restore"))
            }
        }
    }
}

/// Reads the latest journal of the instance, if it keeps one: how many values it has.
fn journal(instance: &str, first: u64, evidence: &Evidence) -> Result<Option<usize>, Red> {
    let keeps = |c: &&Capture| c.instance == instance && c.inside.as_ref().is_some_and(|i| i.journal.is_some());
    let Some(inside) = evidence.captures.iter().rev().find(keeps).and_then(|c| c.inside.as_ref()) else {
        return Ok(None);
    };
    let Some(journal) = &inside.journal else { return Ok(None) };
    let wanted = "each value of its journal once, one after the other";
    if let Some(pair) = journal.windows(2).find(|pair| pair[0].checked_add(1) != Some(pair[1])) {
        let what = if pair[1] <= pair[0] { "goes back or repeats" } else { "has a gap" };
        return Err(red(format!("the journal of `{instance}` {what}: {} follows {}", pair[1], pair[0]), wanted));
    }
    let (begins, ends) = (journal.first().copied(), journal.last().copied());
    let reached = inside.counter.unwrap_or(first).max(first);
    match (begins, ends) {
        (Some(a), Some(z)) if a <= first && z >= reached => Ok(Some(journal.len())),
        (Some(a), Some(z)) => Err(red(
            format!("the journal of `{instance}` is of {a} to {z}, its counter was seen from {first} to {reached}"),
            wanted,
        )),
        _ => Err(red(format!("the journal of `{instance}` is empty"), wanted)),
    }
}

#[cfg(test)]
mod tests;
