//! What a kubelet needs on its node to join: pure text, and its certificate.

use super::control_plane::PROGRAMS;
use super::kubeconfig;
use super::pki::{Authority, Identity};
use crate::node::SharedNode;
use crate::process::Exec;
use k8s_openapi::api::core::v1::Node;
use serde_json::json;
use std::net::Ipv4Addr;

/// Its port.
pub(super) const PORT: u16 = 10250;

/// Where a kubelet has its things, in its node.
#[derive(Clone, Debug)]
pub struct KubeletPlaces {
    /// Its configuration and its keys: a folder in memory.
    pub home: String,
    /// All that it keeps: pods, checkpoints.
    pub root: String,
    /// The logs of containers.
    pub logs: String,
    /// The socket of the container runtime.
    pub socket: String,
    /// The control group that all pods are in.
    pub group: String,
}

/// A kubelet that is to be started.
pub struct Kubelet {
    places: KubeletPlaces,
    name: String,
    address: Ipv4Addr,
    identity: Identity,
    authority: String,
    api: String,
}

impl Kubelet {
    pub(super) fn new(
        node: &SharedNode,
        authority: &Authority,
        api: &str,
        places: KubeletPlaces,
    ) -> Result<Kubelet, rcgen::Error> {
        let (name, address) = (node.name().to_owned(), node.address());
        // The user and the group that Node authorisation asks for.
        let user = format!("system:node:{name}");
        let identity = authority.issue(&user, Some("system:nodes"), &[address.to_string(), name.clone()])?;
        let (authority, api) = (authority.certificate().to_owned(), api.to_owned());
        Ok(Kubelet { places, name, address, identity, authority, api })
    }

    /// The files that it reads, by their paths in the node.
    pub fn files(&self) -> Vec<(String, String)> {
        let Kubelet { identity, authority, api, .. } = self;
        vec![
            (self.at("ca.crt"), authority.clone()),
            (self.at("kubelet.crt"), identity.certificate.clone()),
            (self.at("kubelet.key"), identity.key.clone()),
            (self.at("kubelet.kubeconfig"), kubeconfig::text(api, authority, identity)),
            (self.at("kubelet.json"), self.config()),
        ]
    }

    /// Its command.
    pub fn exec(&self) -> Exec {
        Exec::new(format!("{PROGRAMS}/kubelet"))
            .args(["--config", &self.at("kubelet.json"), "--kubeconfig", &self.at("kubelet.kubeconfig")])
            .args(["--root-dir", &self.places.root, "--hostname-override", &self.name])
            .args(["--node-ip", &self.address.to_string()])
    }

    fn at(&self, file: &str) -> String {
        format!("{}/{file}", self.places.home)
    }

    fn config(&self) -> String {
        let places = &self.places;
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.address,
            "port": PORT,
            "tlsCertFile": self.at("kubelet.crt"),
            "tlsPrivateKeyFile": self.at("kubelet.key"),
            "authentication": {
                "anonymous": {"enabled": false},
                "webhook": {"enabled": true},
                "x509": {"clientCAFile": self.at("ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": format!("unix://{}", places.socket),
            "podLogsDir": places.logs,
            "volumePluginDir": format!("{}/volume-plugins", places.root),
            // Nodes are of one machine: each has its own control groups, but as the machine mounts them.
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": places.group,
            "failCgroupV1": false,
            // The kernel's settings are the machine's own, and so are its swap, its disk and its memory.
            "protectKernelDefaults": false,
            "failSwapOn": false,
            "evictionHard": {
                "memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%",
            },
            "imageGCHighThresholdPercent": 100,
            // Who lacks CAP_SYS_RESOURCE can't lower it.
            "oomScoreAdj": 0,
            // No kube-proxy, no Services.
            "makeIPTablesUtilChains": false,
        });
        format!("{config:#}\n")
    }
}

/// Whether pods can be scheduled to a node.
pub(super) fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_ref());
    let ready = conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    let tainted = node.spec.as_ref().and_then(|s| s.taints.as_ref()).is_some_and(|taints| !taints.is_empty());
    ready && !tainted
}

/// What a node says of itself, and what keeps pods away from it.
pub(super) fn conditions(node: &Node) -> Vec<String> {
    let status = node.status.as_ref().and_then(|s| s.conditions.as_ref());
    let told = |c: &k8s_openapi::api::core::v1::NodeCondition| {
        format!("{}: {} {}", c.type_, c.status, c.message.as_deref().unwrap_or_default())
    };
    let taints = node.spec.as_ref().and_then(|s| s.taints.as_ref());
    let taints = taints.into_iter().flatten().map(|t| format!("taint {}: {}", t.key, t.effect));
    status.into_iter().flatten().map(told).chain(taints).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(ready: &str, taint: Option<&str>) -> Node {
        let taints: Vec<_> = taint.map(|key| json!({"key": key, "effect": "NoSchedule"})).into_iter().collect();
        serde_json::from_value(json!({
            "metadata": {"name": "a"},
            "spec": {"taints": taints},
            "status": {"conditions": [{"type": "Ready", "status": ready, "message": "words"}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_tainted_node_is_not_ready() {
        assert!(is_ready(&node("True", None)));
        assert!(!is_ready(&node("False", None)));
        let tainted = node("True", Some("node.kubernetes.io/not-ready"));
        assert!(!is_ready(&tainted));
        assert_eq!(conditions(&tainted), ["Ready: True words", "taint node.kubernetes.io/not-ready: NoSchedule"]);
        assert!(!is_ready(&Node::default()));
    }

    #[test]
    fn its_configuration_lets_nobody_in_unasked() {
        let places = KubeletPlaces {
            home: "/run/k".into(),
            root: "/data/kubelet".into(),
            logs: "/data/logs".into(),
            socket: "/run/c.sock".into(),
            group: "/podferry".into(),
        };
        let authority = Authority::new().unwrap();
        let identity = authority.issue("system:node:a", Some("system:nodes"), &[]).unwrap();
        let (name, address) = ("a".to_owned(), Ipv4Addr::new(10, 99, 0, 2));
        let (authority, api) = (authority.certificate().to_owned(), "https://10.99.0.4:6443".to_owned());
        let kubelet = Kubelet { places, name, address, identity, authority, api };
        insta::assert_snapshot!(kubelet.config());
        assert!(kubelet.files().iter().all(|(path, _)| path.starts_with("/run/k/")));
    }
}
