//! A node that goes down whole and comes back.

use super::{Run, said, sh, until};
use podferry::provider::Provider;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_has_its_disk_and_its_address_and_nothing_else() {
    let run = Run::up().await;
    let setup = "
echo kept > /data/file; mkdir -p /data/deep; ln -s ../file /data/deep/link; chmod 751 /data/deep
mkdir -p /data/below; mount -t tmpfs none /data/below; echo lost > /data/below/file
for d in /run /tmp /root; do echo lost > $d/file; done
echo shared > /shared/file
ip link add dummy0 type dummy; ip netns add left
mkdir -p /sys/fs/cgroup/left /sys/fs/cgroup/memory/left 2>/dev/null; true";
    said(&run.a, setup).await;
    let daemon = run.a.spawn(sh("sleep 1000"), Path::new("/data/log")).await.unwrap();
    let was = said(&run.a, "readlink /proc/1/ns/pid /proc/1/ns/mnt /proc/1/ns/net; cat /proc/1/stat").await;
    let from = Instant::now();
    let back = run.provider.restart("a").await.unwrap();
    let took = from.elapsed();
    eprintln!("a node restarted in {took:?}");
    assert!(!run.a.alive() && back.alive());
    assert!(!run.a.host_path(Path::new("/data/file")).exists(), "the old handle leads nowhere");
    assert_eq!((back.name(), back.address()), (run.a.name(), run.a.address()));
    assert_ne!(said(&back, "readlink /proc/1/ns/pid /proc/1/ns/mnt /proc/1/ns/net; cat /proc/1/stat").await, was);

    assert_eq!(
        said(&back, "cat /data/file /data/deep/link; stat -c %a /data/deep; ls /data/below").await,
        "kept\nkept\n751"
    );
    assert_eq!(said(&back, "cat /shared/file").await, "shared");
    let lost = "for f in /run/file /tmp/file /root/file; do [ ! -e $f ] || echo $f; done";
    assert_eq!(said(&back, lost).await, "");
    assert_eq!(
        said(&back, "ls /sys/class/net | sort | tr '\\n' ' '; ls /run/netns 2>/dev/null; true").await.trim(),
        "eth0 lo"
    );
    assert_eq!(said(&back, "find /sys/fs/cgroup -name left").await, "");
    let sleeps = said(&back, "grep -l 'sleep' /proc/[0-9]*/comm 2>/dev/null; true").await;
    assert_eq!(sleeps, "", "a process of before lives on");
    drop(daemon);

    // It is a node like any other: reached by the others, and restarted again.
    let listener = back.listen((back.address(), 7000).into()).unwrap();
    let knock = format!("exec 3<>/dev/tcp/{}/7000", back.address());
    run.b.run(podferry::process::Exec::new("bash").args(["-c", &knock])).await.unwrap();
    drop(listener);
    let again = run.provider.restart("a").await.unwrap();
    assert_eq!(said(&again, "cat /data/file").await, "kept");
    assert!(run.provider.restart("none").await.err().unwrap().message.contains("can't restart node none"));
    drop((back, again));
    run.down().await;
    assert!(took < Duration::from_secs(2), "it took {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_orphan_is_told() {
    let run = Run::up().await;
    // A child of a shell that has gone: PID 1 inherits it.
    let start = "(sh -c 'echo $$ > /tmp/pid; until [ -e /tmp/go ]; do sleep 0.01; done; exit 7' &) ; true";
    run.a.run(sh(start)).await.unwrap();
    let file = run.a.host_path(Path::new("/tmp/pid"));
    until("it has told its id", Duration::from_secs(5), || fs::read_to_string(&file).is_ok_and(|t| t.ends_with('\n')))
        .await;
    let pid: u32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    assert_eq!(run.a.orphan_exit(pid), None, "it lives");
    said(&run.a, "touch /tmp/go").await;
    until("its end is told", Duration::from_secs(5), || run.a.orphan_exit(pid).is_some()).await;
    assert_eq!(run.a.orphan_exit(pid), Some(7));
    let killed: u32 =
        said(&run.a, "(sleep 1000 >/dev/null 2>&1 & echo $! > /tmp/pid2); cat /tmp/pid2").await.parse().unwrap();
    said(&run.a, &format!("kill -9 {killed}")).await;
    until("its end is told", Duration::from_secs(5), || run.a.orphan_exit(killed).is_some()).await;
    assert_eq!(run.a.orphan_exit(killed), Some(137));
    run.down().await;
}
