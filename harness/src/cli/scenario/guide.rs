//! Who writes a scenario for a workload of their own from the guide alone, and slips, is told where and how to mend it.

use super::{Format, lint};
use crate::workload::KINDS;
use std::collections::BTreeSet;

/// The guide's scenario for a program of one's own.
fn of_the_guide() -> &'static str {
    let guide = include_str!("../../../../docs/guide.md");
    let section = guide.split("## A program of your own").nth(1).expect("the guide has that section");
    section.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("it has a scenario")
}

/// Slips as they are made: what, in the place of what, and the line that is to be pointed to.
const SLIPS: [(&str, &str, &str, usize); 16] = [
    ("the program's name", "use: archive", "use: archiv", 8),
    ("a setting that is needed", "archive: job.tar, ", "", 8),
    ("a setting's name", "probe: log", "prob: log", 8),
    ("a setting's word", "probe: log", "probe: logs", 8),
    ("a block that is not indented", "\n  clients:", "\nclients:", 11),
    ("a key's name", "\n  steps:", "\n  step:", 11),
    ("a workload that there is not", "workload: job,", "workload: jobs,", 12),
    ("a client that was not started", "    - client: {start: lines}\n", "", 13),
    ("a word in the place of a number", "count: 100}}\n    - capture", "count: many}}\n    - capture", 14),
    ("a comma", "of: job, as: before", "of: job as: before", 15),
    ("a tab", "    - id: move", "\t- id: move", 16),
    ("the node that it is on", "to: b, as: job-moved", "to: a, as: job-moved", 17),
    ("a capture that is not taken", "    - capture: {of: job, as: before}\n", "", 20),
    ("an instance that is gone", "of: job-moved, state", "of: job, state", 23),
    ("a state", "state: running", "state: runing", 23),
    ("a time", "max: 10s", "max: 10 s", 24),
];

/// Slips of who writes the first scenario: each is one mistake, and is told of once, with what to write.
const OF_BEGINNERS: &[(&str, &str, &str, usize, &str)] = &[
    ("a space after a colon", "state: running", "state:running", 23, "write `state: running`"),
    ("a space in a block", "name: job-moves", "name:job-moves", 5, "in line 4: `name: job-moves`"),
    ("a space in a block's second line", "title: our", "title:our", 5, "in line 5: `title: our job"),
    ("a space after a step's name", "- deploy: {", "- deploy:{", 12, "`deploy: {workload: job, node: a}`"),
    ("a colon", "metadata:", "metadata", 3, "`metadata:`"),
    ("quotes", "max: 10s", "max: ${matrix.limit}", 24, "in line 24: `\"${matrix.limit}\"`"),
    ("an axis", "max: 10s", "max: \"${matrix.limit}\"", 24, "`matrix: {axes: {limit: [ONE, ANOTHER]}}`"),
    (
        "an axis in an expression",
        "max: 10s",
        "max: \"${matrix.limit * 2}\"",
        24,
        "`matrix: {axes: {limit: [ONE, ANOTHER]}}`",
    ),
    ("a parameter", "max: 10s", "max: \"${params.limit}\"", 24, "`parameters: {limit: {default: VALUE}}`"),
    ("another word for a step", "  migrate:", "  move:", 17, "`- migrate: {of: INSTANCE, to: b, as: COPY}`"),
    (
        "what moves a checkpoint for what moves a container",
        "  migrate:",
        "  transfer:",
        17,
        "`- migrate: {of: INSTANCE, to: b, as: COPY}`",
    ),
    (
        "a check's name for another",
        "counter: {of: job-moved, resumesFrom: before, tolerance: 50}",
        "workLost: {of: job-moved, resumesFrom: before}",
        21,
        "`- counter: {of: COPY, resumesFrom: CAPTURE}`",
    ),
    (
        "a check among the steps",
        "- client: {stop: lines}",
        "- instance: {of: job-moved, state: running}",
        19,
        "below `checks`",
    ),
    ("a step among the checks", "- budget: {metric: restore, max: 10s}", "- wait: {time: 1s}", 24, "below `steps`"),
    ("a port beyond the last", "probe: log", "probe: counter, port: 808080", 8, "a port from `1` to `65535`"),
    ("a port's name", "probe: log", "probe: counter, port: \"http\"", 8, "a port from `1` to `65535`"),
    ("a probe's port", "probe: log", "probe: counter", 8, "add `port: ...`"),
    (
        "keys that are not indented",
        "capture: {of: job, as: before}",
        "capture:\n      of: job\n      as: before",
        15,
        "`- capture: {of: job, as: before}`",
    ),
    (
        "keys below the dash",
        "capture: {of: job, as: before}",
        "capture:\n    of: job",
        16,
        "by four more: `        of: job`",
    ),
    (
        "a dash",
        "- capture: {of: job, as: before}",
        "capture: {of: job, as: before}",
        15,
        "`- capture: {of: job, as: before}`",
    ),
    (
        "the first dash",
        "- deploy: {workload: job, node: a}",
        "deploy: {workload: job, node: a}",
        13,
        "line 12 too: `- deploy: {workload: job, node: a}`",
    ),
    ("a dash of a step that stands deeper", "  - capture:", "    capture:", 15, "`- capture: ...`"),
    ("a needed key's name", "resumesFrom", "resumeFrom", 21, "write `resumesFrom`"),
    (
        "an instance's name twice",
        "- client: {start: lines}",
        "- deploy: {workload: job, node: b, as: job-moved}\n    - client: {start: lines}",
        18,
        "with `as`",
    ),
    ("a capture's name twice", "- id: move", "- capture: {of: job, as: before}\n    - id: move", 16, "another name"),
    (
        "what a log does not tell",
        "counter: {of: job-moved, resumesFrom: before, tolerance: 50}",
        "sameProcess: {of: job-moved, asOf: before}",
        21,
        "use `counter`",
    ),
    ("what a port does not tell", "probe: log", "probe: tcp, port: 8080", 21, "`probe: log`"),
    ("what nothing tells", ", probe: log", "", 21, "`probe: log`"),
];

