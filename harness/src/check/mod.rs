//! Checks: evidence -> verdict. One file a check; pure, so that a stored run can be judged again. What is absent from
//! the evidence fails a check, it never passes one.

mod acked_writes;
mod answers;
mod archive;
mod budget;
mod connection;
mod consistent;
mod counter;
mod error;
mod exclusive;
mod faster;
mod held;
mod instance;
mod log;
mod metrics;
mod same_process;
mod violation;
mod work_lost;

#[cfg(test)]
pub(crate) mod sample;

pub use crate::record::{MEASUREMENT_ERROR, WORST_LATENCY};
pub use answers::outage;
pub use metrics::metrics;
pub use violation::verdict;

use crate::record::{Capture, CheckSpec, Evidence, InstanceRecord, Verdict};

/// Judges what a check asks on the evidence of one repetition ([`CheckSpec::Budget`]: on the samples of all of them).
/// [`verdict`] also knows checks that are to be violated.
pub fn judge(check: &CheckSpec, evidence: &Evidence) -> Verdict {
    let judged = match check {
        CheckSpec::Counter(c) => counter::judge(c, evidence),
        CheckSpec::AckedWrites(c) => acked_writes::judge(c, evidence),
        CheckSpec::SameProcess(c) => same_process::judge(c, evidence),
        CheckSpec::Exclusive(c) => exclusive::judge(c, evidence),
        CheckSpec::Instance(c) => instance::judge(c, evidence),
        CheckSpec::Held(c) => held::judge(c, evidence),
        CheckSpec::Consistent(c) => consistent::judge(c, evidence),
        CheckSpec::Connection(c) => connection::judge(c, evidence),
        CheckSpec::Log(c) => log::judge(c, evidence),
        CheckSpec::Archive(c) => archive::judge(c, evidence),
        CheckSpec::Error(c) => error::judge(c, evidence),
        CheckSpec::Faster(c) => faster::judge(c, evidence),
        CheckSpec::WorkLost(c) => work_lost::judge(c, evidence),
        CheckSpec::Budget(c) => budget::judge(c, evidence),
    };
    match judged {
        Ok(seen) => Verdict { passed: true, seen, wanted: None },
        Err(Red { seen, wanted }) => Verdict { passed: false, seen, wanted: Some(wanted) },
    }
}

/// How many times faster a step was, by [`CheckSpec::Faster`].
pub const SPEED_UP: &str = "speed-up";

/// How many counts were lost at most, by [`CheckSpec::WorkLost`].
pub const WORK_LOST: &str = "work-lost";

/// The figure that a check is about, with its name: reports show it, budgets do not bound it.
pub fn figure(check: &CheckSpec, evidence: &Evidence) -> Option<(&'static str, f64)> {
    match check {
        CheckSpec::Faster(c) => Some((SPEED_UP, faster::times(c, evidence)?)),
        CheckSpec::WorkLost(c) => Some((WORK_LOST, work_lost::most(c, evidence)? as f64)),
        _ => None,
    }
}

/// What was seen when all was well; else what was seen and what was wanted.
type Judged = Result<String, Red>;

#[derive(Debug)]
struct Red {
    seen: String,
    wanted: String,
}

fn red(seen: impl Into<String>, wanted: impl Into<String>) -> Red {
    Red { seen: seen.into(), wanted: wanted.into() }
}

/// The latest capture of this name.
fn capture<'a>(evidence: &'a Evidence, name: &str) -> Result<&'a Capture, Red> {
    let found = evidence.captures.iter().rev().find(|c| c.name == name);
    found.ok_or_else(|| red(format!("there is no capture `{name}`"), "a capture of that name to judge by"))
}

/// The latest life of this name.
fn instance_record<'a>(evidence: &'a Evidence, name: &str) -> Result<&'a InstanceRecord, Red> {
    let found = evidence.instances.iter().rev().find(|i| i.name == name);
    found.ok_or_else(|| red(format!("there was never an instance `{name}`"), "that it was started or restored"))
}

/// `1 value`, `2 values`.
fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
