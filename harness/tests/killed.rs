//! The harness is killed with SIGKILL at several moments of a real run; after `podferry clean` nothing of it is left:
//! no process, mount, network namespace, link, cgroup or file. Needs root, like every test on real nodes.

mod machine;

use machine::{Place, Traces, await_death, await_event, cgroups, descendants, ledgers, names};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

fn start(place: &Place) -> Child {
    let args = ["run", "--engine", "cri,runc", "--quiet", "--out", "out", "redis-migrates["];
    place.podferry(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("podferry starts")
}

/// What was there when the harness died; a kill that hit nothing proves nothing.
struct Hit {
    processes: usize,
    cgroups: usize,
}

fn kill_at(words: &[&str], then: Duration) -> Hit {
    let place = Place::new();
    let before = Traces::now();
    let mut child = start(&place);
    await_event(&place.out(), words, || child.try_wait().expect("wait").is_some());
    std::thread::sleep(then);
    assert!(holds_image(child.id()), "nobody may drop its node image from the cache");
    let family = descendants(child.id());
    let hit = Hit { processes: family.len(), cgroups: cgroups(&place.out()).len() };
    assert!(child.try_wait().expect("wait").is_none(), "the run ended before it was killed");
    child.kill().expect("SIGKILL");
    child.wait().expect("wait");
    await_death(&family);
    assert_eq!(ledgers(&place.state()).len(), 1, "a killed run leaves its ledger for the next start");
    clean(&place);
    nothing_is_left(&place, &before, words);
    // What was written until then can be rendered.
    for run in machine::runs(&place.out()) {
        let done = place.podferry(&["report"]).arg(&run).output().expect("podferry report");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let page = std::fs::read_to_string(run.join("report.html")).expect("a report");
        assert!(page.contains("redis-migrates"));
    }
    hit
}

/// Whether a process has the file open that says that a node image is in use.
fn holds_image(pid: u32) -> bool {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its files").flatten();
    open.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|path| path.ends_with("in-use"))
}

fn clean(place: &Place) {
    let cleaned = place.podferry(&["clean"]).output().expect("podferry clean");
    assert!(cleaned.status.success(), "{}", String::from_utf8_lossy(&cleaned.stderr));
}

fn nothing_is_left(place: &Place, before: &Traces, when: &[&str]) {
    place.assert_clean(before, &format!("after the kill at {when:?}"));
    assert_eq!(unfinished(), Vec::<PathBuf>::new(), "after the kill at {when:?}");
}

/// Node images that are half made.
fn unfinished() -> Vec<PathBuf> {
    let cache = podferry::component::Cache::of_user();
    let half = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(".unfinished"));
    names(Path::new(cache.dir()).join("images")).into_iter().filter(half).collect()
}

/// Nodes take some 30 ms to come up: the kill falls before, into and after that.
#[test]
fn killed_while_nodes_come_up() {
    for wait in [0, 3, 8, 15, 25, 150] {
        kill_at(&["run-started"], Duration::from_millis(wait));
    }
}

#[test]
fn killed_when_the_first_node_is_up() {
    let hit = kill_at(&["node-up"], Duration::ZERO);
    assert!(hit.processes > 0 && hit.cgroups > 0);
}

#[test]
fn killed_while_a_client_writes() {
    let hit = kill_at(&["step-started", "wait"], Duration::from_millis(20));
    assert!(hit.processes > 4 && hit.cgroups > 0, "two nodes, two daemons, a workload: {}", hit.processes);
}

#[test]
fn killed_while_a_frozen_container_is_dumped() {
    let hit = kill_at(&["\"phase\":\"freeze\""], Duration::from_millis(30));
    assert!(hit.processes > 4 && hit.cgroups > 0, "{}", hit.processes);
}

#[test]
fn killed_during_the_restore() {
    let hit = kill_at(&["\"phase\":\"transfer\""], Duration::from_millis(10));
    assert!(hit.processes > 4 && hit.cgroups > 0, "{}", hit.processes);
}

/// Nobody calls `clean`: the next run sweeps first, says so, and goes on as if nothing had been.
#[test]
fn the_next_run_sweeps_up() {
    let place = Place::new();
    let before = Traces::now();
    let mut child = start(&place);
    await_event(&place.out(), &["step-started", "wait"], || child.try_wait().expect("wait").is_some());
    let family = descendants(child.id());
    child.kill().expect("SIGKILL");
    child.wait().expect("wait");
    await_death(&family);
    let args = ["run", "--engine", "runc", "--quiet", "--out", "out", "counter-migrates"];
    let next = place.podferry(&args).output().expect("podferry run");
    let told = String::from_utf8_lossy(&next.stderr);
    assert!(next.status.success(), "{told}");
    assert!(told.contains("swept up after 1 killed run(s): "), "{told}");
    nothing_is_left(&place, &before, &["the next run"]);
}