/// The findings on the guide's scenario with a slip in it: `to` in the place of `from`.
fn told_of_slip(folder: &std::path::Path, slip: &str, from: &str, to: &str) -> (Vec<serde_json::Value>, String) {
    let whole = of_the_guide();
    assert_eq!(whole.matches(from).count(), 1, "{slip}: `{from}` stands once in the guide's scenario");
    told_of(folder, &whole.replace(from, to))
}

/// The findings on a text, and how they are shown.
fn told_of(folder: &std::path::Path, text: &str) -> (Vec<serde_json::Value>, String) {
    let path = folder.join("job.yaml");
    std::fs::write(folder.join("job.tar"), "").unwrap();
    std::fs::write(&path, text).unwrap();
    let (json, code) = lint(std::slice::from_ref(&path), KINDS, Format::Json);
    assert_eq!(code, 3, "{json}\n{text}");
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    let (human, _) = lint(std::slice::from_ref(&path), KINDS, Format::Human);
    (found["diagnostics"].as_array().unwrap().clone(), human.replace(&path.display().to_string(), "job.yaml"))
}

#[test]
fn what_beginners_slip_on_is_told_once_with_what_to_write() {
    let whole = of_the_guide();
    let folder = tempfile::tempdir().unwrap();
    let mut told = String::new();
    for (slip, from, to, line, mend) in OF_BEGINNERS {
        let (found, human) = told_of_slip(folder.path(), slip, from, to);
        assert_eq!(found.len(), 1, "{slip} is one mistake: {human}");
        assert_eq!(found[0]["line"], *line, "{slip}: {human}");
        assert!(found[0]["help"].as_str().unwrap().contains(mend), "{slip} is told with {mend}: {human}");
        told += &format!("# {slip}\n\n{human}\n");
    }
    let checks = whole.find("  checks:").expect("it has checks");
    let (found, human) = told_of(folder.path(), &format!("{}  checks:\n", &whole[..checks]));
    assert!(found.len() == 1 && found[0]["help"].as_str().unwrap().contains("`  - instance: {"), "{human}");
    told += &format!("# nothing below `checks`\n\n{human}\n");
    let watched = ["answers:", "{start: lines}", "{stop: lines}", "lines: {", "clients:", "exclusive:"];
    let unwatched = whole.lines().filter(|line| !watched.iter().any(|w| line.contains(w)));
    let unwatched =
        unwatched.map(|line| format!("{line}\n")).collect::<String>().replace("metric: restore", "metric: downtime");
    let (found, human) = told_of(folder.path(), &unwatched);
    assert!(found.len() == 1 && found[0]["help"].as_str().unwrap().contains("start a client"), "{human}");
    told += &format!("# what no client sees\n\n{human}");
    insta::assert_snapshot!(told);
}

#[test]
fn ten_slips_and_more_are_told_with_line_cause_and_mend() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = String::new();
    let mut codes = BTreeSet::new();
    for (slip, from, to, line) in SLIPS {
        let (found, human) = told_of_slip(folder.path(), slip, from, to);
        assert!(found.iter().any(|d| d["line"] == line), "{slip} is told of at line {line}: {human}");
        for finding in &found {
            let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            assert!(!text("message").is_empty() && !text("help").is_empty(), "{slip}: {finding}");
            codes.insert(text("code"));
        }
        told += &format!("# {slip}\n\n{human}\n");
    }
    assert!(codes.len() >= 8, "slips of many kinds: {codes:?}");
    insta::assert_snapshot!(told);
}
