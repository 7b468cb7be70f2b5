use super::{Judged, Red, capture, count, red};
use crate::record::{Capture, Evidence, OutsideReport, SameProcessCheck, SelfReport};

/// Every later capture of the instance must show the same process; at least one must hold what the workload says of
/// itself, and one what is seen from outside.
pub(super) fn judge(check: &SameProcessCheck, evidence: &Evidence) -> Judged {
    let before = capture(evidence, &check.as_of)?;
    let name = &check.as_of;
    let Some(inside) = &before.inside else {
        return Err(red(format!("in capture `{name}` the workload said nothing of itself"), "its nonce"));
    };
    let Some(nonce) = &inside.nonce else {
        return Err(red(format!("in capture `{name}` the workload gave no nonce"), "a nonce to know the process by"));
    };
    let Some(outside) = &before.outside else {
        return Err(red(format!("capture `{name}` has nothing from outside"), "PID, name and arguments"));
    };
    let of = &check.of;
    let later =
        evidence.captures.iter().filter(|c| c.instance == *of && c.at >= before.at && !std::ptr::eq(*c, before));
    let (mut insides, mut outsides, mut hashed) = (0, 0, false);
    for after in later {
        if let Some(i) = &after.inside {
            same_inside(inside, i, after)?;
            insides += 1;
        }
        if let Some(o) = &after.outside {
            same_outside(outside, o, after)?;
            outsides += 1;
        }
        hashed |= check.memory && same_memory(before, after)?;
    }
    let wanted = format!("a capture of `{of}` after `{name}` to compare with it");
    if insides == 0 {
        return Err(red(format!("the workload of `{of}` said nothing of itself after `{name}`"), wanted));
    }
    if outsides == 0 {
        return Err(red(format!("`{of}` was not seen from outside after `{name}`"), wanted));
    }
    if check.memory && !hashed {
        return Err(red(format!("`{of}` gave no digest of its memory after `{name}`"), "an equal digest of memory"));
    }
    Ok(format!(
        "`{of}` is the process captured as `{name}`: nonce {nonce}, {}{}, PID {} `{}`",
        count(inside.boot.len(), "boot value"),
        if check.memory { ", memory digest" } else { "" },
        outside.pid_inside.unwrap_or_default(),
        outside.comm.as_deref().unwrap_or_default(),
    ))
}

fn same_inside(before: &SelfReport, after: &SelfReport, at: &Capture) -> Result<(), Red> {
    differs("nonce", before.nonce.as_deref(), after.nonce.as_deref(), at)?;
    if let Some(damage) = &after.damage {
        let seen = format!("the memory of `{}` is damaged in capture `{}`: it says `{damage}`", at.instance, at.name);
        return Err(red(seen, "memory that its own checks find whole"));
    }
    for key in before.boot.keys().chain(after.boot.keys()) {
        let (was, is) = (before.boot.get(key), after.boot.get(key));
        differs(&format!("boot value `{key}`"), was.map(String::as_str), is.map(String::as_str), at)?;
    }
    Ok(())
}

fn same_outside(before: &OutsideReport, after: &OutsideReport, at: &Capture) -> Result<(), Red> {
    let pid = |o: &OutsideReport| o.pid_inside.map(|p| p.to_string());
    let argv = |o: &OutsideReport| (!o.argv.is_empty()).then(|| o.argv.join(" "));
    differs("PID in the container", pid(before).as_deref(), pid(after).as_deref(), at)?;
    differs("process name", before.comm.as_deref(), after.comm.as_deref(), at)?;
    differs("command line", argv(before).as_deref(), argv(after).as_deref(), at)
}

fn same_memory(before: &Capture, after: &Capture) -> Result<bool, Red> {
    let hash = |c: &Capture| c.inside.as_ref().and_then(|i| i.memory_hash.clone());
    let (was, is) = (hash(before), hash(after));
    if was.is_some() && is.is_none() {
        return Ok(false);
    }
    differs("memory digest", was.as_deref(), is.as_deref(), after).map(|()| true)
}

fn differs(what: &str, was: Option<&str>, is: Option<&str>, at: &Capture) -> Result<(), Red> {
    if was.is_some() && was == is {
        return Ok(());
    }
    let say = |v: Option<&str>| v.map_or("not known".to_owned(), |v| format!("`{v}`"));
    let seen = format!("{what} of `{}` is {} in capture `{}`, and was {}", at.instance, say(is), at.name, say(was));
    Err(red(seen, "the same process: this is another one, or a cold start"))
}

#[cfg(test)]
mod tests;
