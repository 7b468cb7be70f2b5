//! The pure parts, by criterion: `cargo bench -p podferry`. CI runs each once, to see that it runs.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use podferry::record::{CaseId, EngineKind, Event, HostRecord, Line, Origin, Outcome, Run, RunId, StepRecord, fold};
use podferry::report;
use podferry::scenario;
use podferry::stats::{Effect, Rule, change_points, log_ratios, median_interval, ratio_of_medians};
use podferry::workload::KINDS;
use std::collections::BTreeMap;
use std::hint::black_box;

/// Reading and checking of scenarios: one, and 1,000 on all processors.
fn scenarios(c: &mut Criterion) {
    let one = include_str!("../../scenarios/redis-migrates.yaml");
    c.bench_function("load and check a scenario", |b| b.iter(|| scenario::load(black_box(one), "one", KINDS)));
    let many = scenario::bench_corpus(1000);
    c.bench_function("load and check 1,000 scenarios", |b| {
        b.iter(|| scenario::load_all(black_box(&many), KINDS, &|_| Ok(())))
    });
}

fn samples(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..n).map(|_| 100.0 * (0.8 + 0.4 * rng.f64())).collect()
}

fn statistics(c: &mut Criterion) {
    let (a, b) = (samples(100, 1), samples(100, 2));
    c.bench_function("interval of a median of 100,000", |bench| {
        let many = samples(100_000, 3);
        bench.iter(|| median_interval(black_box(&many), 0.95));
    });
    c.bench_function("ratio of medians, 2,000 draws of 100", |bench| {
        bench.iter(|| ratio_of_medians(black_box(&a), black_box(&b), 0.95, 2000, 1));
    });
    c.bench_function("effect of 100 pairs", |bench| {
        bench.iter(|| Effect::of(&log_ratios(black_box(&a), black_box(&b)).expect("samples"), &Rule::default()));
    });
    c.bench_function("change points of 300 runs", |bench| {
        let runs = samples(300, 4);
        bench.iter(|| change_points(black_box(&runs), 0.01));
    });
}

/// The events of a run of so many cases with 20 steps and 40 figures each.
fn events(cases: usize) -> Vec<Line> {
    use podferry::record::At;
    let mut lines = vec![Line {
        at: At(0),
        case: None,
        event: Event::RunStarted {
            id: RunId("bench".to_owned()),
            podferry: String::new(),
            command: Vec::new(),
            started: String::new(),
            host: HostRecord::default(),
            image: String::new(),
        },
    }];
    for number in 0..cases as u64 {
        let case = CaseId(format!("case-{number}[engine=runc]"));
        let mut at = number * 1_000_000_000;
        let mut add = |event| {
            at += 1_000_000;
            lines.push(Line { at: At(at), case: Some(case.clone()), event });
        };
        add(Event::CasePlanned {
            scenario: format!("case-{number}"),
            title: "a case".to_owned(),
            origin: Origin::default(),
            engine: EngineKind::Runc,
            params: BTreeMap::new(),
            labels: BTreeMap::new(),
            rerun: String::new(),
        });
        add(Event::CaseStarted);
        for index in 0..20 {
            add(Event::StepStarted { index, title: "a step".to_owned() });
            add(Event::StepFinished(StepRecord {
                id: format!("step-{index}"),
                title: "a step".to_owned(),
                origin: Origin::default(),
                from: At(1),
                to: At(2),
                error_expected: false,
                failure: None,
                finally: false,
                used_at: None,
                passed_over: None,
            }));
            add(Event::Metric { name: "total".to_owned(), value: index as f64 });
            add(Event::Metric { name: "downtime".to_owned(), value: index as f64 });
        }
        add(Event::CaseFinished { outcome: Outcome::Passed, reason: None });
    }
    lines
}

fn reports(c: &mut Criterion) {
    let lines = events(200);
    c.bench_function("fold the events of 200 cases", |b| b.iter(|| fold(black_box(&lines))));
    let run: Run = fold(&lines);
    c.bench_function("HTML of 200 cases", |b| {
        b.iter_batched(|| run.clone(), |run| report::html(&run), BatchSize::LargeInput)
    });
}

criterion_group!(pure, scenarios, statistics, reports);
criterion_main!(pure);
