//! What a machine shows of a run: looked at before and after, to see that nothing of it is left.
#![allow(dead_code, reason = "each test file takes what it needs")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const PODFERRY: &str = env!("CARGO_BIN_EXE_podferry");

/// Things that a run could leave behind, and where other programs of the machine leave theirs too: only what came in
/// between is of interest.
#[derive(Debug)]
pub(crate) struct Traces {
    mounts: BTreeSet<String>,
    names: BTreeSet<PathBuf>,
}

impl Traces {
    pub(crate) fn now() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        let folders = ["/sys/class/net", "/run/netns", "/var/run/netns", "/dev/shm"];
        Traces {
            mounts: mounts.lines().map(|l| l.split_once(' ').expect("a mount").1.to_owned()).collect(),
            names: folders.into_iter().flat_map(names).collect(),
        }
    }

    /// What is there now and was not then.
    pub(crate) fn since(&self) -> Vec<String> {
        let now = Traces::now();
        let mounts = now.mounts.difference(&self.mounts).cloned();
        mounts.chain(now.names.difference(&self.names).map(|p| p.display().to_string())).collect()
    }
}

/// The places that runs of one test may write to, each of its own.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        let place = Place(tempfile::tempdir().expect("a scratch folder"));
        fs::create_dir(place.temp()).expect("a folder");
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.path("out")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn temp(&self) -> PathBuf {
        self.path("temp")
    }

    /// podferry in this place.
    pub(crate) fn podferry(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PODFERRY);
        command.args(args).env("XDG_STATE_HOME", self.state()).env("TMPDIR", self.temp()).current_dir(self.0.path());
        command.env_remove("GITHUB_ACTIONS").stdin(Stdio::null());
        command
    }

    /// What a run that has ended, or was swept up, must not leave behind.
    pub(crate) fn assert_clean(&self, before: &Traces, when: &str) {
        assert_eq!(before.since(), Vec::<String>::new(), "{when}");
        let none: Vec<PathBuf> = Vec::new();
        assert_eq!(cgroups(&self.out()), none, "{when}");
        assert_eq!(names(self.state().join("podferry/runs")), none, "{when}: ledgers");
        assert_eq!(names(self.temp()), none, "{when}: temporary files");
    }
}

/// What is in a folder; nothing if there is no folder.
pub(crate) fn names(dir: impl AsRef<Path>) -> Vec<PathBuf> {
    fs::read_dir(dir).map(|d| d.filter_map(Result::ok).map(|e| e.path()).collect()).unwrap_or_default()
}

/// The folders of the runs below an `--out`.
pub(crate) fn runs(out: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = names(out).into_iter().filter(|p| p.is_dir() && !p.is_symlink()).collect();
    found.sort();
    found
}

/// The control groups of the runs below an `--out`, in every hierarchy.
pub(crate) fn cgroups(out: &Path) -> Vec<PathBuf> {
    let ids: Vec<String> =
        runs(out).iter().map(|r| format!("podferry-{}", r.file_name().expect("a name").to_string_lossy())).collect();
    let roots = names("/sys/fs/cgroup").into_iter().chain([PathBuf::from("/sys/fs/cgroup")]);
    roots.flat_map(|root| ids.iter().map(move |id| root.join(id)).collect::<Vec<_>>()).filter(|p| p.exists()).collect()
}

/// The ledgers below a state folder.
pub(crate) fn ledgers(state: &Path) -> Vec<PathBuf> {
    names(state.join("podferry/runs"))
}

/// A process by id and start time: ids are used again.
pub(crate) type Process = (u32, String);

/// The parent of a process that lives, and itself.
fn stat(pid: u32) -> Option<(u32, Process)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.rsplit_once(") ")?.1;
    let fields: Vec<&str> = rest.split(' ').collect();
    (fields[0] != "Z").then(|| (fields[1].parse().expect("ppid"), (pid, fields[19].to_owned())))
}

/// All that a process started, and what those started.
pub(crate) fn descendants(root: u32) -> BTreeSet<Process> {
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

/// Waits until none of them lives.
pub(crate) fn await_death(family: &BTreeSet<Process>) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let alive: Vec<&Process> = family.iter().filter(|p| stat(p.0).is_some_and(|(_, now)| now == **p)).collect();
        if alive.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still alive after 10 s: {alive:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the events of a run below `out` hold all these words in one line. `ended` says that none will come.
pub(crate) fn await_event(out: &Path, words: &[&str], mut ended: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    let seen = || {
        let events = runs(out).into_iter().filter_map(|run| fs::read_to_string(run.join("events.jsonl")).ok());
        events.into_iter().any(|text| text.lines().any(|l| words.iter().all(|w| l.contains(w))))
    };
    while !seen() {
        assert!(!ended() || seen(), "the run ended before {words:?} was seen");
        assert!(Instant::now() < deadline, "no event with {words:?} in {}", out.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}
