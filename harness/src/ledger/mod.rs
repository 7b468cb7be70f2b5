//! The only claims on the outside world: what a run made that outlives it, so that the next start (or `podferry clean`)
//! can remove it when the run was killed.
//!
//! A run holds one file, locked as long as it lives. Before a thing is made, a line with its kind and name goes into
//! that file; when the thing is gone, another line says so. A file whose lock can be taken belongs to a dead run, and
//! what it claimed and did not release is to be swept. Most things of a local node need no claim: the kernel ends them
//! with the node. Cgroups, and folders on disk, do.

mod dead;
mod lines;
mod live;
#[cfg(test)]
mod tests;

pub use dead::{DeadRun, Unswept, dead, dead_in, take_over, take_over_in};
pub use lines::Claim;
pub use live::Ledger;

use std::io;
use std::path::{Path, PathBuf};

/// Claim kind of a control group; its name is the folder below `/sys/fs/cgroup`.
pub const CGROUP: &str = "cgroup";
/// Claim kind of a folder on disk that only this run knows; its name is the absolute path. Sweeping removes it with all
/// that it holds.
pub const TEMP_DIR: &str = "temp-dir";
/// Claim kind of a node image that is being made; its name is the absolute path of its folder. Sweeping is
/// `component::sweep_unfinished`: another run may have gone on with it.
pub const UNFINISHED_IMAGE: &str = "unfinished-image";

/// Claim kind of a kind cluster under the user's dockerd; its name is the cluster's and, after a space, dockerd's socket.
/// Sweeping is `provider::kind::sweep`.
pub const KIND_CLUSTER: &str = "kind-cluster";
/// Claim kind of a minikube profile under the user's dockerd; its name is the profile's and, after a space, dockerd's socket.
/// Sweeping is `provider::minikube::sweep`.
pub const MINIKUBE_PROFILE: &str = "minikube-profile";

/// Claim kind of hierarchies of control groups (version 1) that a node of somebody else's may mount, and the machine had not; its
/// name is their controllers, with commas between. Sweeping is `provider::hierarchies::sweep`.
pub const HIERARCHIES: &str = "cgroup-hierarchies";

/// Claim kind of a kind cluster that a run left on purpose: only `podferry clean` sweeps it, no start of a run does. Its name is
/// the cluster's, how it was left, and dockerd's socket.
pub const KEPT_KIND_CLUSTER: &str = "kept-kind-cluster";

/// Claim kind of a namespace in a cluster of somebody else's; its name is an object of JSON with the namespace, and context and
/// path of the kubeconfig. Sweeping is `provider::existing::sweep`.
pub const CLUSTER_NAMESPACE: &str = "cluster-namespace";

/// Why the ledger could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Two runs have one name.
    #[error("a run named {run} has a ledger already: {}", path.display())]
    Taken {
        /// The run.
        run: String,
        /// Its ledger.
        path: PathBuf,
    },
    /// The ledger's folder or file cannot be used.
    #[error("can't use the ledger {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl LedgerError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> LedgerError + use<> {
        let path = path.to_owned();
        move |source| LedgerError::Io { path, source }
    }
}

/// The folder that the ledgers of this user's runs lie in: `$XDG_STATE_HOME/podferry/runs`, by default
/// `~/.local/state/podferry/runs`.
pub fn runs_dir() -> PathBuf {
    let base = match std::env::var_os("XDG_STATE_HOME") {
        Some(dir) if Path::new(&dir).is_absolute() => PathBuf::from(dir),
        _ => std::env::home_dir().unwrap_or_else(|| PathBuf::from("/root")).join(".local/state"),
    };
    base.join("podferry/runs")
}

/// Whether a thing of this kind is gone when the machine starts anew, so that its claim need not be forced to disk.
fn lost_at_reboot(kind: &str) -> bool {
    matches!(kind, CGROUP | "process" | "mount" | "netns" | "link")
}
