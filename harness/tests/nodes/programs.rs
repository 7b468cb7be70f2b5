use super::{Run, said, sh, until};
use podferry::process::{Exec, ExecError};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn programs_give_output_code_and_signal() {
    let run = Run::up().await;
    let a = &run.a;
    let output = a.output(sh("cat; echo oops >&2; exit 7").stdin("in")).await.unwrap();
    assert_eq!((output.code, output.text().as_str(), output.stderr.as_slice()), (7, "in", &b"oops\n"[..]));
    assert_eq!(a.output(sh("kill -9 $$")).await.unwrap().code, 137);
    assert_eq!(a.output(sh("kill -40 $$")).await.unwrap().code, 168, "a real-time signal");
    let error = a.run(sh("echo why >&2; exit 3")).await.unwrap_err();
    assert_eq!(error.to_string(), "`[a] sh -c 'echo why >&2; exit 3'` ended with 3: why");

    let refused = a.run(Exec::new("/no/such/program")).await.unwrap_err();
    assert!(matches!(&refused, ExecError::Start { source, .. } if source.kind() == std::io::ErrorKind::NotFound));
    let refused = a.run(Exec::new("true").cwd("/no/such/dir")).await.unwrap_err();
    assert!(matches!(&refused, ExecError::Start { source, .. } if source.to_string().contains("/no/such/dir")));
    let refused = a.run(Exec::new("true").arg("x".repeat(4 << 20))).await.unwrap_err();
    assert!(matches!(&refused, ExecError::Start { .. }), "{refused}");

    let much: Vec<u8> = (0..3 << 20).map(|n: u32| (n.wrapping_mul(31) >> 5) as u8).collect();
    let output = a.run(Exec::new("cat").stdin(much.clone())).await.unwrap();
    assert!(output.stdout == much, "3 MiB did not come back as they went");
    run.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_start_clean() {
    let run = Run::up().await;
    let output = run.a.run(Exec::new("env").env("EXTRA", "1")).await.unwrap().text();
    let mut lines: Vec<&str> = output.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["EXTRA=1", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
    let facts = "pwd; hostname; grep SigBlk /proc/self/status; umask; ls /proc/self/fd | wc -l";
    assert_eq!(said(&run.a, facts).await, "/\na\nSigBlk:\t0000000000000000\n0022\n4");
    let ids = said(&run.a, "for ns in pid mnt net uts ipc cgroup; do readlink /proc/self/ns/$ns; done").await;
    for (id, ns) in ids.lines().zip(["pid", "mnt", "net", "uts", "ipc", "cgroup"]) {
        let ours = fs::read_link(format!("/proc/self/ns/{ns}")).unwrap();
        assert_ne!(Path::new(id), ours, "the node has the host's {ns} namespace");
    }
    run.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_dies_with_its_time_or_its_caller() {
    let run = Run::up().await;
    // SIGKILL was sent, which is not to say that it has done its work.
    let death = "for i in $(seq 500); do kill -0 $(cat /tmp/pid) 2>/dev/null || break; sleep 0.01; done; echo $i";
    let dead = |tries: String| assert_ne!(tries, "500", "the child in the background lives on");
    let endless = sh("sleep 60 & echo $! > /tmp/pid; wait");
    // Also when its time is up before it is known to have started.
    let marked = || sh("sleep 61").timeout(Duration::ZERO);
    for _ in 0..20 {
        assert!(matches!(run.a.run(marked()).await, Err(ExecError::Timeout { .. })));
    }
    let error = run.a.run(endless.clone().timeout(Duration::from_millis(200))).await.unwrap_err();
    assert!(matches!(error, ExecError::Timeout { .. }), "{error}");
    dead(said(&run.a, death).await);
    assert_eq!(said(&run.a, "busybox pgrep -f -x 'sleep 61' | wc -l").await, "0");

    let pid = run.b.host_path(Path::new("/tmp/pid"));
    tokio::select! {
        ended = run.b.run(endless) => panic!("{ended:?}"),
        () = until("the program runs", Duration::from_secs(5), || fs::read(&pid).is_ok_and(|p| p.ends_with(b"\n"))) => {}
    }
    dead(said(&run.b, death).await);

    let from = Instant::now();
    assert_eq!(said(&run.a, "sleep 5 & echo done").await, "done");
    assert!(from.elapsed() < Duration::from_secs(2), "waited for a child in the background");
    run.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_go_on_and_are_stopped() {
    let run = Run::up().await;
    let log = Path::new("/var/log/new/prog.log");
    let mut program =
        run.a.spawn(sh("echo out; echo err >&2; trap 'exit 5' TERM; sleep 60 & wait"), log).await.unwrap();
    let host_log = run.a.host_path(log);
    until("it has spoken", Duration::from_secs(5), || fs::read_to_string(&host_log).is_ok_and(|t| t == "out\nerr\n"))
        .await;
    assert_eq!(said(&run.a, &format!("cat /proc/{}/comm", program.pid())).await, "sh");
    assert_eq!(program.stop(Duration::from_secs(5)).await.unwrap(), 5);
    assert_eq!(program.wait().await.unwrap(), 5, "the code stays known");
    program.signal(9).await.unwrap();
    assert!(program.signal(99).await.is_err(), "no such signal");

    let mut stubborn = run.a.spawn(sh("trap '' TERM; echo; while :; do sleep 1; done"), log).await.unwrap();
    until("the trap is set", Duration::from_secs(5), || fs::read_to_string(&host_log).is_ok_and(|t| t.len() > 8)).await;
    assert_eq!(stubborn.stop(Duration::from_millis(100)).await.unwrap(), 137);
    assert!(run.a.spawn(Exec::new("/no/such"), log).await.is_err());
    assert!(run.a.spawn(Exec::new("true"), Path::new("/proc/nowhere/log")).await.is_err());
    run.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piped_log_outlives_the_program_that_was_started() {
    let run = Run::up().await;
    let log = Path::new("/data/logs/container.log");
    let script =
        "(read go < /tmp/fifo; echo later; echo and on standard error >&2) & readlink /proc/$!/fd/1; echo first";
    run.a.run(Exec::new("mkfifo").arg("/tmp/fifo")).await.unwrap();
    let mut program = run.a.spawn_piped(sh(script), log).await.unwrap();
    assert_eq!(program.wait().await.unwrap(), 0);
    // All that it wrote is there when its end is known.
    let host_log = run.a.host_path(log);
    let text = fs::read_to_string(&host_log).unwrap();
    assert!(text.starts_with("pipe:[") && text.ends_with("]\nfirst\n"), "{text}");
    assert_eq!(said(&run.a, "readlink /proc/self/fd/0; echo go > /tmp/fifo").await, "/dev/null");
    let all = |text: String| text.contains("later\n") && text.contains("and on standard error\n");
    until("the rest has come", Duration::from_secs(5), || fs::read_to_string(&host_log).is_ok_and(all)).await;

    // Many at once, more than a pipe holds.
    let mut programs = Vec::new();
    for n in 0..30 {
        let much =
            sh("i=0; while [ $i -lt 3000 ]; do echo $i 0123456789012345678901234567890123456789; i=$((i+1)); done");
        programs.push(run.a.spawn_piped(much, Path::new(&format!("/data/logs/{n}"))).await.unwrap());
    }
    for program in &mut programs {
        assert_eq!(program.wait().await.unwrap(), 0);
    }
    for n in 0..30 {
        let text = fs::read_to_string(run.a.host_path(Path::new(&format!("/data/logs/{n}")))).unwrap();
        assert!(text.lines().map(|l| l.split(' ').next().unwrap().parse::<usize>().unwrap()).eq(0..3000), "log {n}");
    }
    run.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_reaped() {
    let run = Run::up().await;
    said(&run.a, "for i in 1 2 3 4 5; do (sleep 0.05 &); done").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(said(&run.a, "grep -l '^State:.*Z' /proc/[0-9]*/status 2>/dev/null | wc -l").await, "0");
    run.down().await;
}
