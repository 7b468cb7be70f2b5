//! How nodes end.

use super::{Run, groups, said, sh, until};
use podferry::provider::Provider;
use podferry::provider::local::sweep_cgroups;
use podferry::record::RunId;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Set in the process that [`a_killed_harness_leaves_only_control_groups`] starts: the test that it runs stops half-way
/// and waits to be killed.
const HOLD: &str = "PODFERRY_TEST_HOLD";

/// Freezes a process in a group below its own, by either version of control groups.
const FREEZE: &str = "
sleep 1000 & p=$!
if [ -d /sys/fs/cgroup/freezer ]; then
  mkdir -p /sys/fs/cgroup/freezer/outer/inner
  echo $p > /sys/fs/cgroup/freezer/outer/inner/cgroup.procs
  echo FROZEN > /sys/fs/cgroup/freezer/outer/freezer.state
  until grep -q FROZEN /sys/fs/cgroup/freezer/outer/inner/freezer.state; do :; done
else
  mkdir -p /sys/fs/cgroup/outer/inner
  echo $p > /sys/fs/cgroup/outer/inner/cgroup.procs
  echo 1 > /sys/fs/cgroup/outer/cgroup.freeze
  until grep -q 'frozen 1' /sys/fs/cgroup/outer/cgroup.events; do :; done
fi
echo frozen";

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_frozen_processes_and_daemons_goes_at_once() {
    let run = Run::up().await;
    let log = Path::new("/var/log/x");
    let _daemon = run.a.spawn(sh("setsid sleep 1000 & (trap '' TERM HUP INT; sleep 1000) & wait"), log).await.unwrap();
    let _piped = run.b.spawn_piped(sh("while :; do echo again; sleep 0.01; done"), log).await.unwrap();
    for node in [&run.a, &run.b] {
        assert_eq!(said(node, FREEZE).await, "frozen");
    }
    let listener = run.a.listen((run.a.address(), 7000).into()).unwrap();
    if std::env::var_os(HOLD).is_some() {
        println!("holding {}", run.id);
        std::future::pending::<()>().await;
    }
    let members = members(&run.id);
    assert!(members.len() >= 8, "{members:?}");
    for name in ["a", "b"] {
        let from = Instant::now();
        run.provider.down(name).await.unwrap();
        let took = from.elapsed();
        eprintln!("node {name} with frozen processes down: {took:?}");
        assert!(took < Duration::from_millis(500), "it took {took:?}");
    }
    assert!(members.iter().all(|pid| !alive(*pid)), "processes of the nodes live on");
    drop(listener);
    run.down().await;
}

/// All processes in the run's control groups.
fn members(run: &RunId) -> BTreeSet<i32> {
    fn collect(dir: &Path, into: &mut BTreeSet<i32>) {
        let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        into.extend(procs.lines().map(|l| l.parse::<i32>().unwrap()));
        for entry in fs::read_dir(dir).into_iter().flatten().flatten().filter(|e| e.path().is_dir()) {
            collect(&entry.path(), into);
        }
    }
    let mut all = BTreeSet::new();
    groups(run).iter().for_each(|dir| collect(dir, &mut all));
    all
}

/// Not gone, and no zombie that only waits for its parent.
fn alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// The inode of a process's network namespace.
fn net(pid: &str) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/ns/net")).ok().map(|m| m.ino())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_harness_leaves_only_control_groups() {
    let mut harness = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "end::a_node_with_frozen_processes_and_daemons_goes_at_once", "--nocapture"])
        .env(HOLD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(harness.stdout.take().unwrap()).lines();
    let found = lines.map_while(Result::ok).find_map(|l| l.split_once("holding ").map(|(_, id)| id.to_owned()));
    let run = RunId(found.expect("the other harness says its run"));
    let members = members(&run);
    let nets: BTreeSet<u64> = members.iter().filter_map(|pid| net(&pid.to_string())).collect();
    assert!(members.len() >= 8 && nets.len() == 2, "{members:?} {nets:?}");

    harness.kill().unwrap();
    let from = Instant::now();
    until("the kernel has ended the nodes", Duration::from_secs(5), || !members.iter().any(|pid| alive(*pid))).await;
    eprintln!("nodes gone {:?} after SIGKILL of the harness", from.elapsed());
    harness.wait().unwrap();

    let pids = fs::read_dir("/proc").unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let in_nets: Vec<String> = pids.filter(|p| net(p).is_some_and(|n| nets.contains(&n))).collect();
    assert!(in_nets.is_empty(), "{in_nets:?} are still in the nodes' network namespaces");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("upperdir=/sys/upper"), "{mounts}");

    assert!(!groups(&run).is_empty(), "what is swept below");
    assert_eq!(sweep_cgroups(&run).unwrap(), []);
    assert!(groups(&run).is_empty());
    assert_eq!(sweep_cgroups(&run).unwrap(), [], "sweeping what is gone is no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeping_ends_what_still_lives() {
    let run = Run::up().await;
    said(&run.a, FREEZE).await;
    assert_eq!(sweep_cgroups(&run.id).unwrap(), []);
    until("the node is known to have ended", Duration::from_secs(5), || !run.a.alive() && !run.b.alive()).await;
    run.down().await;
}
