use super::answers::ops_of;
use super::{Judged, red};
use crate::record::{At, Evidence, ExclusiveCheck, OpOutcome};

/// An instance served from its first answer to any client until its last; refusals (redis: `-LOADING`) are answers
/// too. Two such spans overlap by at most what is allowed.
pub(super) fn judge(check: &ExclusiveCheck, evidence: &Evidence) -> Judged {
    if check.between.len() < 2 {
        return Err(red("fewer than two instances are named", "two instances to compare"));
    }
    let mut spans: Vec<(&str, At, At)> = Vec::new();
    for name in &check.between {
        let answered = |o: &OpOutcome| matches!(o, OpOutcome::Ok | OpOutcome::Error);
        let times = || ops_of(evidence, name).filter(|op| answered(&op.outcome)).map(|op| op.done);
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Err(red(
                format!("no client ever had an answer of `{name}`"),
                "answers of each instance, to know when it served",
            ));
        };
        spans.push((name, first, last));
    }
    spans.sort_by_key(|s| s.1);
    let mut closest = (f64::NEG_INFINITY, String::new());
    for (i, (earlier, _, last)) in spans.iter().enumerate() {
        for (later, first, end) in &spans[i + 1..] {
            let overlap = ms((*last).min(*end)) - ms(*first);
            if overlap > closest.0 {
                closest = (overlap, sentence(earlier, later, overlap));
            }
        }
    }
    if closest.0 > check.overlap_ms {
        return Err(red(closest.1, format!("at most {} ms in which both answer", check.overlap_ms)));
    }
    Ok(closest.1)
}

fn ms(at: At) -> f64 {
    at.0 as f64 / 1e6
}

fn sentence(earlier: &str, later: &str, overlap: f64) -> String {
    if overlap > 0.0 {
        format!("`{earlier}` still answered {overlap:.1} ms after `{later}` had begun to answer")
    } else {
        format!("`{later}` answered first {:.1} ms after `{earlier}` had answered last", -overlap)
    }
}

#[cfg(test)]
mod tests;
