//! Two nodes up and answering.

use super::{Bench, Goal, Table, broke, broken, first_goes_first};
use crate::clock;
use crate::engine::cri::{CriEngine, CriOptions};
use crate::image::{self, Image, NodeRoot, Registry, WorkloadBinaries};
use crate::process::Exec;
use crate::provider::Provider;
use crate::provider::local::LocalProvider;
use crate::record::Failure;
use crate::workload;
use std::sync::Arc;
use std::time::Duration;

/// The bare control. It runs in namespaces of its own, so that all of it ends with it.
const SCRIPT: &str = include_str!("../../../fixtures/bench/two-nodes.sh");

const ABOUT: [&str; 3] = [
    "harness: network, two nodes side by side, registry, containerd in each, until CRI says that runtime and network are",
    "  ready, containerd's and criu's versions are known and the sandbox image is pulled and unpacked.",
    "bare shell: the same namespaces, overlay, veth and containerd's configuration, until `ctr version` is answered; no\n  \
     control groups, no registry, no image. The start of the shell itself does not count, taking down counts for neither.",
];

pub(super) async fn measure(bench: &Bench, say: &(dyn Fn(&str) + Sync)) -> Result<Table, Failure> {
    let pause = pause(bench).await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first pair warms the page cache up.
    for pair in 0..=bench.pairs {
        say(&format!("nodes: pair {pair} of {}", bench.pairs));
        let (a, b) = if first_goes_first(pair) {
            let a = harness(bench, &pause).await?;
            (a, shell(bench).await?)
        } else {
            let b = shell(bench).await?;
            (harness(bench, &pause).await?, b)
        };
        if pair > 0 {
            ours.push(a);
            theirs.push(b);
        }
    }
    let mut table = Table::new("nodes: two nodes up and answering", &ABOUT);
    let (harness, shell) = (table.row("harness", ours), table.row("bare shell", theirs));
    table.goal(harness, Goal::Times { row: shell, most: Some(2.0) });
    table.goal(harness, Goal::Most { ms: 1000.0 });
    Ok(table)
}

pub(super) async fn pause(bench: &Bench) -> Result<Arc<Image>, Failure> {
    let root = NodeRoot { dir: &bench.image.rootfs, key: &bench.image.key };
    let image = image::build(&bench.stores.lasting, root, &WorkloadBinaries::find(), &workload::pause()).await;
    image.map(Arc::new).map_err(|e| broke("can't make the sandbox image", &e))
}

async fn harness(bench: &Bench, pause: &Arc<Image>) -> Result<f64, Failure> {
    let from = clock::now();
    let provider = bench.provider()?;
    let up = tokio::try_join!(node(bench, &provider, "a", pause), node(bench, &provider, "b", pause));
    let took = clock::now().since(from);
    let down = tokio::join!(provider.down("a"), provider.down("b"));
    up?;
    down.0.and(down.1)?;
    Ok(took.as_secs_f64() * 1e3)
}

async fn node(bench: &Bench, provider: &LocalProvider, name: &str, pause: &Arc<Image>) -> Result<(), Failure> {
    let node = provider.node(name).await?;
    let listener = node.listen(([127, 0, 0, 1], 5000).into()).map_err(|e| broke("no registry can listen", &e))?;
    let registry = Registry::serve(vec![Arc::clone(&bench.stores.lasting)], listener)
        .map_err(|e| broke("the registry does not start", &e))?;
    CriEngine::connect(node, CriOptions::new(Arc::clone(pause))).await?;
    drop(registry);
    Ok(())
}

/// The script tells its own time, in microseconds.
async fn shell(bench: &Bench) -> Result<f64, Failure> {
    let exec = Exec::new("unshare")
        .args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "bash",
            "-c",
            SCRIPT,
            "two-nodes.sh",
        ])
        .arg(&bench.image.rootfs)
        .timeout(Duration::from_secs(60));
    let output = exec.run().await.map_err(|e| broke("the bare control failed", &e))?;
    let said = output.text();
    let micros = said.lines().find_map(|l| l.strip_prefix("up ")?.parse::<f64>().ok());
    micros.map(|us| us / 1e3).ok_or_else(|| broken(format!("the bare control says no time: {said}")))
}
