//! The files that containerd, CNI and CRIU read in a node. Pure: text from settings.

use super::version::Support;
use crate::engine::criu_options::{self, NetworkLock};
use crate::engine::network;
use crate::record::CriuChoices;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

/// containerd's root. On `/data`, the node's tmpfs: overlay cannot lie on the node's own overlay root (pods fail with
/// `fstype: overlay ... invalid argument`, although the snapshotter reports `ok`), and ext4 makes times erratic.
pub(super) const ROOT: &str = "/data/containerd";
/// containerd's state, and its socket: the defaults, so that `ctr` and `crictl` in the node need no flags.
pub(super) const STATE: &str = "/run/containerd";
/// See [`STATE`].
pub(super) const SOCKET: &str = "/run/containerd/containerd.sock";
/// Everything else that this engine writes in a node.
pub(super) const HOME: &str = "/run/podferry-cri";
/// `TMPDIR` of containerd: CRIU's images are written here first, as `ctrd-checkpointNNN`.
pub(super) const TMP: &str = "/data/containerd-tmp";
/// Archives.
pub(super) const CHECKPOINTS: &str = "/data/checkpoints";

/// The pods' network, in [`HOME`].
pub(super) const CNI: &str = "cni/10-podferry.conflist";

pub(super) fn in_home(file: &str) -> String {
    format!("{HOME}/{file}")
}

/// containerd's configuration.
pub(super) fn containerd(support: &Support, pause: &str, runtime: &str) -> String {
    let head = format!(
        "version = {}\nroot = \"{ROOT}\"\nstate = \"{STATE}\"\n\n[grpc]\naddress = \"{SOCKET}\"\n",
        support.config_version()
    );
    let certs = in_home("certs.d");
    let cni = in_home("cni");
    // Every option below is named in the configuration of the version that it is for; keys that a version does not
    // know are only warned of, so the two switches of 2.2.7 and 2.3.4 can always be there.
    let body = if support.config_version() == 2 {
        let cri = "io.containerd.grpc.v1.cri";
        format!(
            "[plugins.\"{cri}\"]\nsandbox_image = \"{pause}\"\nrestrict_oom_score_adj = true\n\n\
             [plugins.\"{cri}\".registry]\nconfig_path = \"{certs}\"\n\n\
             [plugins.\"{cri}\".cni]\nbin_dir = \"/usr/lib/cni\"\nconf_dir = \"{cni}\"\n\n{}",
            runtime_table(cri, runtime)
        )
    } else {
        let (cri, images) = ("io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images");
        // A list from 2.1 on; 2.0 knows only the one.
        let bin = if support.number < (2, 1, 0) {
            "bin_dir = \"/usr/lib/cni\""
        } else {
            "bin_dirs = [\"/usr/lib/cni\", \"/opt/cni/bin\"]"
        };
        format!(
            "[plugins.\"{images}\".pinned_images]\nsandbox = \"{pause}\"\n\n\
             [plugins.\"{images}\".registry]\nconfig_path = \"{certs}\"\n\n\
             [plugins.\"{cri}\"]\nrestrict_oom_score_adj = true\n\
             enable_experimental_restore_via_create = true\nenable_criu = true\n\n\
             [plugins.\"{cri}\".cni]\n{bin}\nconf_dir = \"{cni}\"\n\n{}",
            runtime_table(cri, runtime)
        )
    };
    format!("{head}\n{body}")
}

/// The runtime. The annotation that names CRIU's options is let through to runc.
fn runtime_table(cri: &str, runtime: &str) -> String {
    let table = format!("plugins.\"{cri}\".containerd.runtimes.runc");
    let annotation = criu_options::ANNOTATION;
    format!(
        "[{table}]\nruntime_type = \"io.containerd.runc.v2\"\ncontainer_annotations = [\"{annotation}\"]\n\n\
         [{table}.options]\nBinaryName = \"{runtime}\"\nSystemdCgroup = false\n"
    )
}

