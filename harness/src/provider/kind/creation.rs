//! Having kind make a cluster, and what it calls the nodes.

use super::config::Shape;
use super::failure;
use crate::process::Exec;
use crate::provider::containers::dock::Dock;
use crate::record::Failure;
use std::time::Duration;

/// 26 s on two busy cores.
const CREATE_LIMIT: Duration = Duration::from_secs(600);
const LOG_LINES: usize = 30;

/// What kind calls the nodes of a cluster: the control plane, or the worker of this number from 0.
pub(super) fn known_as(cluster: &str, worker: Option<usize>) -> String {
    match worker {
        None => format!("{cluster}-control-plane"),
        Some(0) => format!("{cluster}-worker"),
        Some(n) => format!("{cluster}-worker{}", n + 1),
    }
}

/// Whether a node image brings the pods' network that kind gives its clusters.
pub(super) async fn has_network(dock: &Dock, image: &str) -> Result<bool, Failure> {
    const MANIFEST: &str = "/kind/manifests/default-cni.yaml";
    let look = Exec::new("docker").args(["run", "--rm", "--network", "none", "--entrypoint", "ls", image, MANIFEST]);
    Ok(dock.output(look.timeout(CREATE_LIMIT)).await?.code == 0)
}

/// Has kind make the cluster.
pub(super) async fn create(dock: &Dock, name: &str, shape: &Shape) -> Result<(), Failure> {
    let path = dock.folder("kind.yaml");
    let written = std::fs::write(dock.host_path(&path), shape.config(name));
    written.map_err(|e| failure("can't write kind's configuration", &e))?;
    let kubeconfig = dock.folder("kubeconfig");
    // Under the user's dockerd nothing else would end it when podferry is killed.
    let exec = Exec::new("setpriv").args(["--pdeathsig", "KILL"]).arg(dock.tool());
    let exec = exec.args(["create", "cluster", "--image", &shape.image, "--retain", "--config"]).arg(&path);
    let exec = exec.arg("--kubeconfig").arg(&kubeconfig).args(["-v", "1"]).timeout(CREATE_LIMIT);
    let output = dock.output(exec).await?;
    if output.code == 0 {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let mut log: Vec<String> = said.lines().map(str::to_owned).collect();
    let why = log.iter().find(|line| line.starts_with("ERROR: ")).cloned();
    log.drain(..log.len().saturating_sub(LOG_LINES));
    let why = why.unwrap_or_else(|| format!("kind ended with {}", output.code));
    Err(Failure { log, ..Failure::surroundings(format!("can't make a kind cluster: {why}")) })
}
