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

#[test]
fn ten_slips_and_more_are_told_with_line_cause_and_mend() {
    let whole = of_the_guide();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.yaml");
    let mut told = String::new();
    let mut codes = BTreeSet::new();
    for (slip, from, to, line) in SLIPS {
        assert_eq!(whole.matches(from).count(), 1, "{slip}: `{from}` stands once in the guide's scenario");
        std::fs::write(&path, whole.replace(from, to)).unwrap();
        let (json, code) = lint(std::slice::from_ref(&path), KINDS, Format::Json);
        assert_eq!(code, 3, "{slip}: {json}");
        let found: serde_json::Value = serde_json::from_str(&json).unwrap();
        let found = found["diagnostics"].as_array().unwrap();
        assert!(found.iter().any(|d| d["line"] == line), "{slip} is told of at line {line}: {json}");
        for finding in found {
            let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            assert!(!text("message").is_empty() && !text("help").is_empty(), "{slip}: {finding}");
            codes.insert(text("code"));
        }
        let (human, _) = lint(std::slice::from_ref(&path), KINDS, Format::Human);
        told += &format!("# {slip}\n\n{}\n", human.replace(&path.display().to_string(), "job.yaml"));
    }
    assert!(codes.len() >= 8, "slips of many kinds: {codes:?}");
    insta::assert_snapshot!(told);
}
