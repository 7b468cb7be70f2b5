use super::super::{exit, shipped_rule};
use super::*;
use crate::record::{At, EngineKind, Event, Line, Origin, PerfVerdict, fold};
use crate::run::Exit;

fn run(kernel: &str, checkpoint: f64, spawns: f64) -> Run {
    let case = CaseId("x[engine=runc]".to_owned());
    let line = |event| Line { at: At(1), case: Some(case.clone()), event };
    let started = Event::RunStarted {
        id: RunId(format!("run-{checkpoint}")),
        podferry: "0.1.0".to_owned(),
        command: Vec::new(),
        started: "2030-01-01T00:00:00Z".to_owned(),
        host: HostRecord { kernel: kernel.to_owned(), cpus: 2, ..HostRecord::default() },
        image: String::new(),
    };
    let planned = Event::CasePlanned {
        scenario: "x".to_owned(),
        title: String::new(),
        origin: Origin::default(),
        engine: EngineKind::Runc,
        params: BTreeMap::new(),
        labels: BTreeMap::new(),
        rerun: "podferry run x".to_owned(),
    };
    let mut lines = vec![Line { at: At(0), case: None, event: started }, line(planned)];
    let mut rng = fastrand::Rng::with_seed(checkpoint as u64);
    for _ in 0..20 {
        let value = checkpoint * (0.95 + 0.1 * rng.f64());
        lines.push(line(Event::Metric { name: "checkpoint".to_owned(), value }));
        lines.push(line(Event::Metric { name: "spawns".to_owned(), value: spawns }));
        lines.push(line(Event::Metric { name: "measurement-error".to_owned(), value: 0.1 }));
    }
    lines.push(line(Event::CaseFinished { outcome: Outcome::Passed, reason: None }));
    fold(&lines)
}

fn compared(old: &Run, new: &Run) -> Comparison {
    compare(new, &baseline(old).unwrap(), shipped_rule(), false, &Acks::default()).unwrap()
}

#[test]
fn counts_decide_and_times_advise() {
    let (old, slow, heavy) = (run("6.18", 100.0, 9.0), run("6.18", 140.0, 9.0), run("6.18", 100.0, 10.0));
    let of = |c: &Comparison| c.cases[0].figures.iter().map(|f| f.verdict).collect::<Vec<_>>();
    let slow = compared(&old, &slow);
    assert_eq!(of(&slow), [PerfVerdict::Inconclusive, PerfVerdict::Unchanged]);
    assert_eq!(exit(&slow, true), Exit::Passed);
    let heavy = compared(&old, &heavy);
    assert_eq!(of(&heavy), [PerfVerdict::Unchanged, PerfVerdict::Regressed]);
    assert_eq!((exit(&heavy, true), exit(&heavy, false)), (Exit::Regressed, Exit::Passed));
}

#[test]
fn another_machine_is_refused_unless_allowed_and_then_told() {
    let (old, new) = (baseline(&run("6.18", 100.0, 9.0)).unwrap(), run("6.19", 100.0, 9.0));
    let refused = compare(&new, &old, shipped_rule(), false, &Acks::default()).unwrap_err();
    assert!(refused.to_string().contains("the baseline is of machine "), "{refused}");
    assert!(refused.hint().unwrap().contains("--allow-other-machine"));
    let allowed = compare(&new, &old, shipped_rule(), true, &Acks::default()).unwrap();
    assert!(
        allowed.warnings[0].starts_with("the baseline is of another machine (kernel 6.18"),
        "{:?}",
        allowed.warnings
    );
}

#[test]
fn a_baseline_is_kept_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("perf/baseline.json");
    let mut made = baseline(&run("6.18", 100.0, 9.0)).unwrap();
    // The last digit of a fraction may be lost in text.
    made.series.values_mut().flat_map(BTreeMap::values_mut).flatten().for_each(|v| *v = v.round());
    save(&path, &made).unwrap();
    assert_eq!(load(&path).unwrap(), made);
    let figures: Vec<&String> = made.series.values().next().unwrap().keys().collect();
    assert_eq!(figures, ["checkpoint", "spawns"], "what says how good the measurement was is no figure of the stack");
    std::fs::write(&path, "[]").unwrap();
    assert!(load(&path).unwrap_err().to_string().ends_with("this is no baseline"));
    let nothing = fold(&[]);
    assert!(matches!(baseline(&nothing), Err(PerfError::NoFigures(_))));
}

#[test]
fn what_one_side_lacks_is_told() {
    let mut old = baseline(&run("6.18", 100.0, 9.0)).unwrap();
    let figures = old.series.pop_first().unwrap().1;
    old.series.insert(CaseId("gone".to_owned()), figures);
    let c = compare(&run("6.18", 100.0, 9.0), &old, shipped_rule(), false, &Acks::default()).unwrap();
    assert_eq!(c.warnings, ["of the baseline, but not in this run: gone"]);
    assert_eq!(c.cases[0].trouble.as_deref(), Some("the baseline does not have it"));
    assert_eq!(exit(&c, true), Exit::Surroundings, "a gate that compares nothing must not stand open");
}
