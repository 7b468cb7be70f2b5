//! CRI-O in the node: its start, and its return after its death.

use super::{Inner, config};
use crate::engine::cri_api::v1::StatusRequest;
use crate::engine::daemon::{PATH, READY_POLL};
use crate::engine::{EngineError, containerd, criu_processes};
use crate::node::SharedNode;
use crate::process::Exec;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Of files in the engine's folder.
pub(super) fn make_executable(node: &SharedNode, files: &[&str]) -> Result<(), EngineError> {
    for file in files {
        let path = node.host_path(Path::new(&config::home(file)));
        let made = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755));
        made.map_err(|e| containerd::broken(node, &format!("make {file} executable"), e))?;
    }
    Ok(())
}

impl Inner {
    /// Starts CRI-O and waits until it says that runtime and network are ready.
    pub(super) async fn start_daemon(&self) -> Result<(), EngineError> {
        let exec = Exec::new("crio")
            .args(["--config", &config::home("crio.conf"), "--config-dir", &config::home("conf.d")])
            .env("PATH", PATH)
            .env("TMPDIR", config::TMP);
        self.daemon.start(exec, self.ready()).await
    }

    async fn ready(&self) {
        while !self.ready_now().await {
            tokio::time::sleep(READY_POLL).await;
        }
    }

    async fn ready_now(&self) -> bool {
        let mut runtime = self.client.runtime.clone();
        let Ok(answer) = runtime.status(StatusRequest { verbose: false }).await else { return false };
        let conditions = answer.into_inner().status.unwrap_or_default().conditions;
        let met = |name: &str| conditions.iter().any(|c| c.r#type == name && c.status);
        met("RuntimeReady") && met("NetworkReady")
    }

    /// Starts CRI-O again and mends what its death left: containers that a checkpoint had frozen are thawed.
    ///
    /// CRIU outlives the daemon and finishes its dump, so that is waited for: thawing a container under it would spoil
    /// both. The thaw comes before the start, at which CRI-O asks the runtime for the state of each container and keeps
    /// it: one that is paused then it would not checkpoint any more.
    pub(super) async fn revive(&self) -> Result<(), EngineError> {
        if self.daemon.is_well(self.ready()).await? {
            return Ok(());
        }
        criu_processes::ended(&self.node).await?;
        self.thaw_forgotten()?;
        for entry in std::fs::read_dir(self.host(config::TMP)).into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
        self.start_daemon().await
    }
}
