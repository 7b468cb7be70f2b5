//! What the stack under test needs from a node.

use super::{Run, config, said, sh, until};
use podferry::process::Exec;
use podferry::provider::Provider;
use podferry::provider::local::LocalProvider;
use podferry::record::ErrorClass;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_node_its_own_and_shared() {
    let run = Run::up().await;
    let shared = run.a.shared_dir().unwrap();
    said(&run.a, &format!("echo mine > /tmp/mine; echo ours > {}/ours; rm /etc/passwd", shared.display())).await;
    assert_eq!(
        said(&run.b, &format!("cat {}/ours; ls /tmp; head -c 4 /etc/passwd", shared.display())).await,
        "ours\nroot"
    );
    assert_eq!(fs::read_to_string(run.a.host_path(Path::new("/tmp/mine"))).unwrap(), "mine\n");
    fs::write(run.b.host_path(&shared.join("theirs")), "from outside").unwrap();
    assert_eq!(said(&run.a, &format!("cat {}/theirs", shared.display())).await, "from outside");
    let memory = said(&run.a, "for d in / /data /run /tmp /dev/shm /shared; do stat -f -c %T $d; done").await;
    assert_eq!(memory, "overlayfs\ntmpfs\ntmpfs\ntmpfs\ntmpfs\ntmpfs");
    let stale = run.a.host_path(Path::new("/tmp/mine"));
    run.provider.down("a").await.unwrap();
    assert!(fs::read(stale).is_err() && fs::read(run.a.host_path(Path::new("/tmp/mine"))).is_err());
    run.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_host_is_mounted_or_seen() {
    let run = Run::up().await;
    let mounts = said(&run.a, "cut -d' ' -f5 /proc/self/mountinfo | grep -v ^/sys/fs/cgroup | sort").await;
    let expected = "/ /data /dev /dev/mqueue /dev/pts /dev/shm /proc /run /shared /sys /tmp";
    assert_eq!(mounts.split('\n').collect::<Vec<_>>().join(" "), expected);
    assert_eq!(said(&run.a, "cat /proc/1/cgroup | grep -v -E ':(/|/init)$' | wc -l").await, "0");
    // PID 1 and the programs of this command line.
    assert!(said(&run.a, "ls -d /proc/[0-9]* | wc -l").await.parse::<u32>().unwrap() <= 4);
    said(&run.a, "python3 -c 'import os; os.openpty(); os.memfd_create(\"x\")'").await;
    said(&run.a, "sysctl -qw net.ipv4.ip_local_port_range='2000 3000' kernel.ns_last_pid=5000").await;
    for device in ["kmsg", "fuse", "net/tun"].map(|d| format!("/dev/{d}")) {
        let there = run.a.output(Exec::new("test").args(["-c", &device])).await.unwrap().code == 0;
        assert_eq!(there, Path::new(&device).exists(), "{device}");
    }
    run.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binaries_of_the_user_take_the_place_of_the_images() {
    let dir = tempfile::tempdir().unwrap();
    let mine = dir.path().join("my, runc:1");
    fs::write(&mine, "#!/bin/sh\necho mine\n").unwrap();
    fs::set_permissions(&mine, fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = config().await;
    config.overrides = vec![(mine.clone(), "/sbin/runc".into()), (mine.clone(), "/opt/new/tool".into())];
    config.binds = vec![(mine.clone(), "/opt/shown/tool".into())];
    let run = Run::up_with(config).await;
    assert_eq!(said(&run.a, "runc; /usr/sbin/runc; /opt/new/tool").await, "mine\nmine\nmine");
    // As runc 1.3 looks at itself to start the init of a container.
    let overlay = "mkdir /run/o; mount -t overlay -o ro,lowerdir=/usr/sbin:/run/o overlay /run/o; /run/o/runc";
    assert_eq!(said(&run.a, overlay).await, "mine");
    run.b.run(sh("echo broken > /usr/sbin/runc")).await.unwrap();
    assert_eq!(said(&run.b, "/opt/shown/tool; echo broken > /opt/shown/tool || echo refused").await, "mine\nrefused");
    assert!(fs::read_to_string(&mine).unwrap().contains("mine"), "the user's own file was written to");
    run.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cant_be_made_says_why_and_leaves_nothing() {
    let mut config = config().await;
    let id = config.run_id.clone();
    config.image_rootfs = "/no/such/root".into();
    config.overrides = vec![("/no/such/file".into(), "/sbin/runc".into())];
    let provider = LocalProvider::new(config.clone()).unwrap();
    let failure = provider.node("a").await.err().unwrap();
    assert_eq!(failure.class, ErrorClass::Surroundings);
    assert!(failure.message.contains("/no/such/file for /sbin/runc: No such file"), "{}", failure.message);
    assert!(super::groups(&id).is_empty());
    config.overrides.clear();
    let failure = LocalProvider::new(config.clone()).unwrap().node("a").await.err().unwrap();
    assert!(failure.message.contains("lowerdir=/no/such/root"), "{}", failure.message);
    config.podferry = "/no/such/podferry".into();
    let failure = LocalProvider::new(config).unwrap().node("a").await.err().unwrap();
    assert!(failure.message.contains("can't start PID 1"), "{}", failure.message);
    assert!(super::groups(&id).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_taken_once_and_can_be_used_again() {
    let run = Run::up().await;
    let twice = run.provider.node("a").await.err().unwrap();
    assert_eq!(twice.message, "can't make node a: a node of this name is there");
    let held = run.a.listen((run.a.address(), 7000).into()).unwrap();
    run.provider.down("a").await.unwrap();
    run.provider.down("a").await.unwrap();
    let again = run.provider.node("a").await.unwrap();
    assert_eq!(again.address(), run.a.address());
    said(&run.b, &format!("busybox ping -c 1 -W 2 {}", again.address())).await;
    said(&again, &format!("busybox ping -c 1 -W 2 {}", run.b.address())).await;
    drop(held);
    run.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containerd_starts_and_answers_on_its_socket() {
    let run = Run::up().await;
    let socket = Path::new("/run/containerd/containerd.sock");
    let containerd = Exec::new("containerd").args(["--root", "/data/containerd"]);
    let mut daemon = run.a.spawn(containerd, Path::new("/var/log/containerd.log")).await.unwrap();
    let outside = run.a.host_path(socket);
    until("containerd listens", Duration::from_secs(20), || UnixStream::connect(&outside).is_ok()).await;
    let version = said(&run.a, "ctr version").await;
    assert!(version.contains("Server:"), "{version}");
    let plugins = said(&run.a, "ctr plugins ls | grep -E ' (overlayfs|cri|runtime|task) '").await;
    assert!(!plugins.contains("error"), "{plugins}");
    assert_eq!(daemon.stop(Duration::from_secs(10)).await.unwrap(), 0);
    run.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn criu_finds_what_it_needs() {
    let run = Run::up().await;
    let check = run.a.output(Exec::new("criu").arg("check")).await.unwrap();
    let said = String::from_utf8_lossy(&check.stderr).into_owned() + &check.text();
    assert!(check.code == 0 && said.contains("Looks good"), "{said}");
    run.down().await;
}
