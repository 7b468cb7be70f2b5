use super::at;
use podferry::record::{EndpointChange, History, Op, OpOutcome};

/// A client's load and what it meets: the recipe of a history.
pub(crate) struct Load {
    /// `redis-writer`, `counter-reader`, ...
    pub(crate) kind: &'static str,
    /// Instances: source and copy.
    pub(crate) instances: [&'static str; 2],
    /// First intended time, in ms since the run's start.
    pub(crate) from: f64,
    /// Number of operations, one a millisecond.
    pub(crate) count: u64,
    /// Without answers from here...
    pub(crate) away: f64,
    /// ... until here (in ms since the run's start).
    pub(crate) back: f64,
    /// Whether it ever comes back.
    pub(crate) returns: bool,
    /// How many of the last writes before `away` the copy does not hold.
    pub(crate) lost: u64,
}

/// Requests in flight when the source goes: sent, never answered.
const IN_FLIGHT: f64 = 2.0;

impl Load {
    /// The history that this load leaves, the same each time.
    pub(crate) fn history(&self) -> History {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        let mut acknowledged = 0;
        let ops: Vec<Op> = (0..self.count).map(|i| self.op(i, &mut noise, &mut acknowledged)).collect();
        let held =
            |op: &&Op| op.outcome == OpOutcome::Ok || (op.outcome == OpOutcome::Unknown && op.key.is_multiple_of(2));
        let before: Vec<u64> =
            ops.iter().filter(|o| o.outcome == OpOutcome::Ok && o.done <= at(self.away)).map(|o| o.key).collect();
        let lost: Vec<u64> = before.into_iter().rev().take(usize::try_from(self.lost).expect("few")).collect();
        let journal = ops.iter().filter(held).map(|o| o.key).filter(|k| !lost.contains(k)).collect();
        let mut endpoints = vec![endpoint(self.from, self.instances[0], "10.88.0.10:6379")];
        if self.returns {
            endpoints.push(endpoint(self.back - 1.5, self.instances[1], "10.88.1.10:6379"));
        }
        History {
            kind: self.kind.to_owned(),
            interval_ns: 1_000_000,
            endpoints,
            ops,
            final_journal: (self.kind == "redis-writer" && self.returns).then_some(journal),
            worst_lateness_ns: 412_000,
            ..History::default()
        }
    }

    fn op(&self, i: u64, noise: &mut Noise, acknowledged: &mut u64) -> Op {
        let intended = self.from + i as f64;
        let service = noise.latency();
        let answered = |done: f64, endpoint, value| Op {
            intended: at(intended),
            sent: at(done - service),
            done: at(done),
            outcome: OpOutcome::Ok,
            key: i,
            value,
            endpoint,
        };
        let unanswered = |outcome, sent| Op {
            intended: at(intended),
            sent,
            done: podferry::record::At(0),
            outcome,
            key: i,
            value: 0,
            endpoint: 0,
        };
        if intended + service < self.away {
            *acknowledged += 1;
            answered(intended + service, 0, *acknowledged)
        } else if intended < self.away + IN_FLIGHT {
            unanswered(OpOutcome::Unknown, at(intended + 0.01))
        } else if !self.returns {
            unanswered(OpOutcome::NotSent, podferry::record::At(0))
        } else {
            // What the outage held back goes out one after the other when the copy answers.
            let queued = self.back + (intended - self.away).min(self.back - self.away) * 0.05;
            *acknowledged += 1;
            answered(if intended < self.back { queued } else { intended.max(queued) + service }, 1, *acknowledged)
        }
    }
}

fn endpoint(ms: f64, instance: &str, address: &str) -> EndpointChange {
    EndpointChange { at: at(ms), instance: instance.to_owned(), address: address.to_owned() }
}

/// The same noise each time (xorshift64).
struct Noise(u64);

impl Noise {
    /// A latency in ms: mostly around 0.15, now and then much more.
    fn latency(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let unit = (self.0 >> 11) as f64 / (1u64 << 53) as f64;
        0.09 + 0.06 / (1.0 - unit * 0.98)
    }
}
