use crate::check::sample::{at, fails, passes, spoiled};
use crate::record::{CheckSpec, ErrorCheck, ErrorClass, Evidence, Failure, Origin, StepRecord};

fn check(class: ErrorClass, text: Option<&str>) -> CheckSpec {
    CheckSpec::Error(ErrorCheck { step: "restore".to_owned(), class, text: text.map(str::to_owned) })
}

fn restored(failure: Option<(ErrorClass, &str)>) -> Evidence {
    let failure =
        failure.map(|(class, message)| Failure { class, message: message.to_owned(), hint: None, log: Vec::new() });
    spoiled(|e| {
        e.steps.push(StepRecord {
            id: "restore".to_owned(),
            title: "restore cut".to_owned(),
            origin: Origin::default(),
            from: at(1),
            to: at(2),
            error_expected: true,
            failure,
            finally: false,
            used_at: None,
            passed_over: None,
        });
    })
}

#[test]
fn the_error_that_was_meant_passes() {
    let e = restored(Some((ErrorClass::InvalidArchive, "checkpoint `cut`: unexpected end of archive")));
    let seen = passes(&check(ErrorClass::InvalidArchive, Some("(?i)UNEXPECTED end")), &e);
    assert_eq!(seen, "step `restore` failed with `invalid-archive`: checkpoint `cut`: unexpected end of archive");
    passes(&check(ErrorClass::InvalidArchive, None), &e);
}

#[test]
fn another_error_or_none_fails() {
    let e = restored(Some((ErrorClass::Timeout, "unexpected end")));
    insta::assert_snapshot!(fails(&check(ErrorClass::InvalidArchive, Some("unexpected end")), &e), @"step `restore` failed with `timeout`: unexpected end; wanted: an error of class `invalid-archive` whose message matches `unexpected end`");
    fails(&check(ErrorClass::Timeout, Some("^end")), &e);
    fails(&check(ErrorClass::Timeout, Some("(")), &e);
    assert!(fails(&check(ErrorClass::Timeout, None), &restored(None)).contains("succeeded"));
    assert!(fails(&check(ErrorClass::Timeout, None), &Evidence::default()).contains("never ran"));
}