/// Tells containerd's CRI plugin that the registry speaks plain HTTP; without this it tries TLS, also on localhost.
pub(super) fn hosts(registry: &str) -> String {
    format!("server = \"http://{registry}\"\n\n[host.\"http://{registry}\"]\ncapabilities = [\"pull\", \"resolve\"]\n")
}

/// The pods' network: a bridge in the node with the first address of its /24. No masquerading: every node routes to the
/// others' pods, so clients see the pod's own address, and nothing depends on iptables.
pub(super) fn cni(pods: Ipv4Addr, octets: RangeInclusive<u8>) -> String {
    let conf = serde_json::json!({
        "cniVersion": "1.0.0",
        "name": "podferry",
        "plugins": [{
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": true,
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": in_home("addresses"),
                "ranges": [[{
                    "subnet": format!("{pods}/24"),
                    "rangeStart": network::address(pods, *octets.start()),
                    "rangeEnd": network::address(pods, *octets.end()),
                }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }],
    });
    format!("{conf:#}\n")
}

/// The pods' network while a sandbox is made that gets an address of another node: a cable of its own, with a route to it,
/// so that it takes nothing of that node's network along. By the same name as [`cni`], under which it is removed.
pub(super) fn cni_at(address: Ipv4Addr) -> String {
    let [a, b, c, _] = address.octets();
    let range = serde_json::json!({
        "subnet": format!("{a}.{b}.{c}.0/24"),
        "rangeStart": address,
        "rangeEnd": address,
        "gateway": format!("{a}.{b}.{c}.1"),
    });
    let conf = serde_json::json!({
        "cniVersion": "1.0.0",
        "name": "podferry",
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": in_home("addresses"),
                "ranges": [[range]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }],
    });
    format!("{conf:#}\n")
}

/// The file with CRIU's options for a container. A file of our own leaves the `runc` engine on the same node alone.
pub(super) fn criu_config_path(choices: &CriuChoices) -> String {
    in_home(&criu_options::file_name(choices))
}

/// Where CRIU logs, by [`criu_config`].
pub(super) fn criu_log_path() -> String {
    in_home("criu.log")
}

/// CRIU's options. `log-file` saves the log of a restore: it would be deleted with the bundle, and the RPC says only
/// `criu failed: type RESTORE`.
pub(super) fn criu_config(choices: &CriuChoices, network_lock: Option<NetworkLock>) -> String {
    format!("log-file {}\n{}", criu_log_path(), criu_options::text(choices, network_lock))
}

#[cfg(test)]
mod tests {
    use super::super::version::support;
    use super::*;

    #[test]
    fn containerd_1_7() {
        insta::assert_snapshot!(containerd(&support("1.7.24").unwrap(), "localhost:5000/pause:1", "runc"));
    }

    #[test]
    fn containerd_2_1() {
        insta::assert_snapshot!(containerd(&support("2.1.9").unwrap(), "localhost:5000/pause:1", "/opt/runc"));
    }

    #[test]
    fn containerd_2_0_knows_one_folder_of_cni_plugins() {
        let text = containerd(&support("2.0.0").unwrap(), "p", "runc");
        assert!(text.contains("\nbin_dir = ") && !text.contains("bin_dirs"), "{text}");
    }

    #[test]
    fn pod_network() {
        insta::assert_snapshot!(cni(Ipv4Addr::new(10, 99, 2, 0), 2..=85));
    }

    #[test]
    fn pod_network_of_one_address() {
        insta::assert_snapshot!(cni_at(Ipv4Addr::new(10, 99, 3, 7)));
    }

    #[test]
    fn criu_logs_where_its_log_is_read() {
        let text = criu_config(&CriuChoices::default(), None);
        assert_eq!(text, "log-file /run/podferry-cri/criu.log\ntcp-close\nskip-in-flight\nfile-locks\n");
    }
}
