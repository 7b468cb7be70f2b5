//! What readers of a run see, as snapshots over runs made by hand.

mod golden;
mod hostile;
mod html;
mod schemas;
mod survey;

use podferry::record::{Line, Run, fold};
use podferry::report::{self, Style};
use std::path::Path;

const FOLDER: &str = "target/e2e/latest";

fn empty() -> Run {
    let mut script = golden::Script::new("20261122-170000-0000");
    script.begin();
    script.end(4);
    fold(&script.lines)
}

#[test]
fn terminal() {
    insta::assert_snapshot!(report::terminal::summary(&golden::run(), FOLDER, Style::PLAIN));
}

#[test]
fn terminal_of_a_killed_run() {
    insta::assert_snapshot!(report::terminal::summary(&golden::killed(), FOLDER, Style::PLAIN));
}

#[test]
fn terminal_without_cases() {
    insta::assert_snapshot!(report::terminal::summary(&empty(), FOLDER, Style::PLAIN));
}

#[test]
fn terminal_lines_as_cases_end() {
    let run = golden::run();
    let lines: Vec<String> = run.cases.iter().map(|c| report::terminal::case_line(c, Style::PLAIN)).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn colour_adds_escapes_and_nothing_else() {
    let run = golden::run();
    let coloured = report::terminal::summary(&run, FOLDER, Style { color: true });
    let plain = report::terminal::summary(&run, FOLDER, Style::PLAIN);
    let bare = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap().replace_all(&coloured, "").into_owned();
    assert_ne!(coloured, plain);
    assert_eq!(bare, plain);
}

#[test]
fn junit() {
    insta::assert_snapshot!(report::junit(&golden::run()));
}

/// Each format tells a failure that is known from one that is not, with its link.
#[test]
fn known_issues() {
    let run = golden::known();
    insta::assert_snapshot!("known_terminal", report::terminal::summary(&run, FOLDER, Style::PLAIN));
    insta::assert_snapshot!("known_junit", report::junit(&run));
    insta::assert_snapshot!("known_markdown", report::markdown(&run));
    insta::assert_snapshot!("known_annotations", report::annotations(&run));
    let html = report::html(&run);
    assert!(html.contains("<a href=\"https:&#x2f;&#x2f;issues.example&#x2f;7\""), "the link of the issue");
    assert!(html.contains("badge s-known") && html.contains("until 2026-11-30"));
    assert!(html.contains("there is no instance `redis-moved`"));
    assert!(html.contains("used at <code class=\"where\">scenarios&#x2f;thawed-again.yaml:27:14</code>"));
    let json: serde_json::Value = serde_json::from_str(&report::json(&run)).expect("JSON");
    assert_eq!(json["cases"][0]["status"], "known");
    assert_eq!(json["cases"][0]["known"][0]["state"], "shown");
    assert_eq!(json["counts"]["known"], 1);
}

#[test]
fn a_run_of_known_failures_alone_is_not_passed() {
    let mut run = golden::known();
    run.cases.truncate(1);
    let told = report::terminal::summary(&run, FOLDER, Style::PLAIN);
    assert!(told.starts_with("KNOWN  no case passed, and none failed that is not known to; 1 known"), "{told}");
    assert_eq!(podferry::run::Exit::of(&run, false), podferry::run::Exit::Passed);
    assert!(report::markdown(&run).contains("issues.example"), "the table of cases has the link");
}

#[test]
fn junit_of_a_killed_run() {
    insta::assert_snapshot!(report::junit(&golden::killed()));
}

#[test]
fn markdown() {
    insta::assert_snapshot!(report::markdown(&golden::run()));
}

#[test]
fn annotations() {
    insta::assert_snapshot!(report::annotations(&golden::run()));
}

#[test]
fn json() {
    insta::assert_snapshot!(report::json(&golden::run()));
}

/// Stored runs are judged and rendered again by later versions: the form of events must not change unseen.
#[test]
fn the_stored_golden_run_still_folds_to_the_same_run() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden/run.jsonl");
    let made = golden::lines();
    if std::env::var("INSTA_UPDATE").is_ok_and(|v| v == "always") {
        let text: Vec<String> = made.iter().map(|l| serde_json::to_string(l).unwrap()).collect();
        std::fs::write(&path, text.join("\n") + "\n").unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Line> = stored.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(fold(&lines), fold(&made));
}

#[test]
fn progress() {
    let mut progress = report::Progress::default();
    let mut told = Vec::new();
    for line in golden::lines() {
        told.extend(progress.feed(&line).map(|l| format!("log     {l}")));
        let status = progress.status(line.at + std::time::Duration::from_millis(2_300));
        told.extend(status.map(|s| format!("status  {s}")));
    }
    told.dedup();
    assert_eq!(progress.done(), (8, 8));
    insta::assert_snapshot!(told.join("\n"));
}

/// A run can be killed at any moment: whatever was recorded until then has a report in every format.
#[test]
fn every_beginning_of_a_run_has_a_report() {
    let lines = golden::lines();
    for end in 0..=lines.len() {
        let run = fold(&lines[..end]);
        let html = report::html(&run);
        assert!(html.contains("</html>"), "after {end} events: {html}");
        assert!(report::junit(&run).contains("</testsuites>") || end < 4, "after {end} events");
        assert!(report::markdown(&run).starts_with("## podferry: "), "after {end} events");
        assert!(serde_json::from_str::<serde_json::Value>(&report::json(&run)).is_ok(), "after {end} events");
        let killed = end < lines.len();
        let said = report::terminal::summary(&run, FOLDER, Style::PLAIN);
        assert_eq!(said.starts_with("UNFINISHED"), killed, "after {end} events: {said}");
    }
}

#[test]
fn a_summary_for_github_stays_within_its_limit() {
    let mut run = golden::run();
    let failed = run.cases[2].clone();
    for i in 0..40 {
        let mut case = failed.clone();
        case.id.0 = format!("{}-{i}", case.id.0);
        let failure = case.evidence.steps[2].failure.as_mut().expect("the migration failed");
        failure.message = "x".repeat(1 << 14);
        failure.log = vec!["y".repeat(2048); 80];
        run.cases.push(case);
    }
    let text = report::markdown(&run);
    assert!(text.len() <= report::SUMMARY_LIMIT, "{} bytes", text.len());
    assert!(text.contains("parts left out"), "nothing says that something is missing");
    assert!(text.contains("<details>") || text.ends_with("See report.html.\n"));
}

/// A violation that the scenario expects is neither a failure nor a check that holds, and reads as what it is.
#[test]
fn an_expected_violation_is_told_as_one() {
    let mut run = golden::run();
    let check = &mut run.cases[0].checks[0];
    check.check.violation = Some("half of it".to_owned());
    check.verdict.seen = "violated, as expected: half of it is gone".to_owned();
    let html = report::html(&run);
    assert_eq!(html.matches(">violated, as expected</span>").count(), 1, "the badge of that one check");
    assert!(report::junit(&run).contains("ok, an expected violation: violated, as expected: half of it is gone"));
    let json: serde_json::Value = serde_json::from_str(&report::json(&run)).expect("JSON");
    assert_eq!(json["cases"][0]["checks"][0]["violation"], "half of it");
    assert_eq!(json["cases"][0]["checks"][1].get("violation"), None);
}
