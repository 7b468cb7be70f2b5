use super::view::{CaseView, RunView, Status, migration_timeline, state_sentence};
use crate::record::{Failure, Leak, Millis, Run};
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// `junit.xml`: a suite for each scenario, a test for each case. A stack that is wrong is a `failure`; surroundings that
/// are wrong, leaks, and cases without an end are `error`s, told apart by their `type`; skips carry their reason. A failure
/// that is known is `skipped` with the type `known-issue`. What
/// went wrong outside any case is in the suite `podferry`, which is there only then.
pub fn junit(run: &Run) -> String {
    let view = RunView::of(run);
    let mut report = Report::new("podferry");
    report.set_time(duration(view.ms));
    let mut suites: Vec<TestSuite> = Vec::new();
    for case in &view.cases {
        let known = suites.iter().position(|s| s.name.as_str() == case.scenario);
        let index = known.unwrap_or_else(|| {
            suites.push(TestSuite::new(case.scenario.as_str()));
            suites.len() - 1
        });
        suites[index].add_test_case(test(case));
    }
    suites.extend(outside(&view));
    report.add_test_suites(suites);
    report.to_string().unwrap_or_else(|e| {
        // Writing to memory does not fail; if the crate finds another reason, the reader must see an error, not nothing.
        format!("<?xml version=\"1.0\"?><testsuites name=\"podferry\" errors=\"1\"><!-- {e:?} --></testsuites>\n")
    })
}

fn test(case: &CaseView) -> TestCase {
    let mut test = TestCase::new(case.id.as_str(), status(case));
    test.set_classname(case.scenario.as_str());
    test.set_time(duration(case.ms));
    let origin = case.problems.first().map_or(&case.origin, |p| &p.origin);
    // Not in the schema, but read by GitLab, CircleCI and GitHub actions that annotate from JUnit files.
    test.extra.insert("file".into(), origin.file.as_str().into());
    test.extra.insert("line".into(), origin.line.to_string().into());
    let engine = [("engine", case.engine.name()), ("file", origin.file.as_str())];
    test.add_properties(engine.map(|(k, v)| Property::new(k, v)));
    test.add_property(Property::new("line", origin.line.to_string()));
    test.add_properties(case.known.iter().map(|k| Property::new("known-issue", k.link.as_str())));
    test.add_properties(case.params.iter().map(|(k, v)| Property::new(format!("matrix.{k}"), v)));
    test.add_properties(
        case.metrics.iter().map(|m| Property::new(format!("{}.{}", m.name, m.unit), m.median.to_string())),
    );
    test.set_system_out(evidence(case));
    test
}

fn status(case: &CaseView) -> TestCaseStatus {
    let (kind, what) = match case.status {
        Status::Passed => return TestCaseStatus::success(),
        Status::Skipped => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(case.headline.as_str());
            return skipped;
        }
        // As pytest writes an expected failure: tools that know only of skips must not count it as a failure.
        Status::Known => {
            let mut known = TestCaseStatus::skipped();
            known.set_message(case.headline.as_str()).set_type("known-issue").set_description(description(case));
            return known;
        }
        Status::Failed => (NonSuccessKind::Failure, "failed"),
        Status::Errored => (NonSuccessKind::Error, "errored"),
        Status::Leaked => (NonSuccessKind::Error, "leaked"),
        Status::Unfinished => (NonSuccessKind::Error, "unfinished"),
        Status::NotRun => (NonSuccessKind::Error, "not-run"),
    };
    let mut status = TestCaseStatus::non_success(kind);
    let class = case.problems.first().and_then(|p| p.class).map(|c| format!(".{c}")).unwrap_or_default();
    status.set_message(case.headline.as_str()).set_type(format!("{what}{class}")).set_description(description(case));
    status
}

fn description(case: &CaseView) -> String {
    let mut lines = Vec::new();
    for p in &case.problems {
        lines.push(format!("{}: {}", p.origin, p.subject));
        lines.extend(p.used_at.iter().map(|used| format!("used at {used}")));
        lines.push(p.message.clone());
        lines.extend(p.wanted.iter().map(|w| format!("wanted: {w}")));
        lines.extend(p.log.iter().map(|l| format!("    {l}")));
        lines.extend(p.at_work.iter().map(|f| format!("while {f}")));
        lines.extend(p.hint.iter().map(|h| format!("hint: {h}")));
        lines.push(String::new());
    }
    lines.push(format!("rerun: {}", case.rerun));
    lines.join("\n")
}

fn evidence(case: &CaseView) -> String {
    let mut lines = vec![case.title.clone()];
    for step in &case.steps {
        let error = step
            .failure
            .as_ref()
            .map(|f| format!(": {}{}", f.class, if step.error_expected { " (expected)" } else { "" }))
            .or_else(|| step.passed_over.as_ref().map(|why| format!(": not done, {why}")));
        lines.push(format!("step {} {} ({}){}", step.origin, step.title, Millis(step.ms), error.unwrap_or_default()));
    }
    for check in &case.checks {
        let word = match (check.passed, &check.violation) {
            (false, _) => "FAILED",
            (true, Some(_)) => "ok, an expected violation",
            (true, None) => "ok",
        };
        lines.push(format!("check {} {} {}: {word}: {}", check.origin, check.name, check.subject, check.seen));
    }
    lines.extend(migration_timeline(case).into_iter().map(|t| format!("timeline {t}")));
    lines.extend(state_sentence(case).map(|s| format!("state {s}")));
    lines.extend(case.metrics.iter().map(|m| format!("figure {} {}", m.name, m.shown())));
    lines.extend(case.files.iter().map(|f| format!("evidence {f}")));
    lines.join("\n")
}

/// Errors and leaks that belong to no case.
fn outside(view: &RunView) -> Option<TestSuite> {
    let leaks = view.leaks.iter().filter(|l| !view.cases.iter().any(|c| c.leaks.contains(l)));
    let tests: Vec<TestCase> = view.errors.iter().map(error).chain(leaks.map(leaked)).collect();
    (!tests.is_empty()).then(|| {
        let mut suite = TestSuite::new("podferry");
        suite.add_test_cases(tests);
        suite
    })
}

fn error(f: &Failure) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    let log = f.log.join("\n");
    let hint = f.hint.as_ref().map(|h| format!("\nhint: {h}")).unwrap_or_default();
    status
        .set_message(f.message.as_str())
        .set_type(format!("errored.{}", f.class))
        .set_description(format!("{log}{hint}"));
    TestCase::new("surroundings", status)
}

fn leaked(leak: &Leak) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    let message = format!("{} {} was left behind: {}", leak.kind, leak.name, leak.reason);
    status.set_message(message).set_type("leaked");
    TestCase::new("nothing is left behind", status)
}

fn duration(ms: Option<f64>) -> Duration {
    Duration::from_secs_f64(ms.unwrap_or_default().max(0.0) / 1e3)
}
