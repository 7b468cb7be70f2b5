//! What kind is told of a cluster. Pure; JSON is YAML, so that is what is written.

use crate::record::CRIU_ANNOTATION;
use serde_json::{Value, json};

/// A cluster of a control plane and so many workers.
///
/// `own_network`: podferry gives the nodes their pods' network itself; without, kind does. `driver`: who makes the control
/// groups of pods.
pub(super) fn cluster(name: &str, workers: usize, own_network: bool, driver: Driver) -> String {
    let roles = std::iter::once("control-plane").chain(std::iter::repeat_n("worker", workers));
    let nodes: Vec<Value> = roles.map(|role| json!({"role": role})).collect();
    let config = json!({
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": name,
        "networking": {"disableDefaultCNI": own_network, "kubeProxyMode": "nftables", "apiServerAddress": "127.0.0.1"},
        "nodes": nodes,
        "kubeadmConfigPatches": [kubelet(driver)],
        "containerdConfigPatches": [containerd(driver)],
    });
    format!("{config:#}\n")
}

/// Who makes the control groups of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driver {
    /// systemd, as kind has it.
    Systemd,
    /// The kubelet and the runtime. For hosts with version 1 hierarchies: in two of three nodes systemd did not make a
    /// pod's group in its own hierarchy there, and the kubelet did not come up (systemd 257, kubelet 1.36.3: `cgroup
    /// ["kubelet" "kubepods"] has some missing paths`).
    Cgroupfs,
}

/// kubelets from 1.35 on refuse a host whose control groups are version 1 unless they are told not to; and who lacks
/// `CAP_SYS_RESOURCE` can't lower the score.
fn kubelet(driver: Driver) -> String {
    let driver = if driver == Driver::Systemd { "systemd" } else { "cgroupfs" };
    json!({"kind": "KubeletConfiguration", "failCgroupV1": false, "oomScoreAdj": 0, "cgroupDriver": driver}).to_string()
}

/// For the configuration that is in the node: kind skips a patch of another version of the form without a word (0.33.0), and
/// its own is version 2. The switches of the restore are those of containerd from 2.2.7 and 2.3.4 on; older ones warn of keys
/// that they don't know. The base specification has a hook that puts files of the node over files of its `/sys`.
fn containerd(driver: Driver) -> String {
    let cri = "plugins.\"io.containerd.grpc.v1.cri\"";
    format!(
        "version = 2\n[{cri}]\nrestrict_oom_score_adj = true\nenable_experimental_restore_via_create = true\n\
         enable_criu = true\n[{cri}.containerd.runtimes.runc]\nbase_runtime_spec = \"\"\n\
         pod_annotations = [\"{CRIU_ANNOTATION}\"]\n\
         [{cri}.containerd.runtimes.runc.options]\nSystemdCgroup = {}\n",
        driver == Driver::Systemd
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cluster_of_two_workers() {
        insta::assert_snapshot!(super::cluster("podferry", 2, true, super::Driver::Cgroupfs));
    }
}
