use super::*;
use crate::check::sample;
use crate::client::write_history;
use crate::record::{
    AckedWritesCheck, BudgetCheck, CounterCheck, EngineKind, ErrorClass, Failure, HostRecord, LossPolicy, Origin,
    RunId, StepRecord,
};
use crate::run::Exit;
use std::fs;
use tempfile::TempDir;

const CASE: &str = "moves[engine=runc]";

fn check(line: u32, spec: CheckSpec) -> Check {
    Check { origin: Origin { file: "moves.yaml".to_owned(), line, column: 7 }, spec, violation: None }
}

/// What the sample's migration is judged by.
fn checks(downtime_ms: f64) -> Vec<Check> {
    let counter = CounterCheck { of: "copy".to_owned(), resumes_from: "before".to_owned(), tolerance: 0 };
    let writes = AckedWritesCheck { client: "writer".to_owned(), lost: LossPolicy::None, duplicated: 0, at_least: 100 };
    let budget = BudgetCheck { metric: Metric::Downtime, bounds: vec![(100.0, downtime_ms)] };
    vec![
        check(10, CheckSpec::Counter(counter)),
        check(11, CheckSpec::AckedWrites(writes)),
        check(12, CheckSpec::Budget(budget)),
    ]
}

/// Events of a run of one case, in which the sample's evidence was recorded, and judged by these checks.
fn events(dir: &Path, checks: &[Check], outcome: Outcome, step: Option<StepRecord>) -> Vec<Event> {
    let sample = Evidence { metrics: BTreeMap::new(), ..sample::evidence() };
    let mut all = vec![
        Event::CasePlanned {
            scenario: "moves".to_owned(),
            title: String::new(),
            origin: Origin::default(),
            engine: EngineKind::Runc,
            params: BTreeMap::new(),
            labels: BTreeMap::new(),
            rerun: String::new(),
        },
        Event::ChecksPlanned(checks.to_vec()),
        Event::CaseStarted,
    ];
    all.extend(sample.instances.iter().cloned().map(Event::Instance));
    all.extend(sample.captures.iter().map(|c| Event::Capture(Box::new(c.clone()))));
    all.extend(sample.checkpoints.iter().cloned().map(Event::Checkpoint));
    all.extend(sample.migrations.iter().cloned().map(Event::Migration));
    all.extend(sample.phases.iter().cloned().map(Event::Phase));
    all.extend(step.map(Event::StepFinished));
    for (client, history) in &sample.histories {
        let file = format!("{client}.csv");
        write_history(&dir.join(&file), history).unwrap();
        all.push(Event::History { client: client.clone(), file });
    }
    let figures = check::metrics(&sample);
    all.extend(figures.iter().map(|(name, value)| Event::Metric { name: name.clone(), value: *value }));
    all.push(Event::Metric { name: "spawns".to_owned(), value: 7.0 });
    let metrics = figures.into_iter().map(|(name, value)| (name, vec![value])).collect();
    let evidence = Evidence { metrics, ..sample };
    let judged = |c: &Check| CheckRecord { check: c.clone(), verdict: check::verdict(c, &evidence) };
    all.extend(checks.iter().map(|c| Event::Checked(judged(c))));
    all.push(Event::CaseFinished { outcome, reason: None });
    all
}

/// A stored run of these events.
fn store(dir: &Path, events: Vec<Event>) {
    let began = Event::RunStarted {
        id: RunId("20260101-000000-0000".to_owned()),
        podferry: String::new(),
        command: Vec::new(),
        started: String::new(),
        host: HostRecord::default(),
        image: String::new(),
    };
    let line = |case: Option<&str>, event| Line { at: sample_end(), case: case.map(|c| CaseId(c.to_owned())), event };
    let all = [line(None, began)]
        .into_iter()
        .chain(events.into_iter().map(|e| line(Some(CASE), e)))
        .chain([line(None, Event::RunFinished { exit_code: 0 })]);
    let text: String = all.map(|l| serde_json::to_string(&l).unwrap() + "\n").collect();
    fs::write(dir.join("events.jsonl"), text).unwrap();
}

fn sample_end() -> crate::record::At {
    crate::record::At(300_000_000)
}

fn passed() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let events = events(dir.path(), &checks(1_000.0), Outcome::Passed, None);
    store(dir.path(), events);
    dir
}

