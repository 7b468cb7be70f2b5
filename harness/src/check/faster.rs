use super::{Judged, Red, red};
use crate::record::{Evidence, FasterCheck, Millis, StepRecord};
use std::time::Duration;

/// By the recorded times of both steps, whole: what they prepare and the wait for the first answer are in both.
pub(super) fn judge(check: &FasterCheck, evidence: &Evidence) -> Judged {
    let (step, than) = (took(&check.step, evidence)?, took(&check.than, evidence)?);
    let wanted = format!("`{}` {} times faster than `{}`", check.step, check.times, check.than);
    let Some(times) = ratio(step, than) else {
        return Err(red(format!("`{}` took no time that could be measured", check.step), wanted));
    };
    let seen = format!("{}: {}, not {}", said(times), Millis::from(step), Millis::from(than));
    if times >= check.times { Ok(seen) } else { Err(red(seen, wanted)) }
}

/// How many times faster the step was; `None` if either did not succeed.
pub(super) fn times(check: &FasterCheck, evidence: &Evidence) -> Option<f64> {
    ratio(took(&check.step, evidence).ok()?, took(&check.than, evidence).ok()?)
}

fn ratio(step: Duration, than: Duration) -> Option<f64> {
    (!step.is_zero()).then(|| than.as_secs_f64() / step.as_secs_f64())
}

fn said(times: f64) -> String {
    if times >= 1.0 { format!("{times:.1} times faster") } else { format!("{:.1} times slower", 1.0 / times) }
}

fn took(id: &str, evidence: &Evidence) -> Result<Duration, Red> {
    let wanted = "a step that was done and succeeded";
    let found: Option<&StepRecord> = evidence.steps.iter().rev().find(|s| s.id == id);
    match found {
        None => Err(red(format!("there is no record of step `{id}`"), wanted)),
        Some(StepRecord { failure: Some(failure), .. }) => {
            Err(red(format!("step `{id}` failed with {}", failure.class), wanted))
        }
        Some(step) => Ok(step.to.since(step.from)),
    }
}

#[cfg(test)]
mod tests;
