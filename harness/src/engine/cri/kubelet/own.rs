//! A kubelet of podferry's own over a containerd of its own, in a cluster that podferry has made.

use super::{Own, Started, capabilities};
use crate::cluster::{Api, Cluster, KubeletPlaces};
use crate::engine::containerd::{self, KUBELET_ROOT, Places};
use crate::engine::cri::{CriEngine, CriOptions};
use crate::engine::daemon::{Daemon, PATH};
use crate::engine::{Engine, EngineError, Supplies};
use crate::node::{CONTAINERS, SharedNode};
use crate::record::{Chain, EngineKind};
use std::path::Path;
use std::sync::Arc;

/// Starts them and waits until they are ready.
pub(super) async fn connect(
    kind: EngineKind,
    node: SharedNode,
    cluster: Arc<Cluster>,
    supplies: &dyn Supplies,
) -> Result<Arc<dyn Engine>, EngineError> {
    let options = CriOptions::new(supplies.pause().await?);
    let server = cluster.version();
    let (runtime, server) = tokio::join!(CriEngine::connected(kind, Arc::clone(&node), options, String::new()), server);
    let runtime = runtime?.0;
    let server = server.map_err(|e| runtime.surroundings("ask for the cluster's version", Chain(&e)))?;
    let (name, places) = (node.name().to_owned(), places(&runtime.places));
    cluster.forget(&name).await?;
    let kubelet = cluster.kubelet(&node, places.clone())?;
    containerd::write(&node, kubelet.files(), &[&places.root, &places.logs])?;
    make_group(&node).map_err(|e| runtime.surroundings("make the pods' control group", e))?;
    let own = Own {
        capabilities: capabilities(&runtime.capabilities, &server),
        pods: Api::namespaced(cluster.client(), cluster.namespace()),
        started: Some(Started {
            direct: cluster.direct(&node)?,
            daemon: Daemon::new(Arc::clone(&node), "the kubelet", format!("{}/kubelet.log", places.home)),
            exec: kubelet.exec().env("PATH", PATH),
        }),
        places,
        taken: tokio::sync::Mutex::default(),
        cluster,
        runtime,
    };
    own.start_kubelet().await?;
    Ok(Arc::new(super::KubeletEngine(Arc::new(own))))
}

fn places(containerd: &Places) -> KubeletPlaces {
    KubeletPlaces {
        home: containerd.in_home("kubelet"),
        root: KUBELET_ROOT.to_owned(),
        logs: "/data/kubelet-logs".to_owned(),
        socket: containerd.socket.clone(),
        group: CONTAINERS.to_owned(),
    }
}

/// The group that all pods are in must be there in each hierarchy, and a new one of cpuset has no CPU that anybody could use.
fn make_group(node: &SharedNode) -> std::io::Result<()> {
    let top = node.host_path(Path::new("/sys/fs/cgroup"));
    let group = CONTAINERS.trim_start_matches('/');
    for entry in std::fs::read_dir(&top)? {
        let hierarchy = entry?.path();
        if !hierarchy.join("cgroup.procs").is_file() {
            continue;
        }
        std::fs::create_dir_all(hierarchy.join(group))?;
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let (above, own) = (hierarchy.join(file), hierarchy.join(group).join(file));
            if own.is_file() && std::fs::read_to_string(&own)?.trim().is_empty() {
                std::fs::write(own, std::fs::read_to_string(above)?)?;
            }
        }
    }
    Ok(())
}
