use super::*;
use crate::record::Origin;
use crate::scenario::{Selection, load, plan};
use rstest::rstest;

const TODAY: &str = "2027-03-31";

fn case(known: Vec<KnownIssue>) -> Case {
    let text = include_str!("../../../../scenarios/counter-migrates.yaml");
    let (scenario, _) = load(text, "scenarios/counter-migrates.yaml", crate::workload::KINDS);
    let selection = Selection { engines: vec![crate::record::EngineKind::Runc], ..Selection::default() };
    let mut plan = plan(&[scenario.expect("a sound scenario")], &selection).expect("a plan");
    Case { known, ..plan.cases.remove(0) }
}

fn issue(of: KnownPart, strict: bool) -> KnownIssue {
    KnownIssue {
        link: "https://issues.example/1".to_owned(),
        reason: "it forgets".to_owned(),
        expires: TODAY.to_owned(),
        strict,
        text: None,
        of,
        origin: Origin::default(),
    }
}

fn failed(causes: &[(KnownPart, &str)]) -> Ended {
    let causes = causes.iter().map(|(of, message)| Cause { of: of.clone(), message: (*message).to_owned() }).collect();
    Ended { causes, ..Ended::new(Outcome::Failed, Some("broken".to_owned())) }
}

fn end(ended: Ended, known: Vec<KnownIssue>, today: &str) -> (Outcome, Vec<KnownState>) {
    let (ended, records) = judge(ended, &case(known), today);
    (ended.outcome.expect("an outcome"), records.iter().map(|r| r.state).collect())
}

fn step() -> KnownPart {
    KnownPart::Step("move".to_owned())
}

#[test]
fn a_failure_that_is_known_is_neither_passed_nor_failed() {
    let known = || vec![issue(KnownPart::Case, true)];
    let broken = || failed(&[(step(), "restore-failed: no such file")]);
    assert_eq!(end(broken(), known(), TODAY), (Outcome::Known, vec![KnownState::Shown]));
    assert_eq!(end(broken(), known(), "2027-04-01"), (Outcome::Failed, vec![KnownState::Expired]));
    assert_eq!(end(broken(), Vec::new(), TODAY), (Outcome::Failed, vec![]));
}

#[test]
fn that_it_passes_is_a_failure_unless_it_need_not_show() {
    let passed = || Ended::new(Outcome::Passed, None);
    assert_eq!(end(passed(), vec![issue(KnownPart::Case, true)], TODAY), (Outcome::Failed, vec![KnownState::Gone]));
    assert_eq!(end(passed(), vec![issue(KnownPart::Case, false)], TODAY), (Outcome::Passed, vec![KnownState::Absent]));
    assert_eq!(end(passed(), vec![issue(KnownPart::Case, true)], "2027-04-01"), (Outcome::Passed, vec![]));
    let (ended, _) = judge(passed(), &case(vec![issue(KnownPart::Check(0), true)]), TODAY);
    assert_eq!(
        ended.reason.as_deref(),
        Some("the check `counter` passed, and https://issues.example/1 says that it fails")
    );
}

#[rstest]
#[case::the_check(&[(KnownPart::Check(1), "x")], Outcome::Known)]
#[case::another_check(&[(KnownPart::Check(0), "x")], Outcome::Failed)]
#[case::another_one_too(&[(KnownPart::Check(1), "x"), (KnownPart::Check(0), "x")], Outcome::Failed)]
#[case::a_step(&[(step(), "x")], Outcome::Failed)]
#[case::its_time(&[(KnownPart::Case, "the case did not end")], Outcome::Failed)]
fn what_is_known_of_a_check_covers_that_alone(#[case] causes: &[(KnownPart, &str)], #[case] outcome: Outcome) {
    assert_eq!(end(failed(causes), vec![issue(KnownPart::Check(1), true)], TODAY).0, outcome);
}

#[test]
fn another_failure_than_the_one_that_is_known_counts() {
    let known = || vec![KnownIssue { text: Some("no such (file|folder)".to_owned()), ..issue(step(), true) }];
    assert_eq!(end(failed(&[(step(), "restore-failed: no such file")]), known(), TODAY).0, Outcome::Known);
    assert_eq!(end(failed(&[(step(), "restore-failed: no room")]), known(), TODAY), (Outcome::Failed, vec![]));
}

#[test]
fn of_two_checks_the_one_that_holds_is_news() {
    let both = || vec![issue(KnownPart::Check(0), true), issue(KnownPart::Check(1), true)];
    let one = failed(&[(KnownPart::Check(0), "x")]);
    assert_eq!(end(one, both(), TODAY), (Outcome::Failed, vec![KnownState::Shown, KnownState::Gone]));
    let all = failed(&[(KnownPart::Check(0), "x"), (KnownPart::Check(1), "x")]);
    assert_eq!(end(all, both(), TODAY).0, Outcome::Known);
    let step_first = vec![issue(step(), true), issue(KnownPart::Check(1), true)];
    assert_eq!(end(failed(&[(step(), "x")]), step_first, TODAY), (Outcome::Known, vec![KnownState::Shown]));
}

#[rstest]
#[case(Outcome::Errored)]
#[case(Outcome::Leaked)]
#[case(Outcome::Skipped)]
fn other_ends_say_nothing_of_an_issue(#[case] outcome: Outcome) {
    assert_eq!(end(Ended::new(outcome, None), vec![issue(KnownPart::Case, true)], TODAY), (outcome, vec![]));
}
