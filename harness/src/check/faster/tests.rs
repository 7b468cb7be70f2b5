use crate::check::sample::{at, fails, passes, spoiled};
use crate::record::{At, CheckSpec, ErrorClass, Evidence, Failure, FasterCheck, Origin, StepRecord};

fn step(id: &str, from: At, to: At) -> StepRecord {
    StepRecord {
        id: id.to_owned(),
        title: id.to_owned(),
        origin: Origin::default(),
        from,
        to,
        error_expected: false,
        failure: None,
        finally: false,
        used_at: None,
        passed_over: None,
    }
}

fn of(cold_ms: u64, warm_ms: u64) -> Evidence {
    spoiled(|e| {
        e.steps.push(step("cold", at(0), at(cold_ms)));
        e.steps.push(step("warm", at(5000), at(5000 + warm_ms)));
    })
}

fn check(times: f64) -> CheckSpec {
    CheckSpec::Faster(FasterCheck { step: "warm".to_owned(), than: "cold".to_owned(), times })
}

#[test]
fn so_many_times_faster_passes_and_says_both_times() {
    assert_eq!(passes(&check(3.0), &of(2420, 310)), "7.8 times faster: 310 ms, not 2.42 s");
    passes(&check(2.0), &of(200, 100));
}

#[test]
fn not_fast_enough_fails() {
    insta::assert_snapshot!(fails(&check(3.0), &of(2420, 1200)), @"2.0 times faster: 1.20 s, not 2.42 s; wanted: `warm` 3 times faster than `cold`");
    assert!(fails(&check(1.5), &of(100, 400)).contains("4.0 times slower"));
}

#[test]
fn steps_that_were_not_done_or_failed_prove_nothing() {
    let e = spoiled(|e| e.steps.push(step("warm", at(0), at(1))));
    assert!(fails(&check(3.0), &e).contains("no record of step `cold`"));
    let mut e = of(2420, 10);
    e.steps.last_mut().unwrap().failure = Some(Failure::new(ErrorClass::RestoreFailed, "no"));
    assert!(fails(&check(3.0), &e).contains("step `warm` failed with restore-failed"));
    assert!(fails(&check(3.0), &of(2420, 0)).contains("no time that could be measured"));
}
