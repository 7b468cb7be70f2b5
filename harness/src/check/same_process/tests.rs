use crate::check::sample::{evidence, fails, passes, spoiled};
use crate::record::{Capture, CheckSpec, Evidence, OutsideReport, SameProcessCheck, SelfReport};

fn check(memory: bool) -> CheckSpec {
    CheckSpec::SameProcess(SameProcessCheck { of: "copy".to_owned(), as_of: "before".to_owned(), memory })
}

fn inside(spoil: impl FnOnce(&mut SelfReport)) -> Evidence {
    spoiled(|e| spoil(e.captures[1].inside.as_mut().unwrap()))
}

fn outside(spoil: impl FnOnce(&mut OutsideReport)) -> Evidence {
    spoiled(|e| spoil(e.captures[1].outside.as_mut().unwrap()))
}

#[test]
fn the_same_process_passes() {
    let seen = passes(&check(true), &evidence());
    assert_eq!(
        seen,
        "`copy` is the process captured as `before`: nonce 4f2a, 2 boot values, memory digest, PID 1 `counter`"
    );
}

#[test]
fn another_nonce_is_another_process() {
    let e = inside(|i| i.nonce = Some("beef".to_owned()));
    insta::assert_snapshot!(fails(&check(false), &e), @"nonce of `copy` is `beef` in capture `final:copy`, and was `4f2a`; wanted: the same process: this is another one, or a cold start");
}

#[test]
fn any_other_trait_fails_too() {
    let cases = [
        (inside(|i| drop(i.boot.insert("started".to_owned(), "9".to_owned()))), "boot value `started`"),
        (inside(|i| drop(i.boot.remove("started"))), "boot value `started`"),
        (inside(|i| drop(i.boot.insert("new".to_owned(), "1".to_owned()))), "boot value `new`"),
        (outside(|o| o.pid_inside = Some(2)), "PID"),
        (outside(|o| o.comm = Some("sh".to_owned())), "process name"),
        (outside(|o| o.argv.push("--cold".to_owned())), "command line"),
        (inside(|i| i.memory_hash = Some("dead".to_owned())), "memory digest"),
    ];
    for (e, what) in cases {
        let seen = fails(&check(true), &e);
        assert!(seen.starts_with(what), "{seen}");
    }
}

/// One good look does not outweigh a bad one: the copy may have been restarted after it.
#[test]
fn every_look_counts() {
    let e = spoiled(|e| {
        let mut restarted: Capture = e.captures[1].clone();
        restarted.inside.as_mut().unwrap().nonce = Some("beef".to_owned());
        e.captures.insert(1, restarted);
    });
    assert!(fails(&check(false), &e).starts_with("nonce"));
}

#[test]
fn memory_counts_only_when_asked_for() {
    passes(&check(false), &inside(|i| i.memory_hash = Some("dead".to_owned())));
    passes(&check(false), &inside(|i| i.memory_hash = None));
    assert!(fails(&check(true), &inside(|i| i.memory_hash = None)).contains("no digest"));
}

#[test]
fn absent_evidence_fails() {
    let before = |spoil: fn(&mut Capture)| spoiled(|e| spoil(&mut e.captures[0]));
    for e in [
        before(|c| c.inside = None),
        before(|c| c.outside = None),
        before(|c| c.inside.as_mut().unwrap().nonce = None),
        before(|c| c.outside.as_mut().unwrap().pid_inside = None),
        before(|c| c.outside.as_mut().unwrap().argv.clear()),
        inside(|i| i.nonce = None),
        outside(|o| o.comm = None),
        spoiled(|e| e.captures[1].inside = None),
        spoiled(|e| e.captures[1].outside = None),
        spoiled(|e| drop(e.captures.remove(0))),
        spoiled(|e| drop(e.captures.remove(1))),
    ] {
        fails(&check(false), &e);
    }
}

#[test]
fn memory_that_the_process_finds_damaged_is_not_that_of_the_capture() {
    let damaged = spoiled(|e| e.captures[1].inside.as_mut().unwrap().damage = Some("bad 7".to_owned()));
    for memory in [false, true] {
        let check =
            CheckSpec::SameProcess(SameProcessCheck { of: "copy".to_owned(), as_of: "before".to_owned(), memory });
        assert!(
            fails(&check, &damaged)
                .contains("the memory of `copy` is damaged in capture `final:copy`: it says `bad 7`")
        );
    }
}
