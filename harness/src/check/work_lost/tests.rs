use crate::check::sample::{captured, fails, passes, spoiled};
use crate::record::{CheckSpec, Evidence, WorkLostCheck};

/// The source is seen at 90 when it was checkpointed long ago (41 to 60 ms, at 39), then it is gone.
fn lost(spoil: impl FnOnce(&mut Evidence)) -> Evidence {
    spoiled(|e| {
        e.captures.push(captured("late", "src", 100, 90));
        e.histories.remove("writer");
        spoil(e);
    })
}

fn check(at_most: Option<u64>) -> CheckSpec {
    CheckSpec::WorkLost(WorkLostCheck { of: "copy".to_owned(), since: "src".to_owned(), at_most })
}

#[test]
fn what_is_lost_is_told() {
    let seen = passes(&check(None), &lost(|_| {}));
    assert_eq!(
        seen,
        "`src` was seen at 90, its checkpoint has 39 and `copy` went on at 40: 50 to 51 counts lost, done again"
    );
    passes(&check(Some(51)), &lost(|_| {}));
}

#[test]
fn more_than_the_bound_fails() {
    assert!(fails(&check(Some(50)), &lost(|_| {})).ends_with("wanted: at most 50 counts lost"));
}

#[test]
fn a_cold_start_has_lost_everything() {
    let e = lost(|e| e.instances[1].restored_from = None);
    assert!(fails(&check(None), &e).contains("started cold: all work of `src` is lost"));
    // It says that it was restored, and counts from the beginning.
    let e = lost(|e| {
        e.histories.clear();
        e.captures.push(captured("early", "src", 30, 30));
        e.captures.push(captured("again", "copy", 85, 3));
    });
    assert!(fails(&check(None), &e).contains("went on at 3, below the 30 that its checkpoint has"));
}

#[test]
fn what_nobody_saw_is_not_taken_for_nothing() {
    let e = spoiled(|_| {});
    assert!(fails(&check(None), &e).contains("nothing was seen of the counter of `src` after its checkpoint"));
    let e = lost(|e| {
        e.captures.retain(|c| c.name != "before");
        e.histories.clear();
    });
    assert!(fails(&check(None), &e).contains("nothing was seen of the counter of `src` before its checkpoint"));
    let e = lost(|e| {
        e.captures.retain(|c| c.instance == "src");
        e.histories.values_mut().for_each(|h| h.ops.retain(|op| op.endpoint == 0));
    });
    assert!(fails(&check(None), &e).contains("no value of the counter of `copy`"));
}

#[test]
fn a_copy_of_somebody_else_says_nothing() {
    let e = lost(|e| e.checkpoints[0].of = "other".to_owned());
    assert!(fails(&check(None), &e).contains("which was not taken of `src`"));
}
