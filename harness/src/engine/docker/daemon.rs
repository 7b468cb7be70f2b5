//! dockerd and its containerd in the node: their files, their start, their death and their return.

use super::{Inner, Network, client, config, leftovers};
use crate::engine::daemon::{PATH, READY_POLL};
use crate::engine::{Capabilities, EngineError};
use crate::engine::{criu_processes, probe};
use crate::node::SharedNode;
use crate::process::{Exec, ExecError};
use crate::record::{Chain, ErrorClass};
use std::path::Path;

/// Asks the node's dockerd and CRIU what they are.
pub(super) async fn probe(node: &SharedNode) -> Result<Capabilities, EngineError> {
    let version = node.output(Exec::new("dockerd").arg("--version").env("PATH", PATH)).await;
    let version = version.map_err(|e| {
        let class = match e {
            ExecError::Start { .. } => ErrorClass::Unsupported,
            _ => ErrorClass::Surroundings,
        };
        let message = format!("node {} has no dockerd: {}", node.name(), Chain(&e));
        EngineError::new(class, message).hint("name docker.io in the node image's package list")
    })?;
    let version = number(&version.text()).unwrap_or_else(|| version.text());
    let criu = probe::criu(node).await;
    Ok(Capabilities {
        checkpoint: criu.clone(),
        restore: criu,
        restore_image: Err("docker restores no images".to_owned()),
        root_changes: Err("a docker checkpoint holds no files: what was written into the root stays behind".to_owned()),
        image_changes: Err("a docker checkpoint holds no files".to_owned()),
        archive: Err("docker makes no archive: what the runtime dumps is what is kept".to_owned()),
        ..Capabilities::all(format!("docker {version}"))
    })
}

/// `Docker version 28.5.2+dfsg4, build 3ef3c07`.
fn number(said: &str) -> Option<String> {
    let rest = said.split_once("version ")?.1;
    rest.split([',', ' ', '\n']).next().map(str::to_owned)
}

/// Writes all configuration into the node.
pub(super) fn configure(node: &SharedNode, network: Network) -> std::io::Result<()> {
    for folder in [config::HOME, config::TMP, config::CHECKPOINTS, config::CRIU, config::STATE] {
        std::fs::create_dir_all(node.host_path(Path::new(folder)))?;
    }
    for (file, text) in [("daemon.json", config::dockerd(network)), ("containerd.toml", config::containerd())] {
        std::fs::write(node.host_path(Path::new(&config::in_home(file))), text)?;
    }
    Ok(())
}

impl Inner {
    /// Starts what does not run of the two and waits until dockerd answers.
    pub(super) async fn start_daemons(&self) -> Result<(), EngineError> {
        if !self.containerd.is_well(self.listens()).await? {
            let exec = Exec::new("containerd").args(["--config", &config::in_home("containerd.toml")]);
            // The images of a dump and of a restore go there, and must fit.
            let exec = exec.env("PATH", PATH).env("TMPDIR", config::TMP);
            self.containerd.start(exec, self.listens()).await?;
        }
        let exec = Exec::new("dockerd").args(["--config-file", &config::in_home("daemon.json")]);
        self.dockerd.start(exec.env("PATH", PATH).env("TMPDIR", config::TMP), self.answers()).await
    }

    /// Until containerd takes connections.
    async fn listens(&self) {
        let socket = self.host(config::CONTAINERD_SOCKET);
        while tokio::net::UnixStream::connect(&socket).await.is_err() {
            tokio::time::sleep(READY_POLL).await;
        }
    }

    /// Until dockerd answers.
    async fn answers(&self) {
        let socket = self.host(config::SOCKET);
        loop {
            if let Ok(docker) = client::connect(&socket).await
                && docker.ping().await.is_ok()
            {
                return;
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    /// Both die: a containerd that dockerd starts itself dies with it.
    pub(super) async fn kill_daemons(&self) -> Result<(), EngineError> {
        self.dockerd.kill().await?;
        self.containerd.kill().await
    }

    /// Starts again what has died and mends what the death left: containers that a checkpoint had frozen are thawed. CRIU
    /// outlives the daemons and finishes its dump, so that is waited for: thawing a container under it would spoil both.
    pub(super) async fn revive(&self) -> Result<(), EngineError> {
        if self.dockerd.is_well(self.answers()).await? && self.containerd.is_well(self.listens()).await? {
            return self.thaw_forgotten().await;
        }
        criu_processes::ended(&self.node).await?;
        self.start_daemons().await?;
        self.thaw_forgotten().await?;
        leftovers::empty_tmp(&self.node);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_number_is_found_in_what_dockerd_says() {
        let number = |said| super::number(said);
        assert_eq!(number("Docker version 28.5.2+dfsg4, build 3ef3c07\n").as_deref(), Some("28.5.2+dfsg4"));
        assert_eq!(number("Docker version 26.1.5+dfsg1, build 411e817").as_deref(), Some("26.1.5+dfsg1"));
        assert_eq!(number("dockerd"), None);
    }
}
