use super::{WritesView, ms};
use crate::record::{At, History, Op, OpOutcome};
use crate::report::text;
use serde::Serialize;

/// What one client saw.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct ClientView {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// The interval of its schedule; 0 for one that has none and takes what comes (a log follower): its gaps are the
    /// workload's own pauses, so it has no latency and no outages.
    pub interval_ms: f64,
    /// When it wanted its first operation; `null` if there is none.
    pub from_ms: Option<f64>,
    /// When it wanted its last one, or had its last answer.
    pub to_ms: Option<f64>,
    /// Its operations.
    pub operations: u64,
    /// Those that were answered.
    pub ok: u64,
    /// Those that were answered with an error.
    pub errors: u64,
    /// Those that were sent and never answered.
    pub unknown: u64,
    /// Those that could not be sent.
    pub not_sent: u64,
    /// Latency of the answered ones, from their intended time; `null` if there are none.
    pub latency: Option<Latency>,
    /// Spans without any answer, the longest first; at most 20.
    pub outages: Vec<Outage>,
    /// Whom it talked to.
    pub endpoints: Vec<Endpoint>,
    /// What became of its writes; `null` if it does not write.
    pub writes: Option<WritesView>,
    /// The worst lateness of its own timer: its measurement error.
    pub worst_lateness_ms: f64,
    /// Why it ended before it was stopped; `null`: it did not.
    pub ended_early: Option<String>,
}

/// From `at_ms` on, the client talked to this instance.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Endpoint {
    /// When.
    pub at_ms: f64,
    /// The instance.
    pub instance: String,
    /// Its address.
    pub address: String,
}

/// Latency by percentile (nearest rank), in ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Latency {
    /// The least.
    pub min: f64,
    /// Half took no longer.
    pub p50: f64,
    /// 90 % took no longer.
    pub p90: f64,
    /// 99 % took no longer.
    pub p99: f64,
    /// 99.9 % took no longer.
    pub p999: f64,
    /// The greatest.
    pub max: f64,
}

/// A span without any answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Outage {
    /// When the last answer before it arrived. The figure `downtime` takes off half an interval of the schedule, for the
    /// outage began that much later on average; this is the bare gap.
    pub from_ms: f64,
    /// Until the next answer, or the client's last try.
    pub ms: f64,
    /// Whether an answer came at all after it.
    pub ended: bool,
}

/// Gaps between answers that are shorter than this are not outages but noise of a shared machine.
const LEAST_OUTAGE_MS: f64 = 20.0;
/// Nor are those that are shorter than so many intervals of the schedule.
const LEAST_INTERVALS: f64 = 5.0;
/// How many outages are named.
const NAMED: usize = 20;

impl ClientView {
    pub(in crate::report) fn of(name: &str, history: &History, epoch: At) -> ClientView {
        let scheduled = history.interval_ns > 0;
        let n = |outcome| history.ops.iter().filter(|op| op.outcome == outcome).count() as u64;
        ClientView {
            name: text::line(name),
            kind: text::line(&history.kind),
            interval_ms: history.interval_ns as f64 / 1e6,
            from_ms: history.ops.first().map(|op| ms(epoch, op.intended)),
            to_ms: history.ops.iter().map(|op| op.intended.max(op.done)).max().map(|t| ms(epoch, t)),
            operations: history.ops.len() as u64,
            ok: n(OpOutcome::Ok),
            errors: n(OpOutcome::Error),
            unknown: n(OpOutcome::Unknown),
            not_sent: n(OpOutcome::NotSent),
            latency: scheduled.then(|| Latency::of(&history.ops)).flatten(),
            outages: if scheduled { outages(history, epoch) } else { Vec::new() },
            endpoints: history
                .endpoints
                .iter()
                .map(|e| Endpoint {
                    at_ms: ms(epoch, e.at),
                    instance: text::line(&e.instance),
                    address: text::line(&e.address),
                })
                .collect(),
            writes: WritesView::of(history),
            worst_lateness_ms: history.worst_lateness_ns as f64 / 1e6,
            ended_early: history.ended_early.as_deref().map(text::message),
        }
    }

    /// The longest outage.
    pub fn worst(&self) -> Option<&Outage> {
        self.outages.first()
    }
}

/// Latency of an answered operation, from its intended time, in ms.
pub(in crate::report) fn latency_ms(op: &Op) -> Option<f64> {
    (op.outcome == OpOutcome::Ok).then(|| ms(op.intended, op.done))
}

impl Latency {
    fn of(ops: &[Op]) -> Option<Latency> {
        let mut all: Vec<f64> = ops.iter().filter_map(latency_ms).collect();
        all.sort_by(f64::total_cmp);
        let at = |p: f64| all[((p / 100.0 * all.len() as f64).ceil() as usize).clamp(1, all.len()) - 1];
        (!all.is_empty()).then(|| Latency {
            min: all[0],
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p999: at(99.9),
            max: all[all.len() - 1],
        })
    }
}

fn outages(history: &History, epoch: At) -> Vec<Outage> {
    let least = LEAST_OUTAGE_MS.max(LEAST_INTERVALS * history.interval_ns as f64 / 1e6);
    let mut answers: Vec<At> = history.ops.iter().filter(|op| op.outcome == OpOutcome::Ok).map(|op| op.done).collect();
    answers.sort_unstable();
    let mut found: Vec<Outage> = answers
        .windows(2)
        .map(|w| Outage { from_ms: ms(epoch, w[0]), ms: ms(w[0], w[1]), ended: true })
        .filter(|o| o.ms >= least)
        .collect();
    if let Some(last) = history.ops.last() {
        // Without any answer at all, it was away from the first try on.
        let from = answers.last().copied().unwrap_or(history.ops[0].intended);
        let open = Outage { from_ms: ms(epoch, from), ms: ms(from, last.intended), ended: false };
        found.extend((open.ms >= least).then_some(open));
    }
    found.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    found.truncate(NAMED);
    found
}
