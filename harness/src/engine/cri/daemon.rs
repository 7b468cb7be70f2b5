//! containerd in the node: its files, its start, its death and its return.

use super::classify::During;
use super::generated::runtime::v1::StatusRequest;
use super::version::{Support, support};
use super::{CriOptions, Inner, config, leftovers, placed};
use crate::engine::daemon::{PATH, READY_POLL};
use crate::engine::{Capabilities, EngineError, Strategies, criu_processes, network};
use crate::node::SharedNode;
use crate::process::Exec;
use crate::record::{EngineKind, ErrorClass, Strategy};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A daemon that is well answers in a millisecond.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

fn broken(node: &SharedNode, what: &str, why: impl std::fmt::Display) -> EngineError {
    EngineError::new(ErrorClass::Surroundings, format!("can't {what} on node {}: {why}", node.name()))
}

/// Asks containerd and criu in the node for their versions.
pub(super) async fn probe(node: &SharedNode) -> Result<(Capabilities, Support), EngineError> {
    let containerd = Exec::new("containerd").arg("--version").env("PATH", PATH);
    let criu = Exec::new("criu").arg("--version").env("PATH", PATH);
    let (containerd, criu) = tokio::join!(node.run(containerd), node.run(criu));
    let printed = containerd.map_err(|e| broken(node, "find containerd", e))?.text();
    let support =
        support(&printed).ok_or_else(|| broken(node, "tell containerd's version", format!("it says `{printed}`")))?;
    let no_criu = criu.err().map(|e| format!("no working criu on node {}: {e}", node.name()));
    let with_criu = |able: &Result<(), String>| match (able, &no_criu) {
        (Ok(()), Some(why)) => Err(why.clone()),
        _ => able.clone(),
    };
    let (major, minor, patch) = support.number;
    let switched = if support.switched { " (restore switched on in its configuration)" } else { "" };
    let capabilities = Capabilities {
        strategies: Strategies::default()
            .with(Strategy::Placed, with_criu(&placed::able(support.number, node.shared_dir().is_some()))),
        checkpoint: with_criu(&support.checkpoint),
        restore: with_criu(&support.restore),
        restore_image: with_criu(&support.restore),
        bare_checkpoint: Ok(()),
        ..Capabilities::all(format!("containerd {major}.{minor}.{patch}{switched}"))
    };
    Ok((capabilities, support))
}

/// Writes all configuration into the node.
pub(super) fn configure(node: &SharedNode, support: &Support, options: &CriOptions) -> Result<(), EngineError> {
    let pause = &options.pause.reference;
    let registry = pause.split('/').next().unwrap_or_default();
    let files = [
        (config::in_home("config.toml"), config::containerd(support, pause, &options.runtime)),
        (config::in_home(&format!("certs.d/{registry}/hosts.toml")), config::hosts(registry)),
        (config::in_home(config::CNI), config::cni(node.pod_network(), network::octets(EngineKind::Cri))),
    ];
    for (inside, text) in files {
        let path = node.host_path(Path::new(&inside));
        let parent = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|e| broken(node, &format!("write {inside}"), e))?;
    }
    for inside in [config::TMP, config::CHECKPOINTS] {
        let path = node.host_path(Path::new(inside));
        std::fs::create_dir_all(path).map_err(|e| broken(node, &format!("make {inside}"), e))?;
    }
    Ok(())
}

/// containerd's log, inside the node.
pub(super) fn log_path() -> PathBuf {
    PathBuf::from(config::in_home("containerd.log"))
}

impl Inner {
    /// Starts containerd and waits until CRI says that runtime and network are ready.
    pub(super) async fn start_daemon(&self) -> Result<(), EngineError> {
        let exec = Exec::new("containerd")
            .args(["--config", &config::in_home("config.toml")])
            .env("PATH", PATH)
            .env("TMPDIR", config::TMP);
        self.daemon.start(exec, self.ready()).await
    }

    /// That the daemon which answers is the program that was asked for its version: what it can do follows from that.
    pub(super) async fn same_version(&self, probed: &Support) -> Result<(), EngineError> {
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
        let mut runtime = self.client.runtime.clone();
        loop {
            if let Ok(answer) = runtime.status(StatusRequest { verbose: false }).await {
                let conditions = answer.into_inner().status.unwrap_or_default().conditions;
                let met = |name: &str| conditions.iter().any(|c| c.r#type == name && c.status);
                if met("RuntimeReady") && met("NetworkReady") {
                    return;
                }
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    pub(super) async fn kill_daemon(&self) -> Result<(), EngineError> {
        self.daemon.kill().await
    }

    /// Starts containerd again and mends what its death left: containers that a checkpoint had frozen are thawed.
    ///
    /// CRIU outlives the daemon and finishes its dump, so that is waited for: thawing a container under it would spoil
    /// both. After the thaw containerd is started once more, since CRI calls a container that it found frozen
    /// `UNKNOWN` until it finds it running at a start (containerd 2.1.9), and checkpoints no such container.
    pub(super) async fn revive(&self) -> Result<(), EngineError> {
        if self.daemon.is_well(self.ready()).await? {
            if self.thaw_orphans().await? {
                // It takes a container whose shim has died for running until it looks again at a start.
                self.kill_daemon().await?;
                self.start_daemon().await?;
            }
            return Ok(());
        }
        criu_processes::ended(&self.node).await?;
        self.start_daemon().await?;
        let thawed = self.thaw_forgotten("since containerd was killed").await?;
        leftovers::empty_tmp(&self.node);
        if thawed {
            self.kill_daemon().await?;
            self.start_daemon().await?;
        }
        self.thaw_orphans().await.map(drop)
    }

    /// Thaws what is frozen and belongs to no task: the container of a shim that died in a dump. containerd has sent it
    /// SIGKILL then, which reaches no frozen process of cgroup version 1, and has forgotten it (containerd 2.1.9). Says
    /// whether there was such a one.
    async fn thaw_orphans(&self) -> Result<bool, EngineError> {
        let mut found = false;
        let tasks = self.tasks().await?;
        let freezer = self.host("/sys/fs/cgroup/freezer/podferry");
        let folders = |path: &Path| {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|e| e.path()).filter(|p| p.is_dir()).collect::<Vec<_>>()
        };
        // A pod's folder holds one for each of its containers, by its id; other engines' containers have none below them.
        for group in folders(&freezer).iter().flat_map(|pod| folders(pod)) {
            let id = group.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let state = group.join("freezer.state");
            let frozen = std::fs::read_to_string(&state).is_ok_and(|s| s.trim() == "FROZEN");
            if frozen && !tasks.iter().any(|(task, _)| *task == id) {
                std::fs::write(state, "THAWED").map_err(|e| broken(&self.node, "thaw what a dead shim left", e))?;
                found = true;
            }
        }
        Ok(found)
    }
}
