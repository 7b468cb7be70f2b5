//! What kind is told of a cluster. Pure; JSON is YAML, so that is what is written.

use crate::cluster::CONTAINERD_METRICS;
use crate::component::short_digest;
use crate::record::CRIU_ANNOTATION;
use serde_json::{Value, json};

/// The label of each node in Kubernetes that tells what its cluster was made of: [`Shape::digest`].
pub(super) const LABEL: &str = "podferry/configuration";

/// What a cluster is made of, but for its name.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The node image, by its name under dockerd; the name of one of podferry's has the digest of all its parts.
    pub(super) image: String,
    /// So many workers, beside one control plane.
    pub(super) workers: usize,
    /// Whether podferry gives the nodes their pods' network itself; without, kind does.
    pub(super) own_network: bool,
    /// Who makes the control groups of pods.
    pub(super) driver: Driver,
}

impl Shape {
    /// What kind is told.
    pub(super) fn config(&self, name: &str) -> String {
        format!("{:#}\n", self.labelled(name, &self.digest()))
    }

    /// The same of two clusters that this podferry would make alike.
    pub(super) fn digest(&self) -> String {
        short_digest(&(env!("CARGO_PKG_VERSION"), &self.image, self.labelled("", "")))
    }

    fn labelled(&self, name: &str, digest: &str) -> Value {
        let roles = std::iter::once("control-plane").chain(std::iter::repeat_n("worker", self.workers));
        let nodes: Vec<Value> = roles.map(|role| json!({"role": role, "labels": {LABEL: digest}})).collect();
        json!({
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "name": name,
            "networking": {
                "disableDefaultCNI": self.own_network, "kubeProxyMode": "nftables", "apiServerAddress": "127.0.0.1"
            },
            "nodes": nodes,
            "kubeadmConfigPatches": [kubelet(self.driver)],
            "containerdConfigPatches": [containerd(self.driver)],
        })
    }
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
        "version = 2\n[metrics]\naddress = \"{CONTAINERD_METRICS}\"\n[{cri}]\nrestrict_oom_score_adj = true\nenable_experimental_restore_via_create = true\n\
         enable_criu = true\n[{cri}.containerd.runtimes.runc]\nbase_runtime_spec = \"\"\n\
         pod_annotations = [\"{CRIU_ANNOTATION}\"]\n\
         [{cri}.containerd.runtimes.runc.options]\nSystemdCgroup = {}\n",
        driver == Driver::Systemd
    )
}

#[cfg(test)]
mod tests {
    use super::{Driver, Shape};

    fn shape() -> Shape {
        Shape { image: "podferry/kind-node:1".to_owned(), workers: 2, own_network: true, driver: Driver::Cgroupfs }
    }

    #[test]
    fn a_cluster_of_two_workers() {
        let (config, digest) = (shape().config("podferry"), shape().digest());
        assert_eq!(config.matches(&digest).count(), 3, "each node is labelled");
        // It has podferry's version in it.
        insta::assert_snapshot!(config.replace(&digest, "DIGEST"));
    }

    #[test]
    fn what_is_made_of_something_else_has_another_digest() {
        let one = shape().digest();
        assert_eq!(shape().digest(), one);
        for other in [
            Shape { image: "podferry/kind-node:2".to_owned(), ..shape() },
            Shape { workers: 3, ..shape() },
            Shape { own_network: false, ..shape() },
            Shape { driver: Driver::Systemd, ..shape() },
        ] {
            assert_ne!(other.digest(), one, "{other:?}");
        }
    }
}
