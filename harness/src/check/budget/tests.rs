use crate::check::sample::{evidence, fails, passes, spoiled};
use crate::record::{BudgetCheck, CheckSpec, Metric};

fn check(metric: Metric, bounds: &[(f64, f64)]) -> CheckSpec {
    CheckSpec::Budget(BudgetCheck { metric, bounds: bounds.to_vec() })
}

#[test]
fn below_the_bounds_passes_and_says_all_figures() {
    let seen = passes(&check(Metric::Downtime, &[(50.0, 41.5), (100.0, 80.0)]), &evidence());
    assert_eq!(seen, "downtime of 4 samples: p50 41.5 ms, max 80.0 ms");
}

#[test]
fn above_one_bound_fails_and_says_which() {
    insta::assert_snapshot!(fails(&check(Metric::Downtime, &[(50.0, 41.5), (100.0, 79.9)]), &evidence()), @"downtime of 4 samples: max 80.0 ms; wanted: max at most 79.9 ms");
}

#[test]
fn what_took_too_little_time_fails() {
    passes(&check(Metric::Downtime, &[(0.0, 1.0)]), &evidence());
    let said = fails(&check(Metric::Downtime, &[(0.0, 79.9)]), &evidence());
    assert!(said.contains("min ") && said.ends_with("wanted: min at least 79.9 ms"), "{said}");
}

#[test]
fn a_missing_sample_fails() {
    assert!(fails(&check(Metric::Freeze, &[(50.0, 1e9)]), &evidence()).contains("no sample of freeze"));
    let e = spoiled(|e| e.metrics.get_mut("downtime").unwrap().push(f64::NAN));
    assert!(fails(&check(Metric::Downtime, &[(50.0, 1e9)]), &e).contains("no number"));
    let e = spoiled(|e| e.metrics.get_mut("downtime").unwrap().clear());
    fails(&check(Metric::Downtime, &[(50.0, 1e9)]), &e);
}

#[test]
fn sizes_are_said_as_sizes() {
    let e = spoiled(|e| drop(e.metrics.insert("checkpoint-size".to_owned(), vec![3.5 * 1024.0 * 1024.0])));
    let seen = passes(&check(Metric::CheckpointSize, &[(100.0, 4e6)]), &e);
    assert_eq!(seen, "checkpoint-size of 1 sample: max 3.5 MiB");
}
