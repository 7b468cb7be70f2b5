//! Where a containerd of podferry's has its files in a node. Each engine has a containerd of its own there, so that all
//! can be on one node.

use crate::engine::criu_options::{self, NetworkLock};
use crate::record::{CriuChoices, EngineKind};
use std::path::PathBuf;

/// Folders and files in a node.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Places {
    /// containerd's root. On `/data`, the node's tmpfs: overlay cannot lie on the node's own overlay root (pods fail with
    /// `fstype: overlay ... invalid argument`, although the snapshotter reports `ok`), and ext4 makes times erratic.
    pub(in crate::engine) root: String,
    /// containerd's state.
    pub(in crate::engine) state: String,
    /// Its socket.
    pub(in crate::engine) socket: String,
    /// Everything else that the engine writes in a node.
    pub(in crate::engine) home: String,
    /// `TMPDIR` of containerd: CRIU's images are written here first, as `ctrd-checkpointNNN`.
    pub(in crate::engine) tmp: String,
    /// Archives.
    pub(in crate::engine) checkpoints: String,
}

/// Where the kubelet keeps what it keeps.
pub(in crate::engine) const KUBELET_ROOT: &str = "/data/kubelet";

/// `TMPDIR` of the containerd in nodes that podferry has kind or minikube make (`fixtures/kind/containerd.conf`). On other nodes of
/// a cluster there is no such folder.
const TMP_UNDER_DOCKER: &str = "/var/lib/podferry/tmp";

impl Places {
    pub(in crate::engine) fn of(kind: EngineKind) -> Places {
        // The engine `cri` has containerd's defaults, so that `ctr` and `crictl` in the node need no flags.
        let (state, data, checkpoints) = match kind {
            EngineKind::Cri => ("/run/containerd".to_owned(), "containerd".to_owned(), "/data/checkpoints".to_owned()),
            other => (
                format!("/run/containerd-{other}"),
                format!("containerd-{other}"),
                format!("/data/checkpoints-{other}"),
            ),
        };
        Places {
            root: format!("/data/{data}"),
            socket: format!("{state}/containerd.sock"),
            state,
            home: format!("/run/podferry-{kind}"),
            tmp: format!("/data/{data}-tmp"),
            // A kubelet mounts its root once more over itself: only within that can an archive of its be renamed.
            checkpoints: if kind == EngineKind::Kubelet { format!("{KUBELET_ROOT}/archives") } else { checkpoints },
        }
    }

    /// Those of a containerd that somebody else started, with a kubelet over it that keeps its things at `kubelet`.
    pub(in crate::engine) fn foreign(root: &str, state: &str, socket: &str, kubelet: &str) -> Places {
        Places {
            root: root.to_owned(),
            state: state.to_owned(),
            socket: socket.to_owned(),
            home: "/run/podferry-guest".to_owned(),
            tmp: TMP_UNDER_DOCKER.to_owned(),
            checkpoints: format!("{kubelet}/podferry"),
        }
    }

    pub(in crate::engine) fn in_home(&self, file: &str) -> String {
        format!("{}/{file}", self.home)
    }

    /// containerd's configuration.
    pub(in crate::engine) fn config(&self) -> String {
        self.in_home("config.toml")
    }

    /// containerd's log.
    pub(in crate::engine) fn log(&self) -> PathBuf {
        PathBuf::from(self.in_home("containerd.log"))
    }

    /// The file with CRIU's options for a container. A file of our own leaves the other engines on the node alone.
    pub(in crate::engine) fn criu_config(&self, choices: &CriuChoices) -> String {
        self.in_home(&criu_options::file_name(choices))
    }

    /// Where CRIU logs, by [`Places::criu_options`].
    pub(in crate::engine) fn criu_log(&self) -> String {
        self.in_home("criu.log")
    }

    /// CRIU's options. `log-file` saves the log of a restore: it would be deleted with the bundle, and the RPC says only
    /// `criu failed: type RESTORE`.
    pub(in crate::engine) fn criu_options(&self, choices: &CriuChoices, network_lock: Option<NetworkLock>) -> String {
        format!("log-file {}\n{}", self.criu_log(), criu_options::text(choices, network_lock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criu_logs_where_its_log_is_read() {
        let text = Places::of(EngineKind::Cri).criu_options(&CriuChoices::default(), None);
        assert_eq!(text, "log-file /run/podferry-cri/criu.log\ntcp-close\nskip-in-flight\nfile-locks\n");
    }

    #[test]
    fn no_two_engines_share_a_place() {
        let mut all: Vec<String> = EngineKind::ALL
            .iter()
            .map(|kind| Places::of(*kind))
            .flat_map(|p| [p.root, p.state, p.home, p.tmp])
            .collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
