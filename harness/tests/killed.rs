//! The harness is killed with SIGKILL at several moments of a real run; after `podferry clean` nothing of it is left:
//! no process, mount, network namespace, link, cgroup or file. Needs root, like every test on real nodes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PODFERRY: &str = env!("CARGO_BIN_EXE_podferry");

/// What a machine shows of us. Compared before and after.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    mounts: BTreeSet<String>,
    links: BTreeSet<PathBuf>,
    named_netns: BTreeSet<PathBuf>,
    cgroups: BTreeSet<PathBuf>,
    ledgers: BTreeSet<PathBuf>,
    shm: BTreeSet<PathBuf>,
}

impl Traces {
    fn now(state: &Path) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        Traces {
            mounts: mounts.lines().map(|l| l.split_once(' ').expect("a mount").1.to_owned()).collect(),
            links: names("/sys/class/net").into_iter().collect(),
            named_netns: names("/run/netns").into_iter().collect(),
            cgroups: our_cgroups(),
            ledgers: names(state.join("podferry/runs")).into_iter().collect(),
            shm: names("/dev/shm").into_iter().collect(),
        }
    }
}

fn names(dir: impl AsRef<Path>) -> Vec<PathBuf> {
    fs::read_dir(dir).map(|d| d.filter_map(Result::ok).map(|e| e.path()).collect()).unwrap_or_default()
}

/// Cgroup folders of runs, in every hierarchy.
fn our_cgroups() -> BTreeSet<PathBuf> {
    let roots = names("/sys/fs/cgroup").into_iter().chain([PathBuf::from("/sys/fs/cgroup")]);
    let ours = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("podferry-"));
    roots.flat_map(names).filter(ours).collect()
}

/// A process by id and start time: ids are used again.
type Process = (u32, String);

/// The parent of a process that lives, and itself.
fn stat(pid: u32) -> Option<(u32, Process)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.rsplit_once(") ")?.1;
    let fields: Vec<&str> = rest.split(' ').collect();
    (fields[0] != "Z").then(|| (fields[1].parse().expect("ppid"), (pid, fields[19].to_owned())))
}

fn descendants(root: u32) -> BTreeSet<Process> {
    let pid = |p: PathBuf| p.file_name()?.to_str()?.parse().ok();
    let all: Vec<(u32, Process)> = names("/proc").into_iter().filter_map(pid).filter_map(stat).collect();
    let mut found = BTreeSet::new();
    let mut parents = BTreeSet::from([root]);
    loop {
        let more: Vec<&Process> =
            all.iter().filter(|(ppid, p)| parents.contains(ppid) && !found.contains(p)).map(|(_, p)| p).collect();
        if more.is_empty() {
            return found;
        }
        for process in more {
            parents.insert(process.0);
            found.insert(process.clone());
        }
    }
}

fn start(out: &Path, state: &Path) -> Child {
    Command::new(PODFERRY)
        .args(["run", "--engine", "cri,runc", "--quiet", "--out"])
        .arg(out)
        .arg("redis-migrates[")
        .env("XDG_STATE_HOME", state)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("podferry starts")
}

/// Waits until the run's events hold all these words in one line, or the run ends.
fn await_event(out: &Path, child: &mut Child, words: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        for run in names(out) {
            let events = fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
            if events.lines().any(|l| words.iter().all(|w| l.contains(w))) {
                return;
            }
        }
        assert!(child.try_wait().expect("wait").is_none(), "the run ended before {words:?} was seen");
        assert!(Instant::now() < deadline, "no event with {words:?} in {}", out.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn kill_at(words: &[&str], then: Duration) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (out, state) = (scratch.path().join("out"), scratch.path().join("state"));
    let before = Traces::now(&state);
    let mut child = start(&out, &state);
    await_event(&out, &mut child, words);
    std::thread::sleep(then);
    let family = descendants(child.id());
    child.kill().expect("SIGKILL");
    child.wait().expect("wait");
    await_death(&family);
    let cleaned = Command::new(PODFERRY).arg("clean").env("XDG_STATE_HOME", &state).output().expect("podferry clean");
    assert!(cleaned.status.success(), "{}", String::from_utf8_lossy(&cleaned.stderr));
    assert_eq!(Traces::now(&state), before, "after the kill at {words:?}");
}

fn await_death(family: &BTreeSet<Process>) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let alive: Vec<&Process> = family.iter().filter(|p| stat(p.0).is_some_and(|(_, now)| now == **p)).collect();
        if alive.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still alive 10 s after the harness was killed: {alive:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn killed_while_nodes_come_up() {
    kill_at(&["run-started"], Duration::from_millis(150));
}

#[test]
fn killed_when_the_first_node_is_up() {
    kill_at(&["node-up"], Duration::ZERO);
}

#[test]
fn killed_while_a_client_writes() {
    kill_at(&["step-started", "wait"], Duration::from_millis(20));
}

#[test]
fn killed_while_a_frozen_container_is_dumped() {
    kill_at(&["\"phase\":\"freeze\""], Duration::from_millis(30));
}

#[test]
fn killed_during_the_restore() {
    kill_at(&["\"phase\":\"transfer\""], Duration::from_millis(10));
}
