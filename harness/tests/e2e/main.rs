//! Whole runs on real nodes through the program itself, as a user starts it: what it makes, says and leaves, when all goes
//! well and when it does not. Needs root and the node image, and `PODFERRY_WORKLOADS`.

mod archives;
mod ends;
mod faults;
mod jobs;
mod language;
#[path = "../machine/mod.rs"]
mod machine;
#[path = "../node_image/mod.rs"]
mod node_image;
mod passes;
mod red;
mod uses;

use machine::{Place, Traces, runs};
use quick_junit::Report;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A run that has ended.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    fn of(mut command: Command) -> Ended {
        let done = command.output().expect("podferry starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Ended { code: done.status.code().unwrap_or(-1), out: text(done.stdout), err: text(done.stderr) }
    }

    #[track_caller]
    fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "\n{}\n{}", self.out, self.err);
        self
    }
}

/// Runs scenarios of the test's own, in their order, and looks that nothing is left.
fn run(place: &Place, scenarios: &[(&str, &str)], more: &[&str]) -> Ended {
    let before = Traces::now();
    let ended = Ended::of(command(place, scenarios, more));
    place.assert_clean(&before, &format!("after {more:?}: {}", ended.err));
    ended
}

fn command(place: &Place, scenarios: &[(&str, &str)], more: &[&str]) -> Command {
    let mut command = place.podferry(&["run", "--quiet", "--out", "out"]);
    for (name, steps) in scenarios {
        fs::write(place.path(&format!("{name}.yaml")), scenario(name, steps)).expect("written");
        command.args(["--scenario", &format!("{name}.yaml")]);
    }
    command.args(more);
    command
}

fn scenario(name: &str, spec: &str) -> String {
    format!("apiVersion: podferry/v1alpha1\nkind: Scenario\nmetadata: {{name: {name}, title: {name}}}\nspec:\n{spec}")
}

/// The folder of the only run.
fn folder(place: &Place) -> PathBuf {
    let runs = runs(&place.out());
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].clone()
}

fn read(place: &Place, file: &str) -> String {
    let path = folder(place).join(file);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn json(place: &Place) -> Value {
    serde_json::from_str(&read(place, "run.json")).expect("run.json is JSON")
}

fn junit(place: &Place) -> Report {
    Report::deserialize_from_str(&read(place, "junit.xml")).expect("junit.xml is JUnit")
}

/// Outcome and reason of a case.
fn case(run: &Value, name: &str) -> (String, String) {
    let cases = run["cases"].as_array().expect("cases");
    let id = |c: &&Value| c["id"].as_str().is_some_and(|id| id.split('[').next() == Some(name));
    let found = cases.iter().find(id).unwrap_or_else(|| panic!("no case {name} in {run:#}"));
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

/// That a case failed, for a reason that holds these words.
#[track_caller]
fn assert_failed(run: &Value, name: &str, words: &[&str]) {
    let (outcome, reason) = case(run, name);
    assert_eq!(outcome, "failed", "{name}: {reason}");
    for word in words {
        assert!(reason.contains(word), "{name}: {reason}");
    }
}

/// Deploys a counter and looks at it: the shortest case there is.
const QUICK: &str = "  workloads: {counter: {use: counter, with: {interval: 10ms}}}
  steps:
    - deploy: {workload: counter}
    - wait: {counter: {of: counter, atLeast: 3}}
  checks:
    - instance: {of: counter, state: running}
";

/// Waits for longer than any test.
const LONG: &str = "  workloads: {counter: {use: counter, with: {interval: 10ms}}}
  steps:
    - deploy: {workload: counter}
    - wait: {time: 5m, reason: the test ends it}
      timeout: 10m
  checks:
    - instance: {of: counter, state: running}
  timeout: 10m
";
