use crate::check::sample::{MS, evidence, fails, op, passes, spoiled};
use crate::record::{AckedWritesCheck, CheckSpec, Evidence, LossPolicy, OpOutcome};

fn check(lost: LossPolicy) -> CheckSpec {
    CheckSpec::AckedWrites(AckedWritesCheck { client: "writer".to_owned(), lost, duplicated: 0, at_least: 100 })
}

/// The source goes on for 5 ms after the dump and acknowledges 40..45; the copy knows nothing of them and gives the
/// same places away again.
fn split_brain() -> Evidence {
    spoiled(|e| {
        let w = e.histories.get_mut("writer").unwrap();
        let late = (0..5).map(|i| op(200 + i, (40 + i) * MS, 41 + i, 0));
        w.ops.splice(40..40, late);
    })
}

fn journal(spoil: impl FnOnce(&mut Vec<u64>)) -> Evidence {
    spoiled(|e| spoil(e.histories.get_mut("writer").unwrap().final_journal.as_mut().unwrap()))
}

#[test]
fn all_there_passes() {
    let seen = passes(&check(LossPolicy::None), &evidence());
    assert_eq!(seen, "all 160 acknowledged writes of `writer` are there, each once");
}

#[test]
fn what_was_not_acknowledged_may_be_there_or_not() {
    let e = spoiled(|e| {
        let w = e.histories.get_mut("writer").unwrap();
        w.ops[159].outcome = OpOutcome::Unknown;
        w.ops[158].outcome = OpOutcome::NotSent;
        w.final_journal.as_mut().unwrap().remove(158);
    });
    let seen = passes(&check(LossPolicy::None), &e);
    assert_eq!(seen, "all 158 acknowledged writes of `writer` are there, each once; 1 unanswered; 1 not sent");
}

#[test]
fn a_lost_write_fails_or_is_counted() {
    let e = journal(|j| j.truncate(157));
    insta::assert_snapshot!(fails(&check(LossPolicy::None), &e), @"of 160 acknowledged writes of `writer`, 3 are lost, acknowledged within 2.0 ms; wanted: none lost, at most 0 duplicated");
    assert!(passes(&check(LossPolicy::Counted), &e).contains("3 are lost"));
    passes(&check(LossPolicy::Some), &e);
    insta::assert_snapshot!(fails(&check(LossPolicy::Some), &evidence()), @"all 160 acknowledged writes of `writer` are there, each once; wanted: some lost, at most 0 duplicated");
}

#[test]
fn a_split_brain_loses_what_it_acknowledged_twice() {
    insta::assert_snapshot!(fails(&check(LossPolicy::None), &split_brain()), @"of 165 acknowledged writes of `writer`, 5 are lost, acknowledged within 4.0 ms, 5 with the same place in the list as another acknowledged write (the list went on from an older state, or two copies took writes); wanted: none lost, at most 0 duplicated");
    assert!(passes(&check(LossPolicy::Counted), &split_brain()).contains("5 are lost"));
}

#[test]
fn a_write_that_is_there_twice_fails() {
    let e = journal(|j| j.push(7));
    insta::assert_snapshot!(fails(&check(LossPolicy::Counted), &e), @"all 160 acknowledged writes of `writer` are there, 1 there more than once; wanted: at most 0 duplicated");
}

#[test]
fn a_write_at_another_place_fails() {
    let e = journal(|j| j.swap(3, 4));
    insta::assert_snapshot!(fails(&check(LossPolicy::None), &e), @"all 160 acknowledged writes of `writer` are there, 2 at another place than acknowledged; wanted: none lost, at most 0 duplicated");
}

/// Two keys with one place, both there: one of them must be elsewhere.
#[test]
fn one_place_acknowledged_to_two_writes_fails() {
    let e = spoiled(|e| e.histories.get_mut("writer").unwrap().ops[50].value = 50);
    assert!(
        fails(&check(LossPolicy::None), &e).contains("1 with the same place in the list as another acknowledged write (the list went on from an older state, or two copies took writes)")
    );
}

#[test]
fn absent_evidence_fails() {
    let unread = spoiled(|e| e.histories.get_mut("writer").unwrap().final_journal = None);
    for lost in [LossPolicy::None, LossPolicy::Counted, LossPolicy::Some] {
        assert!(fails(&check(lost), &unread).contains("was not read"));
    }
    let idle = spoiled(|e| e.histories.get_mut("writer").unwrap().ops.truncate(99));
    insta::assert_snapshot!(fails(&check(LossPolicy::None), &idle), @"only 99 writes of `writer` were acknowledged; wanted: at least 100");
    let reader = spoiled(|e| e.histories.get_mut("writer").unwrap().kind = "counter-reader".to_owned());
    assert!(fails(&check(LossPolicy::None), &reader).contains("is a `counter-reader`"));
}
