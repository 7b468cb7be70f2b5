//! Workloads and tools may print anything; no format may let it act.

use crate::golden;
use podferry::record::Run;
use podferry::report::{self, Style};

const EVIL: &str = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'` | @all \
    \u{1b}]0;owned\u{7}\u{1b}[31m\u{0}\u{202e}desrever ]]> --> {{ 7*7 }} {% raw %}\r\n::error::injected\n```\n# heading\n";

/// The golden run with hostile text wherever text of a stranger may stand.
fn run() -> Run {
    let mut run = golden::run();
    run.host.cpu_model = EVIL.to_owned();
    run.image = EVIL.to_owned();
    run.command.push(EVIL.to_owned());
    run.errors.push(podferry::record::Failure {
        class: podferry::record::ErrorClass::Surroundings,
        message: EVIL.to_owned(),
        hint: Some(EVIL.to_owned()),
        log: vec![EVIL.to_owned()],
    });
    for node in &mut run.nodes {
        node.components[0].version = EVIL.to_owned();
        node.components[0].digest = format!("\u{fffd}é{EVIL}");
    }
    for leak in &mut run.leaks {
        leak.reason = EVIL.to_owned();
    }
    for case in &mut run.cases {
        case.id.0.push_str(EVIL);
        case.title = EVIL.to_owned();
        case.origin.file.push_str(EVIL);
        case.reason = case.reason.as_ref().map(|_| EVIL.to_owned());
        case.rerun.push_str(EVIL);
        case.params.insert(EVIL.to_owned(), EVIL.to_owned());
        case.labels.insert("javascript:alert(1)".to_owned(), EVIL.to_owned());
        case.files.extend(["javascript:alert(1)", "../../etc/passwd", "//elsewhere/x", EVIL].map(str::to_owned));
        let e = &mut case.evidence;
        for failure in e.steps.iter_mut().filter_map(|s| s.failure.as_mut()) {
            (failure.message, failure.log) = (EVIL.to_owned(), vec![EVIL.to_owned()]);
        }
        e.steps.iter_mut().for_each(|s| s.title.push_str(EVIL));
        e.phases.iter_mut().for_each(|p| p.node.push_str(EVIL));
        e.instances.iter_mut().for_each(|i| (i.name, i.node) = (EVIL.to_owned(), EVIL.to_owned()));
        e.checkpoints.iter_mut().for_each(|c| c.digest = format!("é\u{1f980}{EVIL}"));
        e.histories.values_mut().for_each(|h| h.endpoints.iter_mut().for_each(|p| p.instance = EVIL.to_owned()));
        e.metrics.insert(EVIL.to_owned(), vec![f64::NAN, f64::INFINITY, 1.0]);
        for check in &mut case.checks {
            check.verdict.seen = EVIL.to_owned();
            check.verdict.wanted = Some(EVIL.to_owned());
        }
    }
    run
}

fn has_controls(text: &str) -> bool {
    text.chars().any(|c| c == '\u{202e}' || (c.is_control() && c != '\n' && c != '\t'))
}

#[test]
fn html_shows_it_and_runs_none_of_it() {
    let html = report::html(&run());
    assert!(html.contains("alert(1)"), "it is to be shown");
    assert_eq!(html.matches("<script").count(), 1, "one script: the embedded one");
    assert_eq!(html.matches("<img").count(), 0);
    assert!(!has_controls(&html));
    assert!(html.contains("{{ 7*7 }}"), "text is no template");
    let tags = regex::Regex::new(r"<[a-z][^>]*>").unwrap();
    let values = regex::Regex::new(r#""[^"]*""#).unwrap();
    for tag in tags.find_iter(&html) {
        let bare = values.replace_all(tag.as_str(), "");
        assert!(!bare.contains(" on") && !bare.contains("alert"), "an attribute of a stranger: {}", tag.as_str());
    }
    let links = regex::Regex::new(r#"href="([^"]*)""#).unwrap();
    for link in links.captures_iter(&html) {
        let to = &link[1];
        assert!(to.starts_with("./") || to.starts_with(".&#x2f;") || to.starts_with('#'), "a link to {to}");
        assert!(!to.contains(".."), "a link out of the folder: {to}");
    }
}

#[test]
fn the_terminal_is_not_steered() {
    let run = run();
    assert!(!has_controls(&report::terminal::summary(&run, "x", Style::PLAIN)));
    for case in &run.cases {
        let line = report::terminal::case_line(case, Style::PLAIN);
        assert!(!has_controls(&line));
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn github_sees_no_command_but_ours() {
    let text = report::annotations(&run());
    assert!(!has_controls(&text));
    for line in text.lines() {
        let ours = ["::error file=", "::error title=podferry", "::notice file="];
        assert!(ours.iter().any(|o| line.starts_with(o)), "{line}");
    }
}

#[test]
fn markdown_keeps_it_text() {
    let text = report::markdown(&run());
    assert!(!has_controls(&text));
    let code = regex::Regex::new("`[^`]*`").unwrap();
    let mut fenced = None;
    for line in text.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match fenced {
            None if ticks >= 3 => fenced = Some(ticks),
            Some(open) if ticks >= open && line.len() == ticks => fenced = None,
            Some(_) => {}
            None => {
                let bare = code.replace_all(line, "");
                assert!(!bare.contains("<script"), "{line}");
                assert!(!bare.contains("@all"), "{line}");
                assert!(!line.starts_with("# heading"), "{line}");
            }
        }
    }
    assert_eq!(fenced, None, "a fence stays open");
}

#[test]
fn junit_stays_xml() {
    let text = report::junit(&run());
    assert!(!has_controls(&text));
    assert!(!text.contains("<script"));
    let open = regex::Regex::new("<testcase ").unwrap().find_iter(&text).count();
    assert_eq!(open, text.matches("</testcase>").count());
}
