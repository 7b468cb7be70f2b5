use crate::check::sample::{captured, evidence, fails, outside, passes, spoiled};
use crate::record::{
    CheckSpec, EndReason, EndReport, EngineWord, Evidence, InstanceCheck, InstanceExpectation as State,
};

fn check(state: State, progressed_since: Option<&str>) -> CheckSpec {
    let progressed_since = progressed_since.map(str::to_owned);
    CheckSpec::Instance(InstanceCheck {
        of: "copy".to_owned(),
        state,
        progressed_since,
        at: None,
        engine_says: None,
        mounted: None,
        reason: None,
    })
}

/// The copy at the end: what the engine says, whether it is frozen, whether its workload answers.
fn at_the_end(state: &str, frozen: Option<bool>, answers: bool) -> Evidence {
    spoiled(|e| {
        let last = &mut e.captures[1];
        let mut o = outside(state, false);
        o.frozen = frozen;
        last.outside = Some(o);
        last.inside = last.inside.take().filter(|_| answers);
    })
}

fn gone() -> Evidence {
    spoiled(|e| (e.captures[1].inside, e.captures[1].outside) = (None, None))
}

#[test]
fn each_state_is_told_from_the_others() {
    let running = at_the_end("running", Some(false), true);
    let frozen = at_the_end("paused", Some(true), false);
    let stopped = at_the_end("stopped", Some(false), false);
    let created = at_the_end("created", Some(false), false);
    let states = [State::Running, State::Frozen, State::Stopped, State::Created, State::Absent];
    for (i, evidence) in [running, frozen, stopped, created, gone()].iter().enumerate() {
        for (j, state) in states.into_iter().enumerate() {
            if i == j {
                passes(&check(state, None), evidence);
            } else {
                fails(&check(state, None), evidence);
            }
        }
    }
}

#[test]
fn running_by_the_engines_word_is_not_enough() {
    insta::assert_snapshot!(fails(&check(State::Running, None), &at_the_end("running", Some(true), false)), @"the engine says `running` of `copy`, frozen, and its workload does not answer; wanted: running, not frozen, and a workload that answers");
    fails(&check(State::Running, None), &at_the_end("running", Some(false), false));
    fails(&check(State::Running, None), &at_the_end("running", None, true));
    let seen = passes(&check(State::Running, None), &evidence());
    assert_eq!(seen, "the engine says `running` of `copy`, not frozen, and its workload answers");
}

#[test]
fn progress_is_a_counter_that_grew() {
    let seen = passes(&check(State::Running, Some("before")), &evidence());
    assert!(seen.ends_with("its counter grew from 10 to 165 since `before`"), "{seen}");
    let stuck = spoiled(|e| e.captures[1] = captured("final:copy", "copy", 205, 10));
    insta::assert_snapshot!(fails(&check(State::Running, Some("before")), &stuck), @"the counter of `copy` was 10 in `before` and is 10 at the end; wanted: a counter above that of capture `before`");
    let mute = spoiled(|e| e.captures[1].inside.as_mut().unwrap().counter = None);
    assert!(fails(&check(State::Running, Some("before")), &mute).contains("no counter"));
    assert!(fails(&check(State::Running, Some("other")), &evidence()).contains("no capture `other`"));
}

#[test]
fn without_a_final_capture_even_absence_is_not_known() {
    let e = spoiled(|e| drop(e.captures.pop()));
    assert!(fails(&check(State::Absent, None), &e).contains("no capture `final:copy`"));
    let e = spoiled(|e| e.captures[1].outside = None);
    assert!(fails(&check(State::Absent, None), &e).contains("its workload answers"));
}

fn says(state: State, at: Option<&str>, word: EngineWord) -> CheckSpec {
    let at = at.map(str::to_owned);
    let of = "copy".to_owned();
    CheckSpec::Instance(InstanceCheck {
        of,
        state,
        progressed_since: None,
        at,
        engine_says: Some(word),
        mounted: None,
        reason: None,
    })
}

/// A capture `then` of a container that is frozen, while the interface of its engine says `word`.
fn frozen_then(word: Option<&str>) -> Evidence {
    spoiled(|e| {
        let mut then = captured("then", "copy", 100, 7);
        let mut seen = outside("paused", true);
        seen.engine_says = word.map(str::to_owned);
        (then.inside, then.outside) = (None, Some(seen));
        e.captures.insert(1, then);
    })
}

