use super::fold;
use crate::record::{
    At, CaseId, EngineKind, Event, InstanceRecord, Leak, Line, Origin, Outcome, Run, StepRecord, Verdict,
};
use std::collections::BTreeMap;

fn lines(events: Vec<(Option<&str>, Event)>) -> Run {
    let stamp = |(i, (case, event)): (usize, (Option<&str>, Event))| Line {
        at: At(i as u64 + 1),
        case: case.map(|c| CaseId(c.to_owned())),
        event,
    };
    let lines: Vec<Line> = events.into_iter().enumerate().map(stamp).collect();
    fold(&lines)
}

fn planned() -> Event {
    Event::CasePlanned {
        scenario: "s".to_owned(),
        title: "t".to_owned(),
        origin: Origin::default(),
        engine: EngineKind::Runc,
        params: BTreeMap::new(),
        labels: BTreeMap::new(),
        rerun: "again".to_owned(),
    }
}

fn step(title: &str) -> Event {
    Event::StepStarted { index: 0, title: title.to_owned() }
}

fn stepped(title: &str) -> Event {
    Event::StepFinished(StepRecord {
        id: "step-1".to_owned(),
        title: title.to_owned(),
        origin: Origin::default(),
        from: At(0),
        to: At(0),
        error_expected: false,
        failure: None,
        finally: false,
        used_at: None,
        passed_over: None,
    })
}

fn instance(name: &str) -> Event {
    Event::Instance(InstanceRecord {
        name: name.to_owned(),
        workload: "w".to_owned(),
        node: "a".to_owned(),
        container_id: "1".to_owned(),
        restored_from: None,
        started: At(0),
        ended: None,
    })
}

#[test]
fn a_case_that_was_planned_only_never_began() {
    let run = lines(vec![(Some("c"), planned())]);
    assert!(!run.cases[0].started);
    assert_eq!((run.cases[0].outcome, run.ended), (None, None));
}

#[test]
fn a_killed_case_keeps_the_step_that_it_was_in() {
    let c = Some("c");
    let events = vec![(c, planned()), (c, Event::CaseStarted), (c, step("one")), (c, stepped("one")), (c, step("two"))];
    let case = lines(events).cases.remove(0);
    assert_eq!(case.in_step.as_deref(), Some("two"));
    assert_eq!((case.started, case.from, case.to), (true, At(2), None));
    assert_eq!(case.evidence.steps.len(), 1);
}

#[test]
fn a_case_that_ended_is_in_no_step() {
    let c = Some("c");
    let end = Event::CaseFinished { outcome: Outcome::Errored, reason: Some("no room".to_owned()) };
    let case = lines(vec![(c, planned()), (c, Event::CaseStarted), (c, step("one")), (c, end)]).cases.remove(0);
    assert_eq!((case.in_step, case.outcome, case.to), (None, Some(Outcome::Errored), Some(At(4))));
    assert_eq!(case.reason.as_deref(), Some("no room"));
}

#[test]
fn a_leak_of_a_case_is_the_run_s_too() {
    let leak =
        |name: &str| Event::Leaked(Leak { kind: "mount".to_owned(), name: name.to_owned(), reason: String::new() });
    let run = lines(vec![(Some("c"), planned()), (Some("c"), leak("one")), (None, leak("two"))]);
    assert_eq!(run.leaks.len(), 2);
    assert_eq!(run.cases[0].leaks.len(), 1);
}

#[test]
fn the_latest_instance_of_a_name_is_the_one_that_ended() {
    let c = Some("c");
    let end = Event::InstanceEnded { name: "i".to_owned() };
    let case = lines(vec![(c, planned()), (c, instance("i")), (c, instance("i")), (c, end)]).cases.remove(0);
    let ended: Vec<_> = case.evidence.instances.iter().map(|i| i.ended).collect();
    assert_eq!(ended, [None, Some(At(4))]);
}

#[test]
fn a_repetition_starts_afresh_but_keeps_figures_and_what_failed() {
    let c = Some("c");
    let metric = |value| Event::Metric { name: "downtime".to_owned(), value };
    let checked = |passed| {
        let spec = crate::record::CheckSpec::Instance(crate::record::InstanceCheck {
            of: "i".to_owned(),
            state: crate::record::InstanceExpectation::Running,
            progressed_since: None,
            reason: None,
            at: None,
            engine_says: None,
            mounted: None,
        });
        let check = crate::record::Check { origin: Origin::default(), spec, violation: None };
        Event::Checked(crate::record::CheckRecord {
            check,
            verdict: Verdict { passed, seen: String::new(), wanted: None },
        })
    };
    let again = Event::Repetition { number: 2, of: Some(2), warmup: false };
    let events = vec![
        (c, planned()),
        (c, instance("i")),
        (c, metric(1.0)),
        (c, checked(true)),
        (c, checked(false)),
        (c, again),
        (c, metric(2.0)),
    ];
    let case = lines(events).cases.remove(0);
    assert!(case.evidence.instances.is_empty());
    assert_eq!(case.evidence.metrics["downtime"], [1.0, 2.0]);
    assert_eq!(case.checks.iter().map(|c| c.verdict.passed).collect::<Vec<_>>(), [false]);
}

#[test]
fn a_line_of_a_case_that_was_never_planned_is_no_case() {
    assert!(lines(vec![(Some("ghost"), Event::CaseStarted)]).cases.is_empty());
}
