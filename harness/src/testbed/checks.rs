//! Checks as tests write them. Any other is a [`CheckSpec`] of its own.

use super::{Capture, CheckSpec, ClientHandle, Instance, InstanceExpectation, LossPolicy, Metric};
use crate::record::{
    AckedWritesCheck, BudgetCheck, CounterCheck, ExclusiveCheck, HeldCheck, HeldExpectation, InstanceCheck, LogCheck,
    SameProcessCheck, WorkLostCheck,
};
use std::time::Duration;

/// How many steps a counter may be further than the time since its capture explains, unless it is said otherwise.
const TOLERANCE: u64 = 2;

/// The figure is at most this: a time. For bytes, and percentiles, there is [`CheckSpec::Budget`].
pub fn below(metric: Metric, bound: Duration) -> CheckSpec {
    CheckSpec::Budget(BudgetCheck { metric, bounds: vec![(100.0, bound.as_secs_f64() * 1e3)] })
}

/// These instances never answered in the same span of time.
pub fn never_at_once<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> CheckSpec {
    let between = instances.into_iter().map(|i| i.name().to_owned()).collect();
    CheckSpec::Exclusive(ExclusiveCheck { between, overlap_ms: 0.0 })
}

impl Instance {
    /// It was restored, and counts on from the capture of its source, each value once.
    pub fn goes_on_from(&self, before: &Capture) -> CheckSpec {
        let (of, resumes_from) = (self.name().to_owned(), before.name.clone());
        CheckSpec::Counter(CounterCheck { of, resumes_from, tolerance: TOLERANCE })
    }

    /// It is the process of the capture, not a cold start.
    pub fn is_process_of(&self, before: &Capture) -> CheckSpec {
        let (of, as_of) = (self.name().to_owned(), before.name.clone());
        CheckSpec::SameProcess(SameProcessCheck { of, as_of, memory: false })
    }

    /// The same, and with the same memory: of a workload whose memory does not change by itself.
    pub fn has_memory_of(&self, before: &Capture) -> CheckSpec {
        let (of, as_of) = (self.name().to_owned(), before.name.clone());
        CheckSpec::SameProcess(SameProcessCheck { of, as_of, memory: true })
    }

    /// It is in this state.
    pub fn is(&self, state: InstanceExpectation) -> CheckSpec {
        self.state(state, None)
    }

    /// It runs, answers, and has counted since the capture.
    pub fn progressed_since(&self, before: &Capture) -> CheckSpec {
        self.state(InstanceExpectation::Running, Some(before.name.clone()))
    }

    fn state(&self, state: InstanceExpectation, progressed_since: Option<String>) -> CheckSpec {
        CheckSpec::Instance(InstanceCheck {
            of: self.name().to_owned(),
            state,
            progressed_since,
            reason: None,
            at: None,
            engine_says: None,
            mounted: None,
        })
    }

    /// What it holds (`hold` of the counter) works as before.
    pub fn holds_on(&self) -> CheckSpec {
        CheckSpec::Held(HeldCheck { of: self.name().to_owned(), state: HeldExpectation::Kept })
    }

    /// The numbers at the ends of its log's lines are there once each, and those of the source's log at the capture are among
    /// them.
    pub fn log_goes_on_from(&self, before: &Capture) -> CheckSpec {
        let (of, keeps) = (self.name().to_owned(), Some(before.name.clone()));
        CheckSpec::Log(LogCheck { of, at: None, each_once: true, keeps })
    }

    /// Of what `source` was seen to count after the checkpoint that this one was restored from, at most so much is lost.
    pub fn lost_at_most(&self, source: &Instance, counts: u64) -> CheckSpec {
        let (of, since) = (self.name().to_owned(), source.name().to_owned());
        CheckSpec::WorkLost(WorkLostCheck { of, since, at_most: Some(counts) })
    }
}

impl ClientHandle {
    /// What was acknowledged to this writer is there, once.
    pub fn lost_nothing(&self) -> CheckSpec {
        self.acked_writes(LossPolicy::None)
    }

    /// The same, with another word on what may be lost.
    pub fn acked_writes(&self, lost: LossPolicy) -> CheckSpec {
        CheckSpec::AckedWrites(AckedWritesCheck { client: self.name().to_owned(), lost, duplicated: 0, at_least: 1 })
    }
}