#[test]
fn a_capture_may_be_judged_in_place_of_the_end() {
    let lies = frozen_then(Some("running"));
    insta::assert_snapshot!(passes(&says(State::Frozen, Some("then"), EngineWord::Running), &lies), @"the engine says `paused` of `copy`, frozen, and its workload does not answer; its interface calls it `running`");
    fails(&says(State::Running, Some("then"), EngineWord::Running), &lies);
    passes(&check(State::Running, None), &lies);
    fails(&says(State::Frozen, Some("other"), EngineWord::Running), &lies);
}

#[test]
fn what_the_interface_says_is_told_from_what_is() {
    let honest = frozen_then(None);
    passes(&says(State::Frozen, Some("then"), EngineWord::Paused), &honest);
    insta::assert_snapshot!(fails(&says(State::Frozen, Some("then"), EngineWord::Running), &honest), @"the engine's interface calls `copy` `paused`; wanted: the word `running`");
    fails(&says(State::Absent, None, EngineWord::Unknown), &gone());
}

#[test]
fn a_workload_with_damaged_memory_does_not_run_well() {
    let damaged = spoiled(|e| e.captures[1].inside.as_mut().unwrap().damage = Some("bad 7".to_owned()));
    insta::assert_snapshot!(fails(&check(State::Running, None), &damaged), @"the engine says `running` of `copy`, not frozen, and its workload answers that its memory is damaged: `bad 7`; wanted: running, not frozen, and a workload that answers");
}

fn stopped_for(reason: EndReason) -> CheckSpec {
    let state = State::Stopped;
    CheckSpec::Instance(InstanceCheck {
        of: "copy".to_owned(),
        state,
        progressed_since: None,
        at: None,
        engine_says: None,
        mounted: None,
        reason: Some(reason),
    })
}

fn ended_with(exit_code: Option<i32>, word: Option<&str>, oom_kills: Option<u64>) -> Evidence {
    spoiled(|e| {
        let mut o = outside("stopped", false);
        o.end = Some(EndReport { exit_code, engine_reason: word.map(str::to_owned), oom_kills });
        (e.captures[1].outside, e.captures[1].inside) = (Some(o), None);
    })
}

#[test]
fn an_end_has_its_reason_by_the_kernel_or_by_the_engine() {
    let ends = [
        (EndReason::OomKilled, ended_with(Some(137), None, Some(1))),
        (EndReason::OomKilled, ended_with(Some(137), Some("OOMKilled"), None)),
        (EndReason::Killed, ended_with(Some(137), Some("Error"), Some(0))),
        (EndReason::Exited, ended_with(Some(1), Some("Error"), None)),
        // containerd gives the word to all who share a limit; this one ended by itself.
        (EndReason::Exited, ended_with(Some(0), Some("OOMKilled"), None)),
    ];
    for (is, evidence) in &ends {
        for reason in [EndReason::OomKilled, EndReason::Killed, EndReason::Exited] {
            if reason == *is {
                passes(&stopped_for(reason), evidence);
            } else {
                fails(&stopped_for(reason), evidence);
            }
        }
    }
    let seen = passes(&stopped_for(EndReason::OomKilled), &ends[0].1);
    assert!(seen.ends_with("`copy` ended with exit code 137, 1 killed by the kernel for want of memory"), "{seen}");
}

#[test]
fn an_end_that_nobody_saw_has_no_reason() {
    let unknown = ended_with(None, Some("Unknown"), None);
    assert!(fails(&stopped_for(EndReason::Killed), &unknown).contains("the engine's word `Unknown`"));
    let silent = at_the_end("stopped", Some(false), false);
    assert!(fails(&stopped_for(EndReason::Exited), &silent).contains("nobody says how `copy` ended"));
}

#[test]
fn a_mount_that_is_not_there_is_seen() {
    let CheckSpec::Instance(plain) = check(State::Running, None) else { unreachable!("an instance check") };
    let wants = CheckSpec::Instance(InstanceCheck { mounted: Some("/vol".to_owned()), ..plain });
    let with = spoiled(|e| e.captures[1].outside.as_mut().unwrap().mounts = vec!["/vol".to_owned()]);
    assert!(passes(&wants, &with).ends_with("`/vol` is a mount in it"));
    insta::assert_snapshot!(fails(&wants, &evidence()), @"`/vol` is no mount in `copy`; nothing is mounted; wanted: a mount at `/vol`");
}