fn edit(dir: &TempDir, file: &str, from: &str, to: &str) {
    let path = dir.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in {file}: {text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn again(dir: &TempDir) -> (RecheckedCase, Exit) {
    let Rechecked { run, mut cases } = recheck(dir.path(), |_| None).unwrap();
    (cases.remove(0), Exit::of(&run, false))
}

#[test]
fn what_has_not_changed_is_judged_as_it_was() {
    let dir = passed();
    let (case, exit) = again(&dir);
    assert!(!case.changed(), "{case:?}");
    assert_eq!((case.checks.len(), case.notes.len(), exit), (3, 0, Exit::Passed));
    for judged in &case.checks {
        assert_eq!(judged.was.as_ref(), Some(&judged.now), "the same words too");
    }
}

#[test]
fn a_lower_budget_fails_what_had_passed() {
    let dir = passed();
    let (whole, _) = again(&dir);
    assert!(whole.checks[2].now.passed);
    edit(&dir, "events.jsonl", "1000.0", "1.0");
    let (case, exit) = again(&dir);
    assert_eq!((case.was, case.now, exit), (Some(Outcome::Passed), Some(Outcome::Failed), Exit::Failed));
    let changed: Vec<&str> = case.checks.iter().filter(|c| c.changed()).map(|c| c.check.spec.name()).collect();
    assert_eq!(changed, ["budget"]);
    let again = recheck(dir.path(), |_| None).unwrap();
    insta::assert_snapshot!(crate::report::recheck(&again, crate::report::Style::PLAIN));
}

#[test]
fn a_write_that_is_gone_from_the_history_is_a_lost_one() {
    let dir = passed();
    edit(&dir, "writer.csv", "[[0,159]]", "[[0,6],[8,159]]");
    let (case, exit) = again(&dir);
    assert_eq!((case.now, exit), (Some(Outcome::Failed), Exit::Failed));
    let changed: Vec<&str> = case.checks.iter().filter(|c| c.changed()).map(|c| c.check.spec.name()).collect();
    assert_eq!(changed, ["ackedWrites"]);
}

/// Figures are worked out anew: a budget does not rest on what was worked out then.
#[test]
fn a_figure_follows_from_the_histories() {
    let dir = passed();
    for client in ["writer.csv", "reader.csv"] {
        let text = fs::read_to_string(dir.path().join(client)).unwrap();
        // The source's last answers: asked for between 30 and 40 ms.
        let due = |line: &str| line.split(',').next().and_then(|n| n.parse::<u64>().ok());
        let kept: Vec<&str> =
            text.lines().filter(|l| due(l).is_none_or(|n| !(30_000_000..40_000_000).contains(&n))).collect();
        fs::write(dir.path().join(client), kept.join("\n") + "\n").unwrap();
    }
    let before = recheck(passed().path(), |_| None).unwrap().run.cases[0].evidence.metrics["downtime"][0];
    let after = recheck(dir.path(), |_| None).unwrap().run.cases[0].evidence.metrics["downtime"][0];
    assert!(after > before, "{before} -> {after}");
}

#[test]
fn what_had_failed_by_its_checks_passes_by_others() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path(), events(dir.path(), &checks(1.0), Outcome::Failed, None));
    assert_eq!(again(&dir).0.now, Some(Outcome::Failed));
    let Rechecked { run, cases } = recheck(dir.path(), |_| Some(checks(1_000.0))).unwrap();
    assert_eq!(cases[0].now, Some(Outcome::Passed));
    assert_eq!(Exit::of(&run, false), Exit::Passed);
    assert_eq!(run.cases[0].evidence.metrics["spawns"], [7.0], "counts are kept");
}

#[test]
fn evidence_that_is_gone_judges_nothing() {
    let dir = passed();
    fs::remove_file(dir.path().join("reader.csv")).unwrap();
    let (case, exit) = again(&dir);
    assert_eq!((case.now, exit), (Some(Outcome::Errored), Exit::Surroundings));
    assert!(case.checks.is_empty() && case.notes[0].contains("reader.csv"), "{case:?}");
}

#[test]
fn no_check_mends_a_step_that_went_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let step = StepRecord {
        id: "move".to_owned(),
        title: String::new(),
        finally: false,
        passed_over: None,
        used_at: None,
        origin: Origin::default(),
        from: sample_end(),
        to: sample_end(),
        error_expected: false,
        failure: Some(Failure::new(ErrorClass::RestoreFailed, "no")),
    };
    store(dir.path(), events(dir.path(), &checks(1_000.0), Outcome::Failed, Some(step)));
    assert_eq!(again(&dir).0.now, Some(Outcome::Failed));
}

#[test]
fn an_older_run_is_judged_by_what_was_judged_then_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut events = events(dir.path(), &checks(1_000.0), Outcome::Passed, None);
    events.retain(|e| !matches!(e, Event::ChecksPlanned(_)));
    store(dir.path(), events);
    let (case, exit) = again(&dir);
    assert_eq!((case.checks.len(), exit), (3, Exit::Passed));
    assert!(case.notes[0].starts_with("an older run"), "{:?}", case.notes);
}

/// A repetition's evidence is judged, not that of the one after it.
#[test]
fn each_repetition_is_judged_by_its_own_evidence() {
    let dir = tempfile::tempdir().unwrap();
    let one = events(dir.path(), &checks(1_000.0), Outcome::Passed, None);
    let (head, body) = one.split_at(3);
    let (body, end) = body.split_at(body.len() - 1);
    // A budget is judged after all of them.
    let (own, budget) = body.split_at(body.len() - 1);
    let of = |n: u32| Event::Repetition { number: n, of: Some(2), warmup: false };
    let spoiled = own.iter().cloned().map(|e| match e {
        Event::History { client, .. } => Event::History { file: format!("2-{client}.csv"), client },
        other => other,
    });
    for client in ["writer", "reader"] {
        fs::copy(dir.path().join(format!("{client}.csv")), dir.path().join(format!("2-{client}.csv"))).unwrap();
    }
    let parts = [head, &[of(1)], own].concat().into_iter().chain([of(2)]).chain(spoiled);
    store(dir.path(), parts.chain(budget.to_vec()).chain(end.to_vec()).collect());
    let Rechecked { run, cases } = recheck(dir.path(), |_| None).unwrap();
    assert!(!cases[0].changed(), "{:?}", cases[0]);
    assert_eq!(run.cases[0].evidence.metrics["downtime"].len(), 2);
    edit(&dir, "writer.csv", "[[0,159]]", "[[0,6],[8,159]]");
    assert_eq!(again(&dir).0.now, Some(Outcome::Failed), "the first of them");
}
