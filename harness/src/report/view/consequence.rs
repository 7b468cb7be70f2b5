//! What could not hold since a step failed: the cause is told whole, and its consequences in one line.

use crate::record::{CaseRecord, CheckSpec, Evidence, InstanceExpectation, Metric, StepRecord};

/// The step after which the others were not done.
pub(super) fn cut(case: &CaseRecord) -> Option<&StepRecord> {
    case.evidence.steps.iter().find(|s| !s.finally && !s.as_expected())
}

/// Whether a check that fails had nothing to look at: what it asks about was still to come when a step failed, or is what that
/// step was to do.
pub(super) fn of_cut(case: &CaseRecord, spec: &CheckSpec) -> bool {
    cut(case).is_some() && lacks(&case.evidence, spec)
}

fn lacks(e: &Evidence, spec: &CheckSpec) -> bool {
    let instance = |name: &String| !e.instances.iter().any(|i| i.name == *name);
    let capture = |name: &String| !e.captures.iter().any(|c| c.name == *name);
    let client = |name: &String| e.histories.get(name).is_none_or(|h| h.ops.is_empty());
    let step = |id: &String| !e.steps.iter().any(|s| s.id == *id);
    let captured = |of: &String, at: &Option<String>| instance(of) || at.as_ref().is_some_and(capture);
    match spec {
        CheckSpec::Counter(c) => instance(&c.of) || capture(&c.resumes_from),
        CheckSpec::AckedWrites(c) => client(&c.client),
        CheckSpec::SameProcess(c) => instance(&c.of) || capture(&c.as_of),
        CheckSpec::Exclusive(c) => c.between.iter().any(|name| instance(name) || !answered(e, name)),
        CheckSpec::Instance(c) => {
            let to_go = matches!(c.state, InstanceExpectation::Absent | InstanceExpectation::Stopped);
            let stayed = to_go && e.migrations.iter().any(|m| m.of == c.of && m.error.is_some());
            stayed || captured(&c.of, &c.at) || c.progressed_since.as_ref().is_some_and(capture)
        }
        CheckSpec::Held(c) => instance(&c.of),
        CheckSpec::Connection(c) => client(&c.client) || step(&c.step),
        CheckSpec::Consistent(c) => c.containers.iter().any(instance),
        CheckSpec::Log(c) => captured(&c.of, &c.at) || c.keeps.as_ref().is_some_and(capture),
        CheckSpec::Archive(c) => !e.checkpoints.iter().any(|p| p.name == c.of),
        CheckSpec::Error(c) => step(&c.step),
        CheckSpec::Faster(c) => step(&c.step) || step(&c.than),
        CheckSpec::WorkLost(c) => instance(&c.of) || instance(&c.since),
        CheckSpec::Budget(c) => unmeasured(e, c.metric),
    }
}

/// Whether any client had an answer of an instance.
fn answered(e: &Evidence, instance: &str) -> bool {
    e.histories.values().any(|h| {
        let of = |index: u32| h.endpoints.get(index as usize).is_some_and(|end| end.instance == instance);
        h.ops.iter().any(|op| op.outcome == crate::record::OpOutcome::Ok && of(op.endpoint))
    })
}

fn unmeasured(e: &Evidence, metric: Metric) -> bool {
    e.metrics.get(metric.name()).is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{At, InstanceCheck, InstanceRecord, SameProcessCheck};

    fn is(of: &str, state: InstanceExpectation) -> CheckSpec {
        CheckSpec::Instance(InstanceCheck {
            of: of.to_owned(),
            state,
            progressed_since: None,
            reason: None,
            at: None,
            engine_says: None,
            mounted: None,
        })
    }

    #[test]
    fn only_what_never_came_to_be_is_a_consequence() {
        let redis = InstanceRecord {
            name: "redis".to_owned(),
            workload: "redis".to_owned(),
            node: "a".to_owned(),
            container_id: "c".to_owned(),
            restored_from: None,
            started: At(1),
            ended: None,
        };
        let e = Evidence { instances: vec![redis], ..Evidence::default() };
        let same = SameProcessCheck { of: "redis-moved".to_owned(), as_of: "before".to_owned(), memory: false };
        assert!(lacks(&e, &CheckSpec::SameProcess(same)));
        assert!(lacks(&e, &is("redis-moved", InstanceExpectation::Running)));
        assert!(!lacks(&e, &is("redis", InstanceExpectation::Running)), "it is there: that it does not run is news");
    }
}
