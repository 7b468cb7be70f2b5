use super::answers::ops_to;
use super::{Judged, Red, count, instance_record, red};
use crate::record::{At, CheckpointRecord, Evidence, OpOutcome, WorkLostCheck};

/// What is known of the work that was lost with a source.
struct Loss {
    /// The highest value that the source was seen at.
    reached: u64,
    /// The value that its checkpoint has at least: seen of the source before.
    kept: u64,
    /// The first value that was seen of the copy: its checkpoint has no more.
    resumed: u64,
}

pub(super) fn judge(check: &WorkLostCheck, evidence: &Evidence) -> Judged {
    let loss = loss(check, evidence)?;
    let Loss { reached, kept, resumed } = loss;
    // Clients see values between the checkpoint's and those at either end of it, so the truth is between the two.
    let (least, most) = (reached.saturating_sub(resumed), reached - kept);
    let lost = if least == most { count_of(most) } else { format!("{least} to {}", count_of(most)) };
    let seen = format!(
        "`{}` was seen at {reached}, its checkpoint has {kept} and `{}` went on at {resumed}: {lost} lost, done again",
        check.since, check.of
    );
    match check.at_most {
        Some(bound) if most > bound => Err(red(seen, format!("at most {} lost", count_of(bound)))),
        _ => Ok(seen),
    }
}

/// Counts that were lost at most; `None` if the evidence does not tell.
pub(super) fn most(check: &WorkLostCheck, evidence: &Evidence) -> Option<u64> {
    loss(check, evidence).ok().map(|loss| loss.reached - loss.kept)
}

fn count_of(n: u64) -> String {
    count(usize::try_from(n).unwrap_or(usize::MAX), "count")
}

fn loss(check: &WorkLostCheck, evidence: &Evidence) -> Result<Loss, Red> {
    let copy = instance_record(evidence, &check.of)?;
    let Some(name) = &copy.restored_from else {
        return Err(red(
            format!("`{}` was started cold: all work of `{}` is lost", check.of, check.since),
            "an instance that was restored from a checkpoint",
        ));
    };
    let checkpoint = evidence.checkpoints.iter().rev().find(|c| c.name == *name && c.of == check.since);
    let checkpoint = checkpoint.ok_or_else(|| {
        red(
            format!("`{}` is of checkpoint `{name}`, which was not taken of `{}`", check.of, check.since),
            "a copy of that instance",
        )
    })?;
    let source = values(&check.since, evidence);
    let reached = after(&source, checkpoint).ok_or_else(|| {
        red(
            format!("nothing was seen of the counter of `{}` after its checkpoint `{name}`", check.since),
            "answers or a capture of it from then on, to tell what is lost",
        )
    })?;
    // What was answered before the call began is in the checkpoint: the counter does not go back.
    let kept = source.iter().filter(|(at, _)| *at <= checkpoint.from).map(|(_, v)| *v).max();
    let kept = kept.ok_or_else(|| {
        red(
            format!("nothing was seen of the counter of `{}` before its checkpoint `{name}`", check.since),
            "a capture or answers of it before, to tell what is kept",
        )
    })?;
    let resumed = values(&check.of, evidence).into_iter().min_by_key(|(at, _)| *at).map(|(_, v)| v);
    let resumed = resumed
        .ok_or_else(|| red(format!("no value of the counter of `{}` was seen", check.of), "a value that goes on"))?;
    if resumed < kept {
        return Err(red(
            format!("`{}` went on at {resumed}, below the {kept} that its checkpoint has: more is lost", check.of),
            format!("a first value of at least {kept}"),
        ));
    }
    Ok(Loss { reached: reached.max(kept), kept, resumed })
}

/// The highest value that was seen once the checkpoint was done.
fn after(values: &[(At, u64)], checkpoint: &CheckpointRecord) -> Option<u64> {
    values.iter().filter(|(at, _)| *at > checkpoint.to).map(|(_, v)| *v).max()
}

/// Values of the counter of one instance: from captures, and from all clients that read it.
fn values(instance: &str, evidence: &Evidence) -> Vec<(At, u64)> {
    let captured = evidence.captures.iter().filter(|c| c.instance == instance);
    let captured = captured.filter_map(|c| Some((c.at, c.inside.as_ref()?.counter?)));
    let readers = evidence.histories.values().filter(|h| matches!(h.kind.as_str(), "counter-reader" | "log-follower"));
    let answered = readers.flat_map(|h| ops_to(h, instance)).filter(|op| op.outcome == OpOutcome::Ok);
    captured.chain(answered.map(|op| (op.done, op.value))).collect()
}

#[cfg(test)]
mod tests;
