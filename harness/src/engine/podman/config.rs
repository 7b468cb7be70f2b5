//! The files that podman and CRIU read in a node, and podman's global options. Pure: text from settings.

use crate::engine::criu_options::{self, NetworkLock};
use crate::image::REGISTRY;
use crate::record::CriuChoices;
use std::path::Path;

/// `containers.conf`. Locks are files in podman's own folder: those in shared memory (`/dev/shm/libpod_lock`) would be one
/// set for all podmans of the node, and whichever comes up first after a restart frees the others'.
pub(super) fn containers() -> String {
    "[containers]\nlog_driver = \"k8s-file\"\nhttp_proxy = false\n\n[engine]\nlock_type = \"file\"\n".to_owned()
}

/// `registries.conf`: the node's own registry speaks plain HTTP.
pub(super) fn registries() -> String {
    format!("[[registry]]\nlocation = \"{REGISTRY}\"\ninsecure = true\n")
}

/// CRIU's options for one call. `log-file` keeps the log of a restore: podman deletes it with the container.
pub(super) fn criu(choices: &CriuChoices, network_lock: Option<NetworkLock>, log: &Path) -> String {
    format!("log-file {}\n{}", log.display(), criu_options::text(choices, network_lock))
}

/// Global options: all that podman keeps lies in the two folders. Not on the node's root, which is an overlay.
pub(super) fn globals(storage: &Path, run: &Path, runtime: &str) -> Vec<String> {
    let path = |p: &Path| p.display().to_string();
    let options = [
        ["--root", &path(storage)],
        ["--runroot", &path(&run.join("run"))],
        ["--tmpdir", &path(&run.join("tmp"))],
        ["--cgroup-manager", "cgroupfs"],
        ["--events-backend", "file"],
        ["--runtime", runtime],
    ];
    options.concat().into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criu_logs_where_it_is_told_to() {
        let text = criu(&CriuChoices::default(), None, Path::new("/run/podman/calls/x.log"));
        assert_eq!(text, "log-file /run/podman/calls/x.log\ntcp-close\nskip-in-flight\nfile-locks\n");
    }

    #[test]
    fn two_podmans_on_a_node_share_nothing() {
        let of = |kind: &str| globals(&Path::new("/data").join(kind), &Path::new("/run").join(kind), "crun");
        let (one, other) = (of("podman"), of("podman-runc"));
        let paths = |options: &[String]| options.iter().filter(|o| o.starts_with('/')).cloned().collect::<Vec<_>>();
        assert!(paths(&one).iter().all(|path| !paths(&other).contains(path)), "{one:?} {other:?}");
    }
}
