use super::lines::{Contents, Line, parse};
use super::*;
use crate::record::RunId;
use proptest::prelude::*;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn id(s: &str) -> RunId {
    RunId(s.to_owned())
}

fn claim(kind: &str, name: &str) -> Claim {
    Claim { kind: kind.to_owned(), name: name.to_owned() }
}

#[test]
fn a_claim_is_in_the_file_before_claim_returns() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open_in(dir.path(), &id("r1")).unwrap();
    ledger.claim(CGROUP, "/podferry/r1").unwrap();
    let text = fs::read_to_string(ledger.path()).unwrap();
    assert!(text.ends_with("{\"do\":\"claim\",\"kind\":\"cgroup\",\"name\":\"/podferry/r1\"}\n"), "{text}");
}

#[test]
fn a_living_run_is_not_dead_and_closing_removes_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open_in(dir.path(), &id("r1")).unwrap();
    ledger.claim(TEMP_DIR, "/x").unwrap();
    assert!(dead_in(dir.path()).unwrap().is_empty());
    ledger.release(TEMP_DIR, "/x").unwrap();
    assert!(ledger.close().unwrap().is_empty());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_is_not_released_outlives_the_close_and_is_swept_last_made_first() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open_in(dir.path(), &id("r1")).unwrap();
    for name in ["/a", "/b", "/c"] {
        ledger.claim(CGROUP, name).unwrap();
    }
    ledger.release(CGROUP, "/b").unwrap();
    assert_eq!(ledger.close().unwrap(), [claim(CGROUP, "/a"), claim(CGROUP, "/c")]);

    let mut seen = Vec::new();
    let run = dead_in(dir.path()).unwrap().pop().unwrap();
    assert!(dead_in(dir.path()).unwrap().is_empty(), "held by the first sweep");
    let busy = |c: &Claim| {
        seen.push(c.name.clone());
        if c.name == "/a" { Err("busy".to_owned()) } else { Ok(()) }
    };
    let unswept = run.sweep(busy).unwrap();
    assert_eq!(seen, ["/c", "/a"]);
    assert_eq!(unswept, [Unswept { run: "r1".into(), claim: claim(CGROUP, "/a"), reason: "busy".into() }]);

    let again = dead_in(dir.path()).unwrap().pop().unwrap();
    assert_eq!(again.claims, [claim(CGROUP, "/a")]);
    assert!(again.sweep(|_| Ok(())).unwrap().is_empty());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_run_sweeps_its_own_at_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open_in(dir.path(), &id("r1")).unwrap();
    for name in ["/a", "/b"] {
        ledger.claim(CGROUP, name).unwrap();
    }
    let unswept = ledger.sweep(|c| if c.name == "/b" { Err("busy".to_owned()) } else { Ok(()) }).unwrap();
    assert_eq!(unswept, [(claim(CGROUP, "/b"), "busy".to_owned())]);
    assert_eq!(ledger.close().unwrap(), [claim(CGROUP, "/b")]);
}

#[test]
fn two_runs_of_one_name_do_not_share_a_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let first = Ledger::open_in(dir.path(), &id("r1")).unwrap();
    first.claim(CGROUP, "/a").unwrap();
    let second = Ledger::open_in(dir.path(), &id("r1"));
    assert!(matches!(second, Err(LedgerError::Taken { .. })), "{second:?}");
    assert_eq!(first.claims().unwrap(), [claim(CGROUP, "/a")]);
}

#[test]
fn a_torn_last_line_names_nothing_and_does_not_swallow_what_follows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r1.ledger");
    let mut bytes = Line::Claim(claim(CGROUP, "/a")).bytes();
    bytes.extend_from_slice(b"{\"do\":\"claim\",\"kind\":\"cgr");
    fs::write(&path, &bytes).unwrap();
    let run = dead_in(dir.path()).unwrap().pop().unwrap();
    assert_eq!(run.claims, [claim(CGROUP, "/a")]);
    assert!(run.sweep(|_| Err("busy".into())).unwrap().len() == 1);
    assert!(dead_in(dir.path()).unwrap().pop().unwrap().sweep(|_| Ok(())).unwrap().is_empty());
    assert!(!path.exists());
}

#[test]
fn an_unreadable_line_in_the_middle_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("r1.ledger"), "nonsense\n").unwrap();
    let unswept = dead_in(dir.path()).unwrap().pop().unwrap().sweep(|_| Ok(())).unwrap();
    assert_eq!(unswept.len(), 1);
    assert!(unswept[0].claim.name.ends_with("r1.ledger:1"), "{unswept:?}");
    assert!(dead_in(dir.path()).unwrap().is_empty());
}

const CHILD: &str = "PODFERRY_TEST_LEDGER_CHILD";

