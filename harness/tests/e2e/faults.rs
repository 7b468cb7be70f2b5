//! Faults on real nodes: one that never strikes shows nothing, one that stays is found, and all end with the run.

use super::machine::{PODFERRY, Place, Traces, await_death, await_event, descendants};
use super::{QUICK, case, command, json, read, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Stdio;

const HEAD: &str = "  workloads: {counter: {use: counter, with: {interval: 10ms}}}
  steps:
    - deploy: {workload: counter, node: a}
    - wait: {counter: {of: counter, atLeast: 3}}
";

const TAIL: &str = "  checks:
    - instance: {of: counter, state: running}
";

fn spec(steps: &str) -> String {
    format!("{HEAD}{steps}{TAIL}")
}

/// Each would pass if nobody asked whether its fault ever struck.
#[test]
fn a_fault_that_never_strikes_is_no_pass() {
    let place = Place::new();
    // No dump is under way in which a CRIU could be killed an hour after its begin.
    let late = spec(
        "    - checkpoint: {of: counter, as: snap}
      during: {stage: dump, after: 20s, fault: {node: a, kill: criu}}
",
    );
    // Where nothing is carried, nothing begins.
    let nowhere = spec("    - fault: {node: b, runtimeCall: {call: restore, fail: true}}\n");
    // The error that is expected comes, and of something else.
    let other = spec(
        "    - fault: {node: a, kill: workload, of: counter}
    - wait: {time: 300ms, reason: the end of a killed process is no event for a scenario}
    - checkpoint: {of: counter, as: snap}
      during: {stage: dump, fault: {node: b, kill: criu}}
      expect: {error: {class: not-running}}
",
    );
    let scenarios = [("late", late.as_str()), ("nowhere", &nowhere), ("other", &other), ("quick", QUICK)];
    run(&place, &scenarios, &["--engine", "runc"]).exits(20);
    let run = json(&place);
    for name in ["late", "nowhere", "other"] {
        let (outcome, reason) = case(&run, name);
        assert_eq!(outcome, "errored", "{name}: {reason}");
        assert!(reason.contains("the fault never struck"), "{name}: {reason}");
    }
    assert_eq!(case(&run, "quick").0, "passed");
}

/// What is broken when a step fails, or when the time of a case is up, is mended for the case after it: also what all
/// nodes share, which no new node brings.
#[test]
fn what_a_failed_case_broke_is_mended() {
    let place = Place::new();
    let fails = spec(
        "    - fault: {node: a, disk: {of: images, leave: 1Ki}}
    - fault: {node: a, criu: absent}
    - fault: {node: b, pause: true}
    - fault: {node: b, link: cut}
    - checkpoint: {of: counter, as: snap}
",
    );
    let hangs = fails.replace(
        "    - checkpoint: {of: counter, as: snap}\n",
        "    - wait: {time: 5m, reason: the time of the case is up before}\n      timeout: 10m\n",
    );
    let hangs = format!("{hangs}  timeout: 2s\n");
    let next = "  workloads: {counter: {use: counter, with: {interval: 10ms}}}
  steps:
    - deploy: {workload: counter, node: a}
    - capture: {of: counter, as: before}
    - migrate: {of: counter, to: b, as: moved, over: link}
  checks:
    - sameProcess: {of: moved, asOf: before}
";
    let scenarios = [("fails", fails.as_str()), ("next", next), ("hangs", &hangs), ("last", next)];
    run(&place, &scenarios, &["--engine", "runc"]).exits(10);
    let run = json(&place);
    assert_eq!(case(&run, "fails").0, "failed");
    assert_eq!(case(&run, "hangs").0, "failed");
    assert_eq!((case(&run, "next").0.as_str(), case(&run, "last").0.as_str()), ("passed", "passed"), "{run:#}");
    let events = read(&place, "events.jsonl");
    let count = |what: &str| events.lines().filter(|l| l.contains(&format!("{{\"{what}\""))).count();
    assert_eq!((count("fault"), count("fault-mended")), (8, 8));
    assert!(read(&place, "report.html").contains("Broken on purpose"));
}

/// Frozen processes get no SIGKILL on cgroup version 1: a node that stands still must end with the harness all the same.
#[test]
fn a_paused_node_ends_with_a_killed_harness() {
    let place = Place::new();
    let before = Traces::now();
    let paused = spec(
        "    - fault: {node: a, pause: true}
    - fault: {node: b, link: 1Ki/s}
    - wait: {time: 5m, reason: the test ends it}
      timeout: 10m
",
    );
    let mut command = command(&place, &[("paused", &paused)], &["--engine", "cri,runc"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect(PODFERRY);
    await_event(&place.out(), &["step-started", "wait 300s"], || child.try_wait().expect("wait").is_some());
    let family = descendants(child.id());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).expect("it lives");
    child.wait().expect("reaped");
    await_death(&family);
    super::Ended::of(place.podferry(&["clean"])).exits(0);
    place.assert_clean(&before, "after a SIGKILL with a paused node");
}
