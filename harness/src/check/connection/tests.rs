use crate::check::sample::{MS, at, evidence, fails, passes};
use crate::record::{
    CheckSpec, Connection, ConnectionCheck, ConnectionEnd, ConnectionExpectation as State, ErrorClass, Evidence,
    Failure, Origin, StepRecord,
};

fn check(state: State) -> CheckSpec {
    CheckSpec::Connection(ConnectionCheck {
        client: "writer".to_owned(),
        step: "move".to_owned(),
        state,
        slack_ms: 10.0,
    })
}

/// The step `move` from 35 to 85 ms, frozen from 39 and restored by 80; what fell due from 39 to 79 ms is answered at
/// 80 ms, on the one connection of the writer.
fn kept() -> Evidence {
    let mut e = evidence();
    let step = StepRecord {
        id: "move".to_owned(),
        title: "migrate src to b".to_owned(),
        origin: Origin { file: "x.yaml".to_owned(), line: 1, column: 1 },
        from: at(35),
        to: at(85),
        error_expected: false,
        failure: None,
        finally: false,
        used_at: None,
        passed_over: None,
    };
    e.steps.push(step);
    let writer = e.histories.get_mut("writer").unwrap();
    writer.connections = vec![Connection { from: at(0), ended: None }];
    for (i, due) in (39..80).enumerate() {
        writer
            .ops
            .push(crate::record::Op { intended: at(due), ..crate::check::sample::op(200 + i as u64, 80 * MS, 0, 1) });
    }
    writer.ops.sort_by_key(|op| op.intended);
    e
}

fn with(spoil: impl FnOnce(&mut Evidence)) -> Evidence {
    let mut e = kept();
    spoil(&mut e);
    e
}

fn ends(how: ConnectionEnd) -> Evidence {
    with(|e| {
        let writer = e.histories.get_mut("writer").unwrap();
        writer.connections =
            vec![Connection { from: at(0), ended: Some((at(81), how)) }, Connection { from: at(82), ended: None }];
    })
}

fn fails_with(class: ErrorClass) -> Evidence {
    with(|e| e.steps[0].failure = Some(Failure::new(class, "no")))
}

#[test]
fn one_that_goes_on_is_kept() {
    let seen = "the connection of `writer` was kept; its longest wait for an answer was 41 ms, and the workload stood \
                still for 41 ms";
    assert_eq!(passes(&check(State::Kept), &kept()), seen);
    insta::assert_snapshot!(fails(&check(State::Closed), &kept()), @"the connection of `writer` was kept; wanted: that the other end ends it, and answers on a new one");
    insta::assert_snapshot!(fails(&check(State::Refused), &kept()), @"step `move` succeeded; wanted: that the dump is refused for it, and that it goes on with answers");
}

/// Answered late, since it was lost on the way and sent again: others were answered before it all the same.
#[test]
fn a_kept_one_must_not_stall_beyond_the_standstill() {
    let late = with(|e| {
        let writer = e.histories.get_mut("writer").unwrap();
        writer.ops.iter_mut().find(|op| op.intended == at(45)).unwrap().done = at(110);
    });
    insta::assert_snapshot!(fails(&check(State::Kept), &late), @"the connection of `writer` was kept; its longest wait for an answer was 65 ms, and the workload stood still for 41 ms; wanted: at most 10 ms more than it stood still");
}

#[test]
fn one_that_ended_is_closed_if_the_other_end_did_it() {
    insta::assert_snapshot!(passes(&check(State::Closed), &ends(ConnectionEnd::Reset)), @"the connection of `writer` was reset, 46 ms after `move` began; a new one was there 1 ms later");
    insta::assert_snapshot!(fails(&check(State::Kept), &ends(ConnectionEnd::Closed)), @"the connection of `writer` was closed by the other end, 46 ms after `move` began; wanted: one connection that goes on after the step, with answers");
    for how in [ConnectionEnd::Left, ConnectionEnd::Unanswered, ConnectionEnd::Nonsense] {
        fails(&check(State::Closed), &ends(how));
        fails(&check(State::Kept), &ends(how));
    }
    let never_again = with(|e| {
        let writer = e.histories.get_mut("writer").unwrap();
        writer.connections = vec![Connection { from: at(0), ended: Some((at(81), ConnectionEnd::Reset)) }];
    });
    insta::assert_snapshot!(fails(&check(State::Closed), &never_again), @"the connection of `writer` was reset, 46 ms after `move` began, and nothing was answered on a new one; wanted: that the other end ends it, and answers on a new one");
}

#[test]
fn refused_is_a_dump_that_fails_for_it_and_harms_nothing() {
    insta::assert_snapshot!(passes(&check(State::Refused), &fails_with(ErrorClass::ConnectedTcp)), @"`move` was refused for the connection of `writer`, which went on");
    fails(&check(State::Refused), &fails_with(ErrorClass::DumpFailed));
    insta::assert_snapshot!(fails(&check(State::Kept), &fails_with(ErrorClass::ConnectedTcp)), @"step `move` failed with `connected-tcp`; wanted: one connection that goes on after the step, with answers");
    let gone = with(|e| {
        e.steps[0].failure = Some(Failure::new(ErrorClass::ConnectedTcp, "no"));
        e.histories.get_mut("writer").unwrap().connections[0].ended = Some((at(60), ConnectionEnd::Reset));
    });
    fails(&check(State::Refused), &gone);
}

#[test]
fn what_is_not_there_is_not_kept() {
    let no_restore = with(|e| e.phases.retain(|p| p.phase != crate::record::Phase::Restore));
    let silent = with(|e| e.histories.get_mut("writer").unwrap().ops.retain(|op| op.done < at(80)));
    let never_there = with(|e| e.histories.get_mut("writer").unwrap().connections.clear());
    let no_client = with(|e| drop(e.histories.remove("writer")));
    let no_step = with(|e| e.steps.clear());
    for evidence in [no_restore, silent, never_there, no_client, no_step] {
        fails(&check(State::Kept), &evidence);
    }
}
