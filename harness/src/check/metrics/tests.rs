use super::*;
use crate::check::sample::{MS, at, evidence, spoiled};
use crate::record::OpOutcome;

fn near(actual: Option<&f64>, expected: f64) {
    let actual = actual.copied().unwrap();
    assert!((actual - expected).abs() < 1e-6, "{actual} and not {expected}");
}

#[test]
fn the_figures_of_a_migration() {
    let m = metrics(&evidence());
    near(m.get("downtime"), 41.0 - 0.5);
    near(m.get("freeze"), 60.0 - 39.0);
    near(m.get("checkpoint"), 19.0);
    near(m.get("transfer"), 5.0);
    near(m.get("restore"), 12.0);
    near(m.get("total"), 45.0);
    near(m.get("checkpoint-size"), f64::from(3 << 20));
    near(m.get("bytes-moved"), f64::from(3 << 20));
    near(m.get("bytes-sent"), f64::from(4 << 20));
    near(m.get(PAGES_WRITTEN), 700.0);
    near(m.get(WORST_LATENCY), 0.2);
    near(m.get(MEASUREMENT_ERROR), 0.12);
    assert_eq!(m.get("stall"), None, "no connection outlived it");
    // Its memory did not come later.
    assert_eq!((m.get("pages"), m.get("pages-latency")), (None, None));
    assert_eq!(m.len(), Metric::ALL.len() - 3 + 3);
}

#[test]
fn memory_that_comes_later_has_a_time_and_a_latency() {
    let e = spoiled(|e| {
        e.migrations[0].pages_arrived = Some(at(110));
        let ops = &mut e.histories.get_mut("writer").unwrap().ops;
        // Due at 90 ms, and another that was due when all pages were there.
        ops[50].done = crate::record::At(ops[50].intended.0 + 9 * MS);
        ops[75].done = crate::record::At(ops[75].intended.0 + 20 * MS);
    });
    near(metrics(&e).get("pages"), 30.0);
    near(metrics(&e).get("pages-latency"), 9.0);
}

#[test]
fn a_live_checkpoint_freezes_as_long_as_criu_says() {
    near(metrics(&spoiled(|e| drop(e.phases.remove(0)))).get("freeze"), 15.0);
    let unknown = spoiled(|e| {
        e.phases.remove(0);
        e.checkpoints[0].criu_frozen_us = None;
    });
    assert_eq!(metrics(&unknown).get("freeze"), None);
}

#[test]
fn what_never_came_back_has_no_downtime() {
    let dead = spoiled(|e| {
        e.migrations[0].answered = None;
    });
    let m = metrics(&dead);
    assert_eq!((m.get("downtime"), m.get("total")), (None, None));
    let silent = spoiled(|e| {
        for op in e.histories.get_mut("writer").unwrap().ops.iter_mut().filter(|op| op.endpoint == 1) {
            op.outcome = OpOutcome::Unknown;
        }
    });
    assert_eq!(metrics(&silent).get("downtime"), None, "one client had no answer: the worst is not known");
}

#[test]
fn log_followers_tell_no_downtime() {
    let e = spoiled(|e| {
        e.histories.remove("reader");
        e.histories.get_mut("writer").unwrap().interval_ns = 0;
    });
    assert_eq!(metrics(&e).get("downtime"), None);
}

#[test]
fn of_several_migrations_the_worst_counts() {
    let e = spoiled(|e| {
        let mut quick = e.migrations[0].clone();
        (quick.triggered, quick.answered) = (at(150), Some(at(152)));
        e.migrations.push(quick);
    });
    near(metrics(&e).get("downtime"), 40.5);
    near(metrics(&e).get("total"), 45.0);
}

#[test]
fn a_late_answer_counts_from_when_it_was_due() {
    let e = spoiled(|e| {
        let op = &mut e.histories.get_mut("writer").unwrap().ops[20];
        op.intended = crate::record::At(op.done.0 - 7 * MS);
    });
    near(metrics(&e).get(WORST_LATENCY), 7.0);
}

#[test]
fn only_a_connection_that_outlives_the_migration_has_a_stall() {
    let on = |ended| {
        spoiled(|e| {
            let writer = e.histories.get_mut("writer").unwrap();
            writer.connections = vec![crate::record::Connection { from: at(0), ended }];
            // Due right after the freeze, answered when it had been sent again.
            writer.ops[40].intended = at(40);
            writer.ops[40].done = at(95);
        })
    };
    near(metrics(&on(None)).get("stall"), 55.0);
    assert_eq!(metrics(&on(Some((at(60), crate::record::ConnectionEnd::Reset)))).get("stall"), None);
    assert_eq!(metrics(&evidence()).get("stall"), None, "the sample's client was switched");
}
