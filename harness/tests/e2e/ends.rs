//! Runs that end otherwise than by coming to their end.

use super::machine::{PODFERRY, Place, Traces, await_death, await_event, descendants};
use super::{Ended, LONG, QUICK, case, command, folder, json, junit, read, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn a_run_that_takes_too_long_is_ended_and_reported() {
    let place = Place::new();
    let from = Instant::now();
    let ended = run(&place, &[("long", LONG), ("quick", QUICK)], &["--engine", "cri,runc", "--timeout", "2s"]);
    ended.exits(22);
    assert!(from.elapsed() < Duration::from_secs(20), "{:?}", from.elapsed());
    assert!((ended.out + &ended.err).contains("did not end within 2s"));
    assert_eq!(json(&place)["exit_code"], 22);
    // Four cases that have no end, and the run's own error.
    assert_eq!((junit(&place).tests, junit(&place).errors), (5, 5));
    assert!(read(&place, "report.html").contains("did not end within 2s"));
}

#[test]
fn a_case_that_takes_too_long_fails_and_the_next_runs() {
    let place = Place::new();
    let long = LONG.replace("timeout: 10m\n", "timeout: 1s\n").replace("      timeout: 1s\n", "");
    let ended = run(&place, &[("long", &long), ("quick", QUICK)], &["--engine", "runc"]);
    ended.exits(10);
    let run = json(&place);
    let (outcome, reason) = case(&run, "long");
    assert_eq!(outcome, "failed");
    assert!(reason.starts_with("the case did not end within 1s, in step `"), "{reason}");
    assert_eq!(case(&run, "quick").0, "passed");
}

fn start_long(place: &Place) -> Child {
    let mut command = command(place, &[("long", LONG), ("quick", QUICK)], &["--engine", "cri,runc"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect(PODFERRY);
    await_event(&place.out(), &["step-started", "wait"], || child.try_wait().expect("wait").is_some());
    child
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).expect("it lives");
}

#[test]
fn an_interrupt_takes_everything_down_and_writes_the_reports() {
    for how in [Signal::SIGINT, Signal::SIGTERM] {
        let place = Place::new();
        let before = Traces::now();
        let child = start_long(&place);
        let family = descendants(child.id());
        assert!(family.len() > 2, "{family:?}");
        signal(&child, how);
        let from = Instant::now();
        let done = child.wait_with_output().expect("it ends");
        assert!(from.elapsed() < Duration::from_secs(10), "{:?}", from.elapsed());
        let told = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(130), "{how}: {told}");
        assert!(told.contains("interrupted: taking everything down"), "{told}");
        await_death(&family);
        place.assert_clean(&before, how.as_str());
        let run = json(&place);
        assert_eq!((run["interrupted"].as_bool(), run["exit_code"].as_u64()), (Some(true), Some(130)));
        assert_eq!(junit(&place).tests, 4);
        assert!(read(&place, "report.html").contains("interrupted"));
    }
}

/// Who presses the keys a second time does not want to wait; the next start sweeps.
#[test]
fn a_second_interrupt_leaves_at_once() {
    let place = Place::new();
    let before = Traces::now();
    let child = start_long(&place);
    let family = descendants(child.id());
    signal(&child, Signal::SIGINT);
    signal(&child, Signal::SIGTERM);
    let done = child.wait_with_output().expect("it ends");
    assert_eq!(done.status.code(), Some(130));
    await_death(&family);
    Ended::of(place.podferry(&["clean"])).exits(0);
    place.assert_clean(&before, "after two interrupts");
}

/// The run's folder lies on a file system without room, in a mount namespace of the test's own: it is told, by its name,
/// and the nodes are taken down as ever.
#[test]
fn a_full_disk_is_told() {
    for (size, room) in [("4k", "for less than the events"), ("16k", "for the events and not for the reports")] {
        let place = Place::new();
        std::fs::create_dir(place.out()).expect("a folder");
        let before = Traces::now();
        let inner = command(&place, &[("quick", QUICK)], &["--engine", "runc"]);
        let script = format!("mount -t tmpfs -o size={size} tmpfs out && exec \"$@\"");
        let mut outer = Command::new("unshare");
        outer.args(["-m", "sh", "-c", &script, "sh"]).arg(inner.get_program()).args(inner.get_args());
        outer.current_dir(place.path("")).env("XDG_STATE_HOME", place.state()).env("TMPDIR", place.temp());
        let ended = Ended::of(outer);
        ended.exits(20);
        assert!(ended.err.contains("No space left on device"), "{room}: {}", ended.err);
        assert!(ended.err.contains("error: can't write ") && ended.err.contains("/out/"), "{room}: {}", ended.err);
        // What could not be written is told all the same.
        assert!(ended.out.contains("PASS   quick[engine=runc]"), "{room}: {}", ended.out);
        place.assert_clean(&before, room);
    }
}

#[test]
fn an_out_folder_that_cannot_be_made_is_named() {
    let place = Place::new();
    std::fs::write(place.out(), "a file").expect("written");
    let ended = run(&place, &[("quick", QUICK)], &["--engine", "runc"]);
    ended.exits(20);
    assert!(ended.err.contains("can't make the run's folder") && ended.err.contains("/out/"), "{}", ended.err);
}

/// What was recorded until a run was killed is enough for its report.
#[test]
fn a_killed_run_can_be_rendered() {
    let place = Place::new();
    let before = Traces::now();
    let mut child = start_long(&place);
    let family = descendants(child.id());
    child.kill().expect("SIGKILL");
    child.wait().expect("wait");
    await_death(&family);
    let run = folder(&place);
    Ended::of(place.podferry(&["report", &run.display().to_string()])).exits(0);
    let run = json(&place);
    assert_eq!(run["counts"]["passed"], 0);
    assert!(run["counts"]["unfinished"].as_u64().is_some_and(|n| n > 0), "{run:#}");
    assert!(read(&place, "report.html").contains("long[engine="));
    Ended::of(place.podferry(&["clean"])).exits(0);
    place.assert_clean(&before, "after a kill and `clean`");
}
