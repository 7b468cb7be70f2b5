use super::*;
use crate::record::{EngineKind, Line, RunId};
use crate::run::Listener;
use crate::scenario::plan::Plan;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

struct Deaf;

impl Listener for Deaf {
    fn line(&self, _: &Line) {}
    fn case(&self, _: &CaseRecord) {}
}

fn case() -> Case {
    let text = include_str!("../../../../scenarios/counter-migrates.yaml");
    let (scenario, _) = crate::scenario::load(text, "scenarios/counter-migrates.yaml", crate::workload::KINDS);
    let selection = crate::scenario::Selection { engines: vec![EngineKind::Runc], ..Default::default() };
    let plan = crate::scenario::plan(&[scenario.expect("a sound scenario")], &selection).expect("a plan");
    plan.cases.into_iter().next().expect("a case")
}

/// A program that answers to `run` as podferry does, by leaving a stored run in which the case took so long, and writes down
/// how it was called. What it stands in for is a run on nodes; what is tried is what is made of the folder.
fn program(dir: &Path, name: &str, ms: f64, outcome: Outcome) -> Build {
    let id = RunId("20260101-000000-0000".to_owned());
    let line = |case: Option<&Case>, event| {
        let line = Line { at: crate::record::At(1), case: case.map(|c| c.id.clone()), event };
        serde_json::to_string(&line).unwrap() + "\n"
    };
    let case = case();
    let planned = Event::CasePlanned {
        scenario: case.scenario.clone(),
        title: String::new(),
        origin: case.origin.clone(),
        engine: case.engine,
        params: case.params.clone(),
        labels: case.labels.clone(),
        rerun: String::new(),
    };
    let node = NodeRecord { name: "a".to_owned(), ..NodeRecord::default() };
    let metric = |value| Event::Metric { name: "checkpoint".to_owned(), value };
    let events: String = [
        line(
            None,
            Event::RunStarted {
                id: id.clone(),
                podferry: String::new(),
                command: Vec::new(),
                started: String::new(),
                host: crate::record::HostRecord::default(),
                image: String::new(),
            },
        ),
        line(None, Event::NodeUp(node)),
        line(Some(&case), planned),
        line(Some(&case), Event::CaseStarted),
        line(Some(&case), metric(9_999.0)),
        line(Some(&case), metric(ms)),
        line(Some(&case), Event::CaseFinished { outcome, reason: Some("so".to_owned()) }),
        line(None, Event::RunFinished { exit_code: 0 }),
    ]
    .concat();
    std::fs::write(dir.join(format!("{name}.jsonl")), events).unwrap();
    let path = dir.join(name);
    let text = format!(
        "#!/bin/sh\necho \"$@\" >> {dir}/{name}.calls\nwhile [ \"$1\" != --out ]; do shift; done\nmkdir -p $2/r\ncp {dir}/{name}.jsonl $2/r/events.jsonl\nln -sfn r $2/latest\n",
        dir = dir.display()
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let component = ComponentRecord {
        name: "podferry".to_owned(),
        version: name.to_owned(),
        digest: name.to_owned(),
        ..ComponentRecord::default()
    };
    Build { component, program: path, args: vec!["--node-image".to_owned(), "sid".to_owned()] }
}

async fn compared(sides: [Build; 2], dir: &Path, pairs: usize) -> Run {
    let recorder = Arc::new(Recorder::create(dir, Box::new(Deaf)).unwrap());
    let plan = Plan { cases: vec![case()], beyond: 0 };
    let pairing = Pairing {
        plan,
        recorder,
        again: "podferry perf ab".to_owned(),
        pairs,
        warmup: 2,
        seed: 1,
        timeout: Duration::from_secs(60),
    };
    let builds = Builds { pairing, sides };
    let (_keep, never) = watch::channel(false);
    execute_builds(builds, |_| BTreeSet::new(), never).await
}

#[tokio::test]
async fn samples_of_both_builds_are_taken_in_turn() {
    let dir = tempfile::tempdir().unwrap();
    let sides = [program(dir.path(), "old", 40.0, Outcome::Passed), program(dir.path(), "new", 50.0, Outcome::Passed)];
    let run = compared(sides, dir.path(), 4).await;
    let of = |side: &str| run.cases.iter().find(|c| c.params["side"] == side).expect("the side");
    assert_eq!(of("baseline").evidence.metrics["checkpoint"], [40.0; 4], "of each run the second time, of no warm-up");
    assert_eq!(of("candidate").evidence.metrics["checkpoint"], [50.0; 4]);
    assert!(run.cases.iter().all(|c| c.outcome == Some(Outcome::Passed)), "{:?}", run.cases);
    let mut on: Vec<(Option<&str>, &str)> =
        run.nodes.iter().map(|n| (n.image.as_deref(), n.components[0].version.as_str())).collect();
    on.sort_unstable();
    assert_eq!(on, [(Some("baseline"), "old"), (Some("candidate"), "new")]);
    let calls = std::fs::read_to_string(dir.path().join("new.calls")).unwrap();
    assert_eq!(calls.lines().count(), 4 + 2);
    let call = calls.lines().next().unwrap();
    assert!(call.starts_with("run --quiet --repeat 2 --engine runc --out "), "{call}");
    assert!(call.contains("--node-image sid") && call.ends_with("counter-migrates[engine=runc]"), "{call}");
    assert!(!dir.path().join("side-candidate/r").exists(), "what passed is not kept");
}

#[tokio::test]
async fn a_build_whose_run_does_not_pass_ends_the_comparison() {
    let dir = tempfile::tempdir().unwrap();
    let sides = [program(dir.path(), "old", 40.0, Outcome::Passed), program(dir.path(), "new", 50.0, Outcome::Failed)];
    let run = compared(sides, dir.path(), 4).await;
    let candidate = run.cases.iter().find(|c| c.params["side"] == "candidate").expect("the side");
    assert_eq!(candidate.outcome, Some(Outcome::Failed));
    let reason = candidate.reason.as_deref().unwrap_or_default();
    assert!(reason.starts_with("so; see ") && dir.path().join("side-candidate/r/events.jsonl").exists(), "{reason}");
}

#[tokio::test]
async fn a_build_that_is_no_podferry_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut sides =
        [program(dir.path(), "old", 40.0, Outcome::Passed), program(dir.path(), "new", 50.0, Outcome::Passed)];
    sides[1].program = PathBuf::from("/bin/false");
    let run = compared(sides, dir.path(), 4).await;
    let candidate = run.cases.iter().find(|c| c.params["side"] == "candidate").expect("the side");
    assert_eq!(candidate.outcome, Some(Outcome::Errored));
    assert!(
        candidate.reason.as_deref().is_some_and(|r| r.contains("/bin/false left no run, exit code 1")),
        "{candidate:?}"
    );
}
