use super::super::{exit, shipped_rule};
use super::*;
use crate::record::{At, ComponentRecord, EngineKind, Event, Line, Origin, PerfVerdict, ROUND, SIDE, fold};
use crate::run::Exit;

/// A run of one case whose checkpoints take so long on the candidate, in so many rounds.
fn run(slower: f64, rounds: u32, outcome: Outcome) -> Run {
    let mut lines = Vec::new();
    for (side, digest) in [("baseline", "1"), ("candidate", "2")] {
        let component = ComponentRecord {
            name: "runc".to_owned(),
            version: format!("1.{digest}"),
            source: "path".to_owned(),
            digest: digest.to_owned(),
        };
        let node = NodeRecord { image: Some(side.to_owned()), components: vec![component], ..NodeRecord::default() };
        lines.push(Line { at: At(1), case: None, event: Event::NodeUp(node) });
    }
    for round in 1..=rounds {
        for (number, side) in ["baseline", "candidate"].into_iter().enumerate() {
            let mut params = BTreeMap::from([(SIDE.to_owned(), side.to_owned())]);
            let mut id = format!("x[engine=runc,side={side}");
            if round > 1 {
                params.insert(ROUND.to_owned(), round.to_string());
                id += &format!(",round={round}");
            }
            let id = CaseId(id + "]");
            let mut add = |event| lines.push(Line { at: At(2), case: Some(id.clone()), event });
            add(Event::CasePlanned {
                scenario: "x".to_owned(),
                title: String::new(),
                origin: Origin::default(),
                engine: EngineKind::Runc,
                params,
                labels: BTreeMap::new(),
                rerun: "podferry perf ab x".to_owned(),
            });
            let mut rng = fastrand::Rng::with_seed(u64::from(round) * 2 + number as u64);
            for _ in 0..40 {
                let value = 50.0 * (0.9 + 0.2 * rng.f64()) * if number == 1 { slower } else { 1.0 };
                add(Event::Metric { name: "checkpoint".to_owned(), value });
                add(Event::Metric { name: "spawns".to_owned(), value: 9.0 });
            }
            let outcome = if number == 1 { outcome } else { Outcome::Passed };
            add(Event::CaseFinished { outcome, reason: Some("because".to_owned()) });
        }
    }
    fold(&lines)
}

/// A machine with nothing else to do.
const QUIET: MachineUse = MachineUse { processors: 2, load_at_begin: Some(0.1), load: Some(0.8), stolen: Some(0.0) };

fn compared(run: &Run) -> Comparison {
    comparison(run, shipped_rule(), (40, 1), QUIET, &Acks::default())
}

#[test]
fn a_slower_candidate_is_measured_again_and_then_stops_the_gate() {
    let first = run(1.3, 1, Outcome::Passed);
    assert_eq!(suspects(&first, &shipped_rule()), BTreeSet::from([CaseId("x[engine=runc]".to_owned())]));
    let both = compared(&run(1.3, 2, Outcome::Passed));
    let words: Vec<_> = both.cases[0].figures.iter().map(|f| (f.name.as_str(), f.verdict)).collect();
    assert_eq!(words, [("checkpoint", PerfVerdict::Regressed), ("spawns", PerfVerdict::Unchanged)]);
    assert_eq!(both.cases[0].case.0, "x[engine=runc]");
    assert_eq!(both.differences, ["runc: 1.1 (path) -> 1.2 (path)"]);
    assert_eq!((exit(&both, true), exit(&both, false)), (Exit::Regressed, Exit::Passed));
}

#[test]
fn the_same_twice_asks_for_nothing() {
    let same = run(1.0, 1, Outcome::Passed);
    assert!(suspects(&same, &shipped_rule()).is_empty());
    assert_eq!(exit(&compared(&same), true), Exit::Passed);
}

#[test]
fn a_side_that_failed_says_nothing() {
    let failed = run(1.3, 1, Outcome::Failed);
    assert!(suspects(&failed, &shipped_rule()).is_empty());
    let failed = compared(&failed);
    assert_eq!(failed.cases[0].trouble.as_deref(), Some("the candidate failed: because"));
    assert_eq!((exit(&failed, true), exit(&failed, false)), (Exit::Surroundings, Exit::Passed));
    let skipped = compared(&run(1.0, 1, Outcome::Skipped));
    assert!(skipped.cases[0].skipped);
}

#[test]
fn an_acknowledged_regression_is_told_and_stops_nothing() {
    let run = run(1.3, 2, Outcome::Passed);
    let ack = crate::record::Ack {
        case: CaseId("x[engine=runc]".to_owned()),
        figure: "checkpoint".to_owned(),
        reason: "we pay for safety".to_owned(),
        issue: None,
        expires: "2030-01-31".to_owned(),
        since: "2030-01-01".to_owned(),
    };
    let on = |today: &str| {
        let acks = Acks { today: today.to_owned(), all: vec![ack.clone()] };
        comparison(&run, shipped_rule(), (40, 1), QUIET, &acks)
    };
    let known = on("2030-01-31");
    assert_eq!(exit(&known, true), Exit::Passed);
    assert_eq!(known.cases[0].figures[0].verdict, PerfVerdict::Regressed);
    let late = on("2030-02-01");
    assert_eq!(exit(&late, true), Exit::Regressed);
    assert_eq!(late.warnings, ["the acknowledgement of checkpoint of x[engine=runc] expired on 2030-01-31"]);
}

#[test]
fn of_a_machine_that_is_not_fit_only_exact_counts_are_believed() {
    let both = run(1.3, 2, Outcome::Passed);
    let on = |used| comparison(&both, shipped_rule(), (40, 1), used, &Acks::default());
    let words = |c: &Comparison| c.cases[0].figures.iter().map(|f| (f.exact, f.verdict)).collect::<Vec<_>>();
    assert!(words(&on(QUIET)).contains(&(false, PerfVerdict::Regressed)));
    for used in [MachineUse { stolen: Some(0.3), ..QUIET }, MachineUse { load: Some(9.0), ..QUIET }] {
        let unfit = on(used);
        for (exact, verdict) in words(&unfit) {
            assert_eq!(verdict, if exact { PerfVerdict::Unchanged } else { PerfVerdict::Invalid });
        }
        assert!(unfit.warnings.iter().any(|w| w.contains("not fit")), "{:?}", unfit.warnings);
        assert_eq!(exit(&unfit, true), Exit::Surroundings, "a gate that cannot see must not stand open");
        assert_eq!(exit(&unfit, false), Exit::Passed);
    }
}
