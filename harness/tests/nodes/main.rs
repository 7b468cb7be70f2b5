//! Local nodes, for real. Needs root.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "timings are shown, and one test speaks to another")]

mod end;
mod network;
#[path = "../node_image/mod.rs"]
mod node_image;
mod programs;
mod restart;
mod stack;

use podferry::node::SharedNode;
use podferry::process::Exec;
use podferry::provider::Provider;
use podferry::provider::local::{LocalConfig, LocalProvider, NoClaims, sweep_cgroups};
use podferry::record::RunId;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A run with two nodes.
struct Run {
    id: RunId,
    provider: LocalProvider,
    a: SharedNode,
    b: SharedNode,
}

impl Run {
    async fn up() -> Run {
        Run::up_with(config().await).await
    }

    async fn up_with(config: LocalConfig) -> Run {
        let id = config.run_id.clone();
        let provider = LocalProvider::new(config).unwrap();
        let (a, b) = tokio::join!(provider.node("a"), provider.node("b"));
        Run { id, provider, a: a.unwrap(), b: b.unwrap() }
    }

    async fn down(self) {
        self.provider.down("a").await.unwrap();
        self.provider.down("b").await.unwrap();
        assert_eq!(groups(&self.id), Vec::<PathBuf>::new(), "control groups are left");
    }
}

/// For tests that fail: the rest of the machine shall not pay for it.
impl Drop for Run {
    fn drop(&mut self) {
        let _ = sweep_cgroups(&self.id);
    }
}

async fn config() -> LocalConfig {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    LocalConfig {
        run_id: RunId(format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))),
        podferry: env!("CARGO_BIN_EXE_podferry").into(),
        image_rootfs: node_image::rootfs(),
        overrides: Vec::new(),
        binds: Vec::new(),
        components: Vec::new(),
        data_size: 1 << 30,
        claims: Arc::new(NoClaims),
    }
}

/// The folders of a run in the control group hierarchies.
fn groups(run: &RunId) -> Vec<PathBuf> {
    let name = format!("podferry-{run}");
    let below = std::fs::read_dir("/sys/fs/cgroup").unwrap().map(|e| e.unwrap().path());
    let all = below.chain([PathBuf::from("/sys/fs/cgroup")]);
    all.map(|dir| dir.join(&name)).filter(|dir| dir.exists()).collect()
}

fn sh(script: &str) -> Exec {
    Exec::new("sh").args(["-c", script])
}

/// What a script says in a node.
async fn said(node: &SharedNode, script: &str) -> String {
    node.run(sh(script)).await.unwrap().text()
}

/// Looks until something is so; for things that tell nobody.
async fn until(what: &str, limit: Duration, mut so: impl FnMut() -> bool) {
    let from = Instant::now();
    while !so() {
        assert!(from.elapsed() < limit, "waited {limit:?} until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_fast() -> io::Result<()> {
    let config = config().await;
    let from = Instant::now();
    let run = Run::up_with(config).await;
    let up = from.elapsed();
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let from = Instant::now();
        run.a.run(Exec::new("true")).await.unwrap();
        inside.push(from.elapsed());
        let from = Instant::now();
        Exec::new("true").run().await.unwrap();
        outside.push(from.elapsed());
    }
    let (inside, outside) = (median(inside), median(outside));
    let from = Instant::now();
    run.provider.down("a").await.unwrap();
    let down = from.elapsed();
    eprintln!("two nodes up {up:?}, `true` in a node {inside:?}, on the host {outside:?}, a node down {down:?}");
    run.down().await;
    assert!(up < Duration::from_secs(1), "two nodes took {up:?}");
    assert!(down < Duration::from_millis(500), "taking a node down took {down:?}");
    assert!(inside < outside * 3 + Duration::from_millis(5), "{inside:?} in a node, {outside:?} on the host");
    Ok(())
}
