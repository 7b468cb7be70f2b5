use super::{Judged, Red, capture, red};
use crate::record::{
    Capture, EndReason, EndReport, EngineWord, Evidence, InstanceCheck, InstanceExpectation, OutsideReport, SelfReport,
};

/// By the capture that the check names, or by the runner's last one of the instance, `final:NAME`.
pub(super) fn judge(check: &InstanceCheck, evidence: &Evidence) -> Judged {
    let of = &check.of;
    let last = capture(evidence, &check.at.clone().unwrap_or_else(|| format!("final:{of}")))?;
    let wanted = wanted(check.state);
    let seen = describe(of, last);
    let as_wanted = match (check.state, &last.outside) {
        (InstanceExpectation::Absent, outside) => outside.is_none() && last.inside.is_none(),
        (_, None) => false,
        (InstanceExpectation::Running, Some(o)) => {
            o.engine_state == "running"
                && o.frozen == Some(false)
                && last.inside.as_ref().is_some_and(|i| i.damage.is_none())
        }
        (InstanceExpectation::Frozen, Some(o)) => o.frozen == Some(true),
        (InstanceExpectation::Created, Some(o)) => o.engine_state == "created",
        (InstanceExpectation::Stopped, Some(o)) => o.engine_state == "stopped",
    };
    if !as_wanted {
        return Err(red(seen, wanted));
    }
    let seen = match (check.reason, &last.outside) {
        (Some(reason), Some(outside)) => format!("{seen}; {}", ended(of, reason, outside.end.as_ref())?),
        _ => seen,
    };
    let seen = match check.engine_says {
        None => seen,
        Some(word) => says(of, word, last).map(|s| format!("{seen}; {s}"))?,
    };
    let seen = match &check.mounted {
        None => seen,
        Some(folder) => mounted(of, folder, last).map(|m| format!("{seen}; {m}"))?,
    };
    match &check.progressed_since {
        None => Ok(seen),
        Some(name) => progressed(capture(evidence, name)?, last).map(|p| format!("{seen}; {p}")),
    }
}

fn ended(of: &str, wanted: EndReason, end: Option<&EndReport>) -> Judged {
    let wanted_words = format!("an end by `{}`", wanted.name());
    let Some(end) = end else {
        return Err(red(format!("nobody says how `{of}` ended"), wanted_words));
    };
    let told = [
        end.exit_code.map(|code| format!("exit code {code}")),
        end.engine_reason.as_ref().map(|word| format!("the engine's word `{word}`")),
        end.oom_kills.map(|n| format!("{n} killed by the kernel for want of memory")),
    ];
    let told: Vec<String> = told.into_iter().flatten().collect();
    let told = format!("`{of}` ended with {}", told.join(", "));
    if end.reason() == Some(wanted) { Ok(told) } else { Err(red(told, wanted_words)) }
}

fn mounted(of: &str, folder: &str, last: &Capture) -> Result<String, Red> {
    let mounts = last.outside.as_ref().map(|o| o.mounts.as_slice()).unwrap_or_default();
    if mounts.iter().any(|m| m == folder) {
        return Ok(format!("`{folder}` is a mount in it"));
    }
    let there = if mounts.is_empty() { "nothing".to_owned() } else { mounts.join(", ") };
    Err(red(format!("`{folder}` is no mount in `{of}`; {there} is mounted"), format!("a mount at `{folder}`")))
}

/// What the engine's own interface says. Where that is what the tasks tell, it is not said twice.
fn says(of: &str, word: EngineWord, last: &Capture) -> Result<String, Red> {
    let outside = last.outside.as_ref();
    let said = outside.map(|o| o.engine_says.as_ref().unwrap_or(&o.engine_state).as_str());
    match said {
        Some(said) if said == word.name() => Ok(format!("its interface calls it `{said}`")),
        Some(said) => {
            Err(red(format!("the engine's interface calls `{of}` `{said}`"), format!("the word `{}`", word.name())))
        }
        None => Err(red(format!("there is no container of `{of}`"), format!("the word `{}`", word.name()))),
    }
}

fn progressed(since: &Capture, last: &Capture) -> Result<String, Red> {
    let counter = |c: &Capture| c.inside.as_ref().and_then(|i| i.counter);
    let wanted = format!("a counter above that of capture `{}`", since.name);
    let was = counter(since).ok_or_else(|| red(format!("capture `{}` has no counter", since.name), &*wanted))?;
    let is =
        counter(last).ok_or_else(|| red(format!("`{}` gave no counter {}", last.instance, when(last)), &*wanted))?;
    if is > was {
        return Ok(format!("its counter grew from {was} to {is} since `{}`", since.name));
    }
    Err(red(
        format!("the counter of `{}` was {was} in `{}` and is {is} {}", last.instance, since.name, when(last)),
        wanted,
    ))
}

/// The name of the runner's own capture helps nobody.
fn when(last: &Capture) -> String {
    if last.name.starts_with("final:") { "at the end".to_owned() } else { format!("in `{}`", last.name) }
}

fn describe(of: &str, last: &Capture) -> String {
    let Some(outside) = &last.outside else {
        return match last.inside {
            None => format!("there is no container of `{of}`"),
            Some(_) => format!("the engine knows no container of `{of}`, but its workload answers"),
        };
    };
    let OutsideReport { engine_state, frozen, .. } = outside;
    let frozen = match frozen {
        Some(true) => "frozen",
        Some(false) => "not frozen",
        None => "its freezer could not be read",
    };
    let answers = match &last.inside {
        None => "does not answer".to_owned(),
        Some(SelfReport { damage: Some(damage), .. }) => format!("answers that its memory is damaged: `{damage}`"),
        Some(_) => "answers".to_owned(),
    };
    format!("the engine says `{engine_state}` of `{of}`, {frozen}, and its workload {answers}")
}

fn wanted(state: InstanceExpectation) -> &'static str {
    match state {
        InstanceExpectation::Running => "running, not frozen, and a workload that answers",
        InstanceExpectation::Frozen => "a container whose tasks are frozen",
        InstanceExpectation::Created => "a container that was made and not started",
        InstanceExpectation::Stopped => "a container that is there and stopped",
        InstanceExpectation::Absent => "no such container",
    }
}

#[cfg(test)]
mod tests;
