use super::{Judged, red};
use crate::record::{ErrorCheck, Evidence};
use regex::Regex;

pub(super) fn judge(check: &ErrorCheck, evidence: &Evidence) -> Judged {
    let mut wanted = format!("an error of class `{}`", check.class);
    if let Some(text) = &check.text {
        wanted += &format!(" whose message matches `{text}`");
    }
    let Some(step) = evidence.steps.iter().rev().find(|s| s.id == check.step) else {
        return Err(red(format!("step `{}` never ran", check.step), wanted));
    };
    let Some(failure) = &step.failure else {
        return Err(red(format!("step `{}` succeeded", step.id), wanted));
    };
    let seen = format!("step `{}` failed with `{}`: {}", step.id, failure.class, failure.message);
    let matches = match &check.text {
        None => true,
        // The scenario's reader checks the expression; one that came by another way and is none can't match.
        Some(text) => Regex::new(text).is_ok_and(|r| r.is_match(&failure.message)),
    };
    if failure.class == check.class && matches { Ok(seen) } else { Err(red(seen, wanted)) }
}

#[cfg(test)]
mod tests;
