use crate::check::sample::{MS, evidence, fails, op, passes, spoiled};
use crate::record::{CheckSpec, ExclusiveCheck, OpOutcome};

fn check(overlap_ms: f64) -> CheckSpec {
    CheckSpec::Exclusive(ExclusiveCheck { between: vec!["src".to_owned(), "copy".to_owned()], overlap_ms })
}

#[test]
fn one_after_the_other_passes() {
    assert_eq!(passes(&check(0.0), &evidence()), "`copy` answered first 41.0 ms after `src` had answered last");
}

#[test]
fn both_at_a_time_fail() {
    let e = spoiled(|e| e.histories.get_mut("reader").unwrap().ops.push(op(999, 92 * MS + MS / 2, 1, 0)));
    insta::assert_snapshot!(fails(&check(5.0), &e), @"`src` still answered 12.5 ms after `copy` had begun to answer; wanted: at most 5 ms in which both answer");
    passes(&check(12.5), &e);
}

#[test]
fn a_refusal_is_an_answer_and_silence_is_none() {
    let with = |outcome| {
        spoiled(|e| {
            let late = op(999, 92 * MS, 1, 0);
            e.histories.get_mut("reader").unwrap().ops.push(crate::record::Op { outcome, ..late });
        })
    };
    fails(&check(0.0), &with(OpOutcome::Error));
    passes(&check(0.0), &with(OpOutcome::Unknown));
}

#[test]
fn one_that_nobody_heard_fails() {
    let e = spoiled(|e| {
        for h in e.histories.values_mut() {
            h.ops.retain(|op| op.endpoint == 0);
        }
    });
    assert!(fails(&check(1e9), &e).contains("no client ever had an answer of `copy`"));
}
