//! A Kubernetes cluster with two workers, from nothing until the scheduler may give them pods.

use super::nodes::pause;
use super::{Bench, Goal, Table, broke};
use crate::clock;
use crate::cluster::Cluster;
use crate::engine::{self, Supplied};
use crate::image::{Image, Registry};
use crate::provider::Provider;
use crate::provider::local::LocalProvider;
use crate::record::{EngineKind, Failure};
use std::sync::Arc;

const ABOUT: [&str; 3] = [
    "network, three nodes, certificates, etcd, API server, controller manager and scheduler, roles; on both workers a registry,",
    "  containerd and a kubelet, until both are Ready without a taint and have heard of their pods. The programs are in the",
    "  cache, the first sample, which warms the page cache up, is left out. taking down: all of it, until nothing is left.",
];

/// The three nodes, and all on them.
const NAMES: [&str; 3] = ["a", "b", "control-plane"];

pub(super) async fn measure(bench: &Bench, say: &(dyn Fn(&str) + Sync)) -> Result<Table, Failure> {
    if bench.nodes.binds.is_empty() {
        let none = Failure::surroundings("a cluster can't be measured: there are no programs of one".to_owned());
        return Err(Failure { hint: Some("add `--kubernetes 1.36`".to_owned()), ..none });
    }
    let pause = pause(bench).await?;
    let (mut ups, mut downs) = (Vec::new(), Vec::new());
    for sample in 0..=bench.pairs {
        say(&format!("cluster: sample {sample} of {}", bench.pairs));
        let provider = bench.provider()?;
        let from = clock::now();
        let up = up(bench, &provider, &pause).await;
        let ready = clock::now();
        for name in NAMES {
            provider.down(name).await?;
        }
        up?;
        if sample > 0 {
            ups.push(ready.since(from).as_secs_f64() * 1e3);
            downs.push(clock::now().since(ready).as_secs_f64() * 1e3);
        }
    }
    let mut table = Table::new("cluster: Kubernetes with two workers", &ABOUT);
    let up = table.row("up and Ready", ups);
    table.row("taking down", downs);
    table.goal(up, Goal::Most { ms: 15_000.0 });
    Ok(table)
}

async fn up(bench: &Bench, provider: &LocalProvider, pause: &Arc<Image>) -> Result<(), Failure> {
    let cluster = Cluster::up(provider.node(NAMES[2]).await?, None).await?;
    let with = Supplied { pause: Arc::clone(pause), cluster };
    let join = async |name| {
        let node = provider.node(name).await?;
        let listener = node.listen(([127, 0, 0, 1], 5000).into()).map_err(|e| broke("no registry can listen", &e))?;
        let registry = Registry::serve(vec![Arc::clone(&bench.stores.lasting)], listener)
            .map_err(|e| broke("the registry does not start", &e))?;
        engine::connect(EngineKind::Kubelet, node, &with).await?;
        drop(registry);
        Ok::<(), Failure>(())
    };
    tokio::try_join!(join(NAMES[0]), join(NAMES[1])).map(drop)
}
