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
