//! A pod, as it is asked for and as it is seen. Pure.

use crate::cluster::{self, ACCOUNT};
use crate::engine::{ContainerSpec, Mount, criu_options};
use crate::node::SharedNode;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// What a pod is called: unique in the cluster, where a container's name is unique on its node.
pub(super) fn name(container: &str, node: &str) -> String {
    format!("{container}-{node}")
}

/// How the image of a pod's container is come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pull {
    /// By its registry, unless the node has it.
    IfNotPresent,
    /// The node has it.
    Never,
}

/// A pod of one container on a node. `criu`: the file with CRIU's options, which runc finds by the pod's annotation.
pub(super) fn object(
    namespace: &str,
    spec: &ContainerSpec,
    node: &SharedNode,
    image: &str,
    pull: Pull,
    criu: &str,
) -> Pod {
    let limits = spec.memory_limit.map(|bytes| json!({"limits": {"memory": bytes.to_string()}}));
    let env: Vec<Value> = spec.env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let volume = |(n, mount): (usize, &Mount)| json!({"name": format!("mount-{n}"), "hostPath": {"path": mount.source, "type": "Directory"}});
    let mount = |(n, mount): (usize, &Mount)| json!({"name": format!("mount-{n}"), "mountPath": mount.target});
    let object = json!({
        "metadata": {
            "name": name(&spec.name, node.name()),
            "namespace": namespace,
            "annotations": {criu_options::ANNOTATION: criu},
        },
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node.known_as()},
            "serviceAccountName": ACCOUNT,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            // A container that ends has ended: who starts it again would hide it.
            "restartPolicy": "Never",
            // The cluster has no name server.
            "dnsPolicy": "Default",
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": spec.name,
                "image": image,
                "imagePullPolicy": match pull { Pull::IfNotPresent => "IfNotPresent", Pull::Never => "Never" },
                "command": Some(&spec.args).filter(|args| !args.is_empty()),
                "env": env,
                "resources": limits.unwrap_or_else(|| json!({})),
                "securityContext": (spec.user != 0).then(|| json!({"runAsUser": spec.user})),
                "volumeMounts": spec.mounts.iter().enumerate().map(mount).collect::<Vec<_>>(),
            }],
            "volumes": spec.mounts.iter().enumerate().map(volume).collect::<Vec<_>>(),
        },
    });
    serde_json::from_value(object).expect("it has the form of a pod")
}

/// A container of a pod that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Running {
    /// The container's id at the runtime.
    pub(super) id: String,
    pub(super) address: Ipv4Addr,
    /// The pod's own id, which its control group and its logs' folder are named by.
    pub(super) uid: String,
    /// `Guaranteed`, `Burstable` or `BestEffort`.
    pub(super) quality: String,
}

/// Whether the container of a pod runs; `Err` says why it never will.
pub(super) fn running(pod: Option<&Pod>) -> Result<Option<Running>, String> {
    let Some(container) = cluster::running(pod)? else { return Ok(None) };
    let Some((pod, status)) = pod.and_then(|pod| Some((pod, pod.status.as_ref()?))) else { return Ok(None) };
    let id = container.container_id.as_deref().and_then(|id| id.split_once("://")).map(|(_, id)| id.to_owned());
    let address = status.pod_ip.as_deref().and_then(|ip| ip.parse().ok());
    let uid = pod.metadata.uid.clone();
    let (Some(id), Some(address), Some(uid)) = (id, address, uid) else { return Ok(None) };
    Ok(Some(Running { id, address, uid, quality: status.qos_class.clone().unwrap_or_default() }))
}