/// Not a test of its own: the other half of `a_run_killed_with_sigkill_is_dead`, which starts it in a process of its
/// own. Without the variable it has nothing to do.
#[test]
#[expect(clippy::print_stdout, reason = "read by the parent")]
fn child_that_holds_a_ledger() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let ledger = Ledger::open_in(Path::new(&dir), &id("killed")).unwrap();
    ledger.claim(CGROUP, "/podferry/killed").unwrap();
    // A program that the run started must not keep the lock alive.
    let mut sleeper = Command::new("sleep").arg("30").spawn().unwrap();
    fs::write(Path::new(&dir).join("sleeper"), sleeper.id().to_string()).unwrap();
    println!("\nclaimed");
    sleeper.wait().unwrap();
}

#[test]
fn a_run_killed_with_sigkill_is_dead_though_its_children_live() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ledger::tests::child_that_holds_a_ledger", "--nocapture"])
        .env(CHILD, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    assert!(out.lines().any(|l| l.unwrap() == "claimed"));
    assert!(dead_in(dir.path()).unwrap().is_empty(), "it lives");
    child.kill().unwrap();
    child.wait().unwrap();
    let runs = dead_in(dir.path()).unwrap();
    let sleeper = fs::read_to_string(dir.path().join("sleeper")).unwrap();
    let alive = Path::new("/proc").join(&sleeper).exists();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(sleeper.parse().unwrap()), nix::sys::signal::SIGKILL).unwrap();
    assert!(alive, "the child was to outlive the run");
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].run.as_str(), &runs[0].claims[..]), ("killed", &[claim(CGROUP, "/podferry/killed")][..]));
}

#[test]
fn concurrent_starts_and_sweeps_lose_no_claim_of_a_living_run() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|s| {
        for t in 0..4 {
            let dir = dir.path();
            s.spawn(move || {
                for i in 0..50 {
                    let ledger = Ledger::open_in(dir, &id(&format!("r{t}-{i}"))).unwrap();
                    ledger.claim(CGROUP, "/mine").unwrap();
                    for run in dead_in(dir).unwrap() {
                        run.sweep(|_| Ok(())).unwrap();
                    }
                    assert_eq!(ledger.claims().unwrap(), [claim(CGROUP, "/mine")]);
                    if i % 2 == 0 {
                        ledger.release(CGROUP, "/mine").unwrap();
                    }
                    ledger.close().unwrap();
                }
            });
        }
    });
    for run in dead_in(dir.path()).unwrap() {
        run.sweep(|_| Ok(())).unwrap();
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

proptest! {
    #[test]
    fn what_was_written_is_read(steps in prop::collection::vec((any::<bool>(), "[a-c]", ".{0,3}"), 0..20), cut in 0usize..60) {
        let mut bytes = Line::Run { run: "r".into(), pid: 1, started: "now".into() }.bytes();
        let mut open: Vec<Claim> = Vec::new();
        for (made, kind, name) in &steps {
            let it = claim(kind, name);
            let line = if *made { Line::Claim(it.clone()) } else { Line::Release(it.clone()) };
            bytes.extend(line.bytes());
            if !made {
                open.retain(|c| *c != it);
            } else if !open.contains(&it) {
                open.push(it);
            }
        }
        prop_assert_eq!(parse(&bytes), Contents { open: open.clone(), unreadable: vec![] });
        // Any beginning of one more line changes nothing.
        let more = Line::Claim(claim("z", "z")).bytes();
        bytes.extend(&more[..cut.min(more.len() - 1)]);
        prop_assert_eq!(parse(&bytes), Contents { open, unreadable: vec![] });
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let contents = parse(&bytes);
        prop_assert!(contents.open.is_empty() || bytes.contains(&b'\n'));
    }
}

#[test]
fn what_a_dead_run_left_is_taken_over_once() {
    let dir = tempfile::tempdir().unwrap();
    let kept = claim(KEPT_KIND_CLUSTER, "podferry-x passed /run/docker.sock");
    let left = Ledger::open_in(dir.path(), &id("r1")).unwrap();
    left.claim(CGROUP, "/a").unwrap();
    left.claim(&kept.kind, &kept.name).unwrap();
    let own = Ledger::open_in(dir.path(), &id("r2")).unwrap();
    let take = || take_over_in(dir.path(), &kept, || own.claim(KIND_CLUSTER, "podferry-x /run/docker.sock"));
    assert!(!take().unwrap(), "its run lives");
    left.close().unwrap();

    let refused = take_over_in(dir.path(), &kept, || Err(std::io::Error::other("a full disk")));
    assert!(refused.is_err());
    assert!(take().unwrap());
    assert!(!take().unwrap(), "it is taken");
    assert_eq!(own.claims().unwrap(), [claim(KIND_CLUSTER, "podferry-x /run/docker.sock")]);
    let rest = dead_in(dir.path()).unwrap();
    assert_eq!(rest[0].claims, [claim(CGROUP, "/a")], "what else it left is still to be swept");
}
