//! Where things lie in the node, and the files that the two daemons are configured by. Pure.

use super::Network;
use serde_json::json;

/// dockerd's own: images, containers with their logs and checkpoints. overlay2 takes no overlay below it.
pub(super) const ROOT: &str = "/data/docker";
/// All else that the engine keeps. Within dockerd's own root: dockerd mounts that over itself, and files get no second name
/// across a mount.
pub(super) const HOME: &str = "/data/docker/podferry";
/// containerd's content and the work folders of the runtime.
const CONTAINERD_ROOT: &str = "/data/docker/podferry/containerd";
/// Where containerd puts the images of a dump, and those of a restore: it removes the first and leaves the second.
pub(super) const TMP: &str = "/data/docker/podferry/tmp";
/// Checkpoints, as they are kept and as they come from another node.
pub(super) const CHECKPOINTS: &str = "/data/docker/podferry/checkpoints";
/// CRIU's logs, one a container, and its options.
pub(super) const CRIU: &str = "/data/docker/podferry/criu";
/// Sockets and state of both daemons: gone when the node is restarted.
pub(super) const STATE: &str = "/run/podferry-docker";
/// dockerd's socket.
pub(super) const SOCKET: &str = "/run/podferry-docker/docker.sock";
/// containerd's. Not `/run/containerd/containerd.sock`: a dockerd that finds one there takes it, whoever's it is.
pub(super) const CONTAINERD_SOCKET: &str = "/run/podferry-docker/containerd.sock";

/// A file of the engine's own, in the node.
pub(super) fn in_home(file: &str) -> String {
    format!("{HOME}/{file}")
}

/// `daemon.json`.
///
/// No bridge and no rules of iptables: containers get a network as those of the other engines do (`containers.rs`).
/// `live-restore`, since dockerd would end at its start what its death has left running.
pub(super) fn dockerd(network: Network) -> String {
    let mut config = json!({
        "experimental": true,
        "data-root": ROOT,
        "exec-root": format!("{STATE}/exec"),
        "pidfile": format!("{STATE}/docker.pid"),
        "hosts": [format!("unix://{SOCKET}")],
        "containerd": CONTAINERD_SOCKET,
        "bridge": "none",
        "iptables": false,
        "ip6tables": false,
        "live-restore": true,
        "log-driver": "json-file",
    });
    if network == Network::Bridge {
        let keys = config.as_object_mut().expect("made so above");
        keys.remove("bridge");
        // Forwarding is not the container's concern here, and its switch may be none that the node has.
        keys.insert("ip-forward".to_owned(), json!(false));
        keys.insert("ip-masq".to_owned(), json!(false));
    }
    format!("{config:#}\n")
}

/// containerd's `config.toml`. Its CRI would start with it, and is nobody's here. This version of the form is read by
/// containerd 1.7 and by 2.1 alike.
pub(super) fn containerd() -> String {
    format!(
        "version = 2\nroot = \"{CONTAINERD_ROOT}\"\nstate = \"{STATE}/containerd\"\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.cri.v1.images\", \"io.containerd.cri.v1.runtime\"]\n\n\
         [grpc]\naddress = \"{CONTAINERD_SOCKET}\"\n"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn daemon_json() {
        insta::assert_snapshot!(super::dockerd(super::Network::Holder));
    }

    #[test]
    fn containerd_toml() {
        insta::assert_snapshot!(super::containerd());
    }
}