/// The control group of a pod, below the group that the kubelet was given (`/podferry`), by the driver `cgroupfs` or, with
/// `systemd`, by that: `/kubelet` makes the slice `kubelet.slice`, and each name is longer by the one above it. "" is the root.
pub(super) fn group(below: &str, uid: &str, quality: &str, systemd: bool) -> String {
    if systemd {
        let (above, pods) = match below.trim_start_matches('/') {
            "" => (String::new(), "kubepods".to_owned()),
            top => (format!("/{top}.slice"), format!("{top}-kubepods")),
        };
        let pod = uid.replace('-', "_");
        return match quality {
            "Guaranteed" => format!("{above}/{pods}.slice/{pods}-pod{pod}.slice"),
            other => {
                let class = format!("{pods}-{}", other.to_lowercase());
                format!("{above}/{pods}.slice/{class}.slice/{class}-pod{pod}.slice")
            }
        };
    }
    let below = below.trim_end_matches('/');
    match quality {
        "Guaranteed" => format!("{below}/kubepods/pod{uid}"),
        other => format!("{below}/kubepods/{}/pod{uid}", other.to_lowercase()),
    }
}

/// The log of a container that was never restarted.
pub(super) fn log(logs: &str, namespace: &str, pod: &str, uid: &str, container: &str) -> String {
    format!("{logs}/{namespace}_{pod}_{uid}/{container}/0.log")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn seen(status: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "x-a", "uid": "u-1"}, "status": status})).unwrap()
    }

    fn container(state: Value) -> Value {
        json!({"name": "x", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
               "containerID": "containerd://abc", "state": state})
    }

    #[test]
    fn a_pod_runs_when_its_container_does_and_it_has_an_address() {
        let running_state = container(json!({"running": {}}));
        let pod = seen(json!({"podIP": "10.99.2.9", "qosClass": "Burstable", "containerStatuses": [running_state]}));
        let found = running(Some(&pod)).unwrap().unwrap();
        assert_eq!((found.id.as_str(), found.address, found.uid.as_str()), ("abc", Ipv4Addr::new(10, 99, 2, 9), "u-1"));
        assert_eq!(group("/podferry", &found.uid, &found.quality, false), "/podferry/kubepods/burstable/podu-1");
        assert_eq!(group("/podferry", "u", "Guaranteed", false), "/podferry/kubepods/podu");
        assert_eq!(
            group("/kubelet", &found.uid, &found.quality, true),
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podu_1.slice"
        );
        assert_eq!(
            group("", "u-1", "Burstable", true),
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podu_1.slice"
        );
        assert_eq!(group("", "u", "Guaranteed", false), "/kubepods/podu");
        assert_eq!(
            group("/kubelet", "u", "Guaranteed", true),
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podu.slice"
        );
        assert_eq!(group("/", "u", "BestEffort", false), "/kubepods/besteffort/podu");
        assert_eq!(
            group("/", "u-1", "BestEffort", true),
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podu_1.slice"
        );
        let without = seen(json!({"containerStatuses": [container(json!({"running": {}}))]}));
        assert_eq!(running(Some(&without)).unwrap(), None);
        assert_eq!(running(Some(&seen(json!({})))).unwrap(), None);
    }

    #[rstest]
    #[case(json!({"waiting": {"reason": "ContainerCreating"}}), None)]
    #[case(json!({}), None)]
    #[case(json!({"waiting": {"reason": "ErrImageNeverPull", "message": "no such image"}}),
           Some("ErrImageNeverPull: no such image"))]
    #[case(json!({"terminated": {"exitCode": 128, "reason": "StartError", "message": "criu failed"}}),
           Some("StartError: exit code 128: criu failed"))]
    fn a_container_waits_or_never_will_run(#[case] state: Value, #[case] never: Option<&str>) {
        let pod = seen(json!({"podIP": "10.99.2.9", "containerStatuses": [container(state)]}));
        assert_eq!(running(Some(&pod)).map(|found| assert_eq!(found, None)).err().as_deref(), never);
    }

    #[test]
    fn a_pod_that_is_gone_never_will_run() {
        assert_eq!(running(None).unwrap_err(), "its pod is gone");
        let evicted = seen(json!({"phase": "Failed", "reason": "Evicted", "message": "no memory"}));
        assert_eq!(running(Some(&evicted)).unwrap_err(), "Evicted: no memory");
    }
}
