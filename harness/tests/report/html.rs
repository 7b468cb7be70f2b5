//! The HTML report: one file, nothing fetched, nothing that its own policy would refuse.

use crate::golden;
use podferry::report;

#[test]
fn the_file_stands_alone() {
    let html = report::html(&golden::run());
    for outside in ["http://", "https://", "url(", "@import", " src=", "<link"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(!html.contains(" style="), "the policy refuses style attributes");
}

#[test]
fn the_policy_admits_the_embedded_style_and_script() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let html = report::html(&golden::run());
    let policy = html.split("Content-Security-Policy\" content=\"").nth(1).unwrap().split('"').next().unwrap();
    let policy = policy.replace("&#x2f;", "/").replace("&#x27;", "'");
    for (tag, end) in [("<style>", "</style>"), ("<script>", "</script>")] {
        let text = html.split(tag).nth(1).unwrap().split(end).next().unwrap();
        let digest = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(text.as_bytes()));
        assert!(policy.contains(&format!("'sha256-{digest}'")), "{tag} is not in {policy}");
    }
}

#[test]
fn every_case_has_a_row_and_its_details() {
    let run = golden::run();
    let html = report::html(&run);
    for i in 1..=run.cases.len() {
        assert!(html.contains(&format!("href=\"#case-{i}\"")), "row {i}");
        assert!(html.contains(&format!("id=\"case-{i}\"")), "details {i}");
    }
    // Those that need a look are open.
    assert_eq!(html.matches(" open>").count(), 4);
}

/// A client of 100 s at 1 kHz: the file must not grow with it.
#[test]
fn a_long_history_is_drawn_with_few_dots() {
    let mut run = golden::run();
    let short = report::html(&run).len();
    golden::lengthen(&mut run, 100_000);
    let html = report::html(&run);
    let dots = regex::Regex::new("class=\"dots\" d=\"([^\"]*)\"").unwrap();
    for path in dots.captures_iter(&html) {
        let n = path[1].matches("h0").count();
        assert!(n <= 2_000, "{n} dots");
    }
    assert!(html.contains("dots stand for"));
    assert!(html.len() < short + 64 * 1024, "{} bytes, {short} with a short history", html.len());
}

/// A log follower has no schedule: the pauses of a program that prints now and then are no outages.
#[test]
fn a_client_without_a_schedule_has_no_outages() {
    let mut run = golden::run();
    run.cases.truncate(1);
    assert!(report::html(&run).contains("no answer 142 ms"));
    for history in run.cases[0].evidence.histories.values_mut() {
        (history.kind, history.interval_ns) = ("log-follower".to_owned(), 0);
    }
    let html = report::html(&run);
    assert!(!html.contains("no answer"));
    assert!(!html.contains("class=\"plot\""));
    assert!(html.contains("takes what comes"));
}

#[test]
fn a_step_that_failed_is_in_the_chart_and_its_checks_are_folded() {
    use podferry::record::{Check, CheckRecord, CheckSpec, FaultRecord, SameProcessCheck, Verdict};
    let mut run = golden::run();
    let failed = |c: &podferry::record::CaseRecord| c.evidence.migrations.iter().any(|m| m.error.is_some());
    let case = run.cases.iter_mut().find(|c| failed(c)).unwrap();
    let of = SameProcessCheck { of: "redis-moved".to_owned(), as_of: "before".to_owned(), memory: false };
    let check = Check { origin: case.origin.clone(), spec: CheckSpec::SameProcess(of), violation: None };
    let verdict = Verdict { passed: false, seen: "there is no such process".to_owned(), wanted: None };
    case.checks.push(CheckRecord { check, verdict });
    let from = case.evidence.steps.last().unwrap().from;
    let name = Some("dead".to_owned());
    let title = "kill containerd on b".to_owned();
    case.evidence.faults.push(FaultRecord { id: 1, name, title, node: "b".to_owned(), from, mended: None });
    let html = report::html(&run);
    assert!(html.contains("<rect class=\"failed\""), "the chart has the failure");
    assert!(html.contains("no downtime: redis-moved never answered"), "the outage is no downtime");
    assert!(html.contains("own fault `dead` was at work: kill containerd on b"), "beside the error");
    assert!(html.contains("<b>and so</b> 1 check does not hold: sameProcess ("), "the consequence is a line");
    assert_eq!(html.matches("there is no such process").count(), 1, "in the table of checks alone");
    let terminal = report::terminal::summary(&run, "target/e2e/latest", podferry::report::Style::PLAIN);
    assert!(terminal.contains("  and so      1 check does not hold: sameProcess ("), "{terminal}");
    assert!(!terminal.contains("there is no such process"), "{terminal}");
}
