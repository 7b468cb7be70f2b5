//! containerd in the node: its files, its start, its death.

use super::Containerd;
use super::classify::During;
use super::generated::runtime::v1::StatusRequest;
use super::version::{Support, support};
use crate::engine::daemon::{PATH, READY_POLL};
use crate::engine::{Capabilities, EngineError};
use crate::node::SharedNode;
use crate::process::Exec;
use crate::record::{EngineKind, ErrorClass};
use std::path::Path;
use std::time::Duration;

/// A daemon that is well answers in a millisecond.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

pub(in crate::engine) fn broken(node: &SharedNode, what: &str, why: impl std::fmt::Display) -> EngineError {
    EngineError::new(ErrorClass::Surroundings, format!("can't {what} on node {}: {why}", node.name()))
}

/// Asks containerd and criu in the node for their versions. `ours` is what is asked of the version beside CRIU: the reason
/// why it can't checkpoint or restore.
pub(in crate::engine) async fn probe(
    node: &SharedNode,
    ours: impl FnOnce(&Support) -> (Result<(), String>, Result<(), String>),
) -> Result<(Capabilities, Support), EngineError> {
    let containerd = Exec::new("containerd").arg("--version").env("PATH", PATH);
    let criu = Exec::new("criu").arg("--version").env("PATH", PATH);
    let (containerd, criu) = tokio::join!(node.run(containerd), node.run(criu));
    let printed = containerd.map_err(|e| broken(node, "find containerd", e))?.text();
    let support =
        support(&printed).ok_or_else(|| broken(node, "tell containerd's version", format!("it says `{printed}`")))?;
    let no_criu = criu.err().map(|e| format!("no working criu on node {}: {e}", node.name()));
    let with_criu = |able: Result<(), String>| match &no_criu {
        Some(why) => able.and(Err(why.clone())),
        None => able,
    };
    let (checkpoint, restore) = ours(&support);
    let (major, minor, patch) = support.number;
    let restore = with_criu(restore);
    let capabilities = Capabilities {
        checkpoint: with_criu(checkpoint),
        restore_image: restore.clone(),
        restore,
        ..Capabilities::all(format!("containerd {major}.{minor}.{patch}"))
    };
    Ok((capabilities, support))
}

/// Writes configuration into the node, and makes folders there.
pub(in crate::engine) fn write(
    node: &SharedNode,
    files: impl IntoIterator<Item = (String, String)>,
    folders: &[&str],
) -> Result<(), EngineError> {
    for (inside, text) in files {
        let path = node.host_path(Path::new(&inside));
        let parent = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|e| broken(node, &format!("write {inside}"), e))?;
    }
    for inside in folders {
        let path = node.host_path(Path::new(inside));
        std::fs::create_dir_all(path).map_err(|e| broken(node, &format!("make {inside}"), e))?;
    }
    Ok(())
}

impl Containerd {
    /// Starts containerd and waits until it says that it is ready: CRI of runtime and network, else the daemon itself.
    pub(in crate::engine) async fn start(&self) -> Result<(), EngineError> {
        let exec = Exec::new("containerd")
            .args(["--config", &self.places.config()])
            .env("PATH", PATH)
            .env("TMPDIR", &self.places.tmp);
        self.daemon.start(exec, self.ready()).await
    }

    /// That the daemon which answers is the program that was asked for its version: what it can do follows from that.
    pub(in crate::engine) async fn same_version(&self, probed: &Support) -> Result<(), EngineError> {
        let mut version = self.client.version.clone();
        let says =
            self.call(During::Start, "ask containerd's version", ANSWER_LIMIT, version.version(())).await?.version;
        if support(&says).is_some_and(|running| running.number == probed.number) {
            return Ok(());
        }
        let (major, minor, patch) = probed.number;
        let why = format!("the daemon says `{says}`, the program `{major}.{minor}.{patch}`");
        Err(broken(&self.node, "tell containerd's version", why))
    }

    async fn ready(&self) {
        while !self.ready_now().await {
            tokio::time::sleep(READY_POLL).await;
        }
    }

    async fn ready_now(&self) -> bool {
        if self.kind == EngineKind::Ctr {
            let mut version = self.client.version.clone();
            return version.version(()).await.is_ok();
        }
        let mut runtime = self.client.runtime.clone();
        let Ok(answer) = runtime.status(StatusRequest { verbose: false }).await else { return false };
        let conditions = answer.into_inner().status.unwrap_or_default().conditions;
        let met = |name: &str| conditions.iter().any(|c| c.r#type == name && c.status);
        met("RuntimeReady") && met("NetworkReady")
    }

    pub(in crate::engine) async fn kill(&self) -> Result<(), EngineError> {
        self.daemon.kill().await
    }

    /// Whether it runs and answers. One that does not is ended.
    pub(super) async fn is_well(&self) -> Result<bool, EngineError> {
        self.daemon.is_well(self.ready()).await
    }
}
