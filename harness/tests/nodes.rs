//! Local nodes, for real. Needs root and a node image: `PODFERRY_TEST_ROOTFS` names its root.
#![expect(clippy::print_stderr, reason = "timings are shown")]

use podferry::node::SharedNode;
use podferry::process::{Exec, ExecError};
use podferry::provider::Provider;
use podferry::provider::local::{LocalConfig, LocalProvider, NoClaims};
use podferry::record::RunId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

fn rootfs() -> PathBuf {
    std::env::var_os("PODFERRY_TEST_ROOTFS").expect("PODFERRY_TEST_ROOTFS names the root of a node image").into()
}

fn config() -> LocalConfig {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let run_id = RunId(format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    LocalConfig {
        run_id,
        podferry: env!("CARGO_BIN_EXE_podferry").into(),
        image_rootfs: rootfs(),
        overrides: Vec::new(),
        components: Vec::new(),
        data_size: 1 << 30,
        claims: Arc::new(NoClaims),
    }
}

fn sh(script: &str) -> Exec {
    Exec::new("sh").args(["-c", script])
}

async fn said(node: &SharedNode, script: &str) -> String {
    node.run(sh(script)).await.unwrap().text()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_come_up_run_programs_and_go() {
    let config = config();
    let run = config.run_id.clone();
    let from = Instant::now();
    let provider = LocalProvider::new(config).unwrap();
    let (a, b) = tokio::join!(provider.node("a"), provider.node("b"));
    let (a, b) = (a.unwrap(), b.unwrap());
    let up = from.elapsed();
    eprintln!("two nodes up: {up:?}");

    for (node, name) in [(&a, "a"), (&b, "b")] {
        assert_eq!(said(node, "hostname; echo $$; cat /proc/1/comm").await.lines().next(), Some(name));
    }
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..50 {
        let from = Instant::now();
        a.run(Exec::new("true")).await.unwrap();
        took.push(from.elapsed());
    }
    took.sort();
    eprintln!("a command: median {:?}, worst {:?}", took[25], took[49]);

    let from = Instant::now();
    provider.down("a").await.unwrap();
    eprintln!("a node down: {:?}", from.elapsed());
    assert!(!a.alive());
    let refused = a.run(Exec::new("true")).await.unwrap_err();
    assert!(matches!(refused, ExecError::Start { .. }), "{refused:?}");
    provider.down("b").await.unwrap();
    assert!(!Path::new("/sys/fs/cgroup/freezer").join(format!("podferry-{run}")).exists());
    assert!(up < Duration::from_secs(1), "two nodes took {up:?}");
}
