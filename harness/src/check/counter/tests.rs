use crate::check::sample::{MS, at, captured, evidence, fails, op, passes, spoiled};
use crate::record::{CheckSpec, CounterCheck, Evidence};

fn check() -> CheckSpec {
    CheckSpec::Counter(CounterCheck { of: "copy".to_owned(), resumes_from: "before".to_owned(), tolerance: 2 })
}

/// What the counter reader saw of the copy, from 80 ms on.
fn saw(e: &mut Evidence, value: impl Fn(u64) -> u64) {
    let reader = e.histories.get_mut("reader").unwrap();
    for (i, op) in reader.ops.iter_mut().filter(|op| op.endpoint == 1).enumerate() {
        op.value = value(i as u64);
    }
}

#[test]
fn a_counter_that_goes_on_passes() {
    assert_eq!(
        passes(&check(), &evidence()),
        "counter of `copy` went on at 40 after 10, up to 165 in 121 answers; its journal has 165 values, each once"
    );
}

#[test]
fn a_cold_start_fails() {
    let e = spoiled(|e| {
        saw(e, |i| i);
        e.captures[1] = captured("final:copy", "copy", 205, 125);
    });
    insta::assert_snapshot!(fails(&check(), &e), @"`copy` began at 0, below the 10 of `before`: state went back, or it started cold; wanted: a first value of at least 10");
    let e = spoiled(|e| e.instances[1].restored_from = None);
    insta::assert_snapshot!(fails(&check(), &e), @"`copy` was started cold; wanted: an instance that was restored from a checkpoint");
}

#[test]
fn one_that_runs_ahead_of_time_fails() {
    let e = spoiled(|e| {
        saw(e, |i| 60 + i);
        e.captures[1] = captured("final:copy", "copy", 205, 190);
    });
    insta::assert_snapshot!(fails(&check(), &e), @"`copy` began at 60, 50 above the 10 of `before`; wanted: at most 52, which time and a tolerance of 2 explain");
}

#[test]
fn one_that_stands_still_fails() {
    let e = spoiled(|e| {
        saw(e, |_| 40);
        e.captures[1] = captured("final:copy", "copy", 205, 40);
    });
    insta::assert_snapshot!(fails(&check(), &e), @"`copy` is at 40 after 121 looks; wanted: a value that grows");
}

#[test]
fn one_that_goes_back_fails() {
    let e = spoiled(|e| saw(e, |i| if i == 50 { 41 } else { 40 + i }));
    insta::assert_snapshot!(fails(&check(), &e), @"client `reader` saw `copy` at 89 and then at 41; wanted: values that only grow");
}

#[test]
fn a_gap_or_a_repeat_in_its_journal_fails() {
    let journal =
        |spoil: fn(&mut Vec<u64>)| spoiled(|e| spoil(e.captures[1].inside.as_mut().unwrap().journal.as_mut().unwrap()));
    let gap = journal(|j| {
        j.remove(40);
    });
    insta::assert_snapshot!(fails(&check(), &gap), @"the journal of `copy` has a gap: 42 follows 40; wanted: each value of its journal once, one after the other");
    let repeat = journal(|j| j.insert(40, 40));
    insta::assert_snapshot!(fails(&check(), &repeat), @"the journal of `copy` goes back or repeats: 40 follows 40; wanted: each value of its journal once, one after the other");
    let cut = journal(|j| j.truncate(100));
    insta::assert_snapshot!(fails(&check(), &cut), @"the journal of `copy` is of 1 to 100, its counter was seen from 40 to 165; wanted: each value of its journal once, one after the other");
    insta::assert_snapshot!(fails(&check(), &journal(Vec::clear)), @"the journal of `copy` is empty; wanted: each value of its journal once, one after the other");
}

#[test]
fn one_look_is_enough_only_when_the_source_can_not_have_got_that_far() {
    let once = |value| {
        spoiled(|e| {
            e.histories.remove("reader");
            e.captures[1] = captured("final:copy", "copy", 205, value);
        })
    };
    passes(&check(), &once(160));
    insta::assert_snapshot!(fails(&check(), &once(40)), @"`copy` is at 40 after 1 look; wanted: a value that grows");
}

#[test]
fn absent_evidence_fails() {
    let no_capture = spoiled(|e| drop(e.captures.remove(0)));
    assert!(fails(&check(), &no_capture).contains("no capture `before`"));
    let no_value = spoiled(|e| e.captures[0].inside.as_mut().unwrap().counter = None);
    assert!(fails(&check(), &no_value).contains("has no counter"));
    let no_checkpoint = spoiled(|e| e.checkpoints.clear());
    assert!(fails(&check(), &no_checkpoint).contains("no record of checkpoint `cp`"));
    let unseen = spoiled(|e| {
        e.histories.clear();
        e.captures.pop();
    });
    assert!(fails(&check(), &unseen).contains("no value of the counter of `copy` was seen"));
}

/// A log may repeat what another log holds: each lineage is judged by its own.
#[test]
fn what_the_source_logs_after_the_checkpoint_does_not_matter() {
    let e = spoiled(|e| {
        let mut log = e.histories.remove("reader").unwrap();
        log.kind = "log-follower".to_owned();
        log.ops.insert(40, op(99, 60 * MS, 44, 0));
        e.histories.insert("log".to_owned(), log);
        e.instances[1].started = at(80);
    });
    passes(&check(), &e);
}
