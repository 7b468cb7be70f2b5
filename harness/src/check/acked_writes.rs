use super::{Judged, count, red};
use crate::record::{AckedWritesCheck, Evidence, History, LossPolicy, Op, OpOutcome};
use std::collections::{HashMap, HashSet};

/// Lost is what was acknowledged and is not in the final journal. Duplicated is what is there twice, and what is there
/// at another place than was acknowledged (a redis writer is told its write's place: the length of the list). When two
/// writes had one place acknowledged, as happens when two copies live apart, one of them is lost or out of place, so it
/// counts as that, and how many such places there are is said.
pub(super) fn judge(check: &AckedWritesCheck, evidence: &Evidence) -> Judged {
    let client = &check.client;
    let Some(history) = evidence.histories.get(client) else {
        return Err(red(format!("there is no history of client `{client}`"), "the history of a writer"));
    };
    if history.kind != "redis-writer" {
        return Err(red(format!("client `{client}` is a `{}`", history.kind), "the history of a writer"));
    }
    let Some(journal) = &history.final_journal else {
        return Err(red(
            format!("what the last instance holds of `{client}` was not read"),
            "the final journal, to compare with what was acknowledged",
        ));
    };
    let acked: Vec<&Op> = history.ops.iter().filter(|op| op.outcome == OpOutcome::Ok).collect();
    if (acked.len() as u64) < check.at_least {
        let verb = if acked.len() == 1 { "was" } else { "were" };
        return Err(red(
            format!("only {} of `{client}` {verb} acknowledged", count(acked.len(), "write")),
            format!("at least {}", check.at_least),
        ));
    }
    let found = compare(&acked, journal);
    let seen = sentence(client, history, &acked, &found);
    let lost_as_wanted = match check.lost {
        LossPolicy::None => found.lost.is_empty(),
        LossPolicy::Counted => true,
        LossPolicy::Some => !found.lost.is_empty(),
    };
    if lost_as_wanted && found.duplicated() as u64 <= check.duplicated {
        return Ok(seen);
    }
    let lost = match check.lost {
        LossPolicy::None => "none lost, ",
        LossPolicy::Counted => "",
        LossPolicy::Some => "some lost, ",
    };
    Err(red(seen, format!("{lost}at most {} duplicated", check.duplicated)))
}

struct Found<'a> {
    lost: Vec<&'a Op>,
    repeated: usize,
    out_of_place: usize,
    places_shared: usize,
}

impl Found<'_> {
    fn duplicated(&self) -> usize {
        self.repeated + self.out_of_place
    }
}

fn compare<'a>(acked: &[&'a Op], journal: &[u64]) -> Found<'a> {
    let mut place_of = HashMap::with_capacity(journal.len());
    let mut repeated = 0;
    for (place, key) in (1_u64..).zip(journal) {
        repeated += usize::from(place_of.insert(*key, place).is_some());
    }
    let mut found = Found { lost: Vec::new(), repeated, out_of_place: 0, places_shared: 0 };
    let mut places = HashSet::with_capacity(acked.len());
    for op in acked {
        found.places_shared += usize::from(!places.insert(op.value));
        let holds = |place: u64| {
            let index = usize::try_from(place.checked_sub(1)?).ok()?;
            (journal.get(index) == Some(&op.key)).then_some(())
        };
        if !place_of.contains_key(&op.key) {
            found.lost.push(op);
        } else if holds(op.value).is_none() {
            found.out_of_place += 1;
        }
    }
    found
}

fn sentence(client: &str, history: &History, acked: &[&Op], found: &Found<'_>) -> String {
    let total = acked.len();
    let mut seen = match (found.lost.iter().map(|o| o.done).min(), found.lost.iter().map(|o| o.done).max()) {
        (Some(first), Some(last)) => format!(
            "of {total} acknowledged writes of `{client}`, {} {} lost, acknowledged within {:.1} ms",
            found.lost.len(),
            if found.lost.len() == 1 { "is" } else { "are" },
            last.since(first).as_secs_f64() * 1e3
        ),
        _ if found.duplicated() == 0 => format!("all {total} acknowledged writes of `{client}` are there, each once"),
        _ => format!("all {total} acknowledged writes of `{client}` are there"),
    };
    for (n, what) in [
        (found.repeated, "there more than once"),
        (found.out_of_place, "at another place than acknowledged"),
        (
            found.places_shared,
            "with the same place in the list as another acknowledged write (the list went on from an older state, or two copies took writes)",
        ),
    ] {
        if n > 0 {
            seen += &format!(", {n} {what}");
        }
    }
    let ended = |outcome| history.ops.iter().filter(|op| op.outcome == outcome).count();
    for (outcome, what) in
        [(OpOutcome::Error, "refused"), (OpOutcome::Unknown, "unanswered"), (OpOutcome::NotSent, "not sent")]
    {
        let n = ended(outcome);
        if n > 0 {
            seen += &format!("; {n} {what}");
        }
    }
    if let Some(why) = &history.ended_early {
        seen += &format!("; the client ended early: {why}");
    }
    seen
}

#[cfg(test)]
mod tests;
