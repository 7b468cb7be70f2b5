//! Which nodes of the cluster are used, and as what.

use super::failure;
use crate::cluster::Api;
use crate::record::Failure;
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use std::net::Ipv4Addr;

/// A node that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Worker {
    /// Its name in scenarios.
    pub(super) name: String,
    /// Its name in the cluster.
    pub(super) known_as: String,
    pub(super) address: Ipv4Addr,
    /// The range that its pods' addresses are of; unspecified where the network gives none by node.
    pub(super) pod_network: Ipv4Addr,
}

/// What was chosen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) workers: Vec<Worker>,
    /// A node that is none of them, for clients.
    pub(super) outside: Option<Worker>,
}

/// What the node for clients is called.
const OUTSIDE: &str = "clients";

/// Chooses: the named ones in their order, or the first that are fit by name.
pub(super) async fn choose(client: &kube::Client, named: &[String], wanted: &[String]) -> Result<Chosen, Failure> {
    let nodes: Api<Node> = Api::all(client.clone());
    let listed = nodes.list(&ListParams::default()).await.map_err(|e| failure("can't list the cluster's nodes", &e))?;
    chosen(&listed.items, named, wanted).map_err(Failure::surroundings)
}

fn chosen(all: &[Node], named: &[String], wanted: &[String]) -> Result<Chosen, String> {
    let called = |node: &Node| node.metadata.name.clone().unwrap_or_default();
    let mut fit: Vec<&Node> = all.iter().filter(|node| unfit(node).is_none()).collect();
    fit.sort_by_key(|node| called(node));
    let mut use_these: Vec<&Node> = Vec::new();
    for name in named {
        let found = all.iter().find(|node| called(node) == *name);
        let node = found.ok_or_else(|| format!("the cluster has no node {name}"))?;
        if let Some(why) = hopeless(node) {
            return Err(format!("node {name} can't be used: {why}"));
        }
        use_these.push(node);
    }
    if named.is_empty() {
        use_these.clone_from(&fit);
    }
    if use_these.len() < wanted.len() {
        let why: Vec<String> =
            all.iter().filter_map(|node| unfit(node).map(|why| format!("{}: {why}", called(node)))).collect();
        let why = if why.is_empty() || !named.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
        return Err(format!(
            "the scenarios need {} nodes, {}, and there are {} to use{why}",
            wanted.len(),
            wanted.join(", "),
            use_these.len()
        ));
    }
    let workers =
        wanted.iter().zip(&use_these).map(|(name, node)| worker(name, node)).collect::<Result<Vec<_>, _>>()?;
    let taken = |node: &&&Node| !workers.iter().any(|worker| worker.known_as == called(node));
    let outside = match named.is_empty() {
        true => fit.iter().find(taken),
        // Of those that were named and that no scenario needs: no other may be touched.
        false => use_these.iter().find(taken),
    };
    let outside = outside.map(|node| worker(OUTSIDE, node)).transpose()?;
    Ok(Chosen { workers, outside })
}

/// Why no pod of podferry's would run on a node, whoever asks for it.
fn hopeless(node: &Node) -> Option<String> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let label = |key: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
    let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
    let runtime = info.map(|info| info.container_runtime_version.as_str()).unwrap_or_default();
    let arch = info.map(|info| info.architecture.as_str()).unwrap_or_default();
    let own = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    match () {
        () if !ready => Some("it is not ready".to_owned()),
        () if label("kubernetes.io/hostname") != Some(name) => {
            Some("its label kubernetes.io/hostname is not its name, by which podferry's pods would find it".to_owned())
        }
        () if !runtime.starts_with("containerd://") => Some(format!("its runtime is {runtime}, not containerd")),
        () if arch != own => Some(format!("it is {arch}, and this podferry is {own}")),
        () => None,
    }
}

/// Why a node is not used unless it is named.
fn unfit(node: &Node) -> Option<String> {
    let spec = node.spec.as_ref();
    let taints = spec.and_then(|spec| spec.taints.as_ref()).into_iter().flatten();
    let mut taints = taints.filter(|taint| taint.effect != "PreferNoSchedule");
    let tainted = taints.next().map(|taint| format!("it has the taint {}", taint.key));
    let cordoned = spec.and_then(|spec| spec.unschedulable).unwrap_or_default().then(|| "it is cordoned".to_owned());
    hopeless(node).or(cordoned).or(tainted)
}

fn worker(name: &str, node: &Node) -> Result<Worker, String> {
    let known_as = node.metadata.name.clone().unwrap_or_default();
    let addresses = node.status.as_ref().and_then(|status| status.addresses.as_ref()).into_iter().flatten();
    let mut internal = addresses.filter(|address| address.type_ == "InternalIP");
    let address = internal.find_map(|address| address.address.parse().ok());
    let range = node.spec.as_ref().and_then(|spec| spec.pod_cidr.as_deref()?.split('/').next()?.parse().ok());
    let address = address.ok_or_else(|| format!("node {known_as} has no address of IPv4"))?;
    Ok(Worker { name: name.to_owned(), known_as, address, pod_network: range.unwrap_or(Ipv4Addr::UNSPECIFIED) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn node(name: &str, change: impl FnOnce(&mut Value)) -> Node {
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let mut node = json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "spec": {"podCIDR": "10.244.1.0/24"},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "10.0.0.7"}],
                "nodeInfo": {
                    "architecture": arch, "bootID": "", "containerRuntimeVersion": "containerd://2.1.9",
                    "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "",
                    "operatingSystem": "", "osImage": "", "systemUUID": "",
                },
            },
        });
        change(&mut node);
        serde_json::from_value(node).unwrap()
    }

    fn names(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn the_first_fit_nodes_are_taken_and_one_more_for_clients() {
        let tainted = |n: &mut Value| n["spec"]["taints"] = json!([{"key": "control-plane", "effect": "NoSchedule"}]);
        let down = |n: &mut Value| n["status"]["conditions"][0]["status"] = json!("False");
        let all = [node("n0", tainted), node("n3", |_| ()), node("n1", |_| ()), node("n2", |_| ()), node("n4", down)];
        let two = chosen(&all, &[], &names(&["a", "b"])).unwrap();
        let known: Vec<_> = two.workers.iter().map(|w| (w.name.as_str(), w.known_as.as_str())).collect();
        assert_eq!(known, [("a", "n1"), ("b", "n2")]);
        assert_eq!(two.outside.map(|w| w.known_as).as_deref(), Some("n3"));
        let why = chosen(&all, &[], &names(&["a", "b", "c", "d"])).unwrap_err();
        assert_eq!(
            why,
            "the scenarios need 4 nodes, a, b, c, d, and there are 3 to use \
             (n0: it has the taint control-plane; n4: it is not ready)"
        );
    }

    #[test]
    fn nodes_that_are_named_are_taken_in_that_order_and_no_other() {
        let tainted = |n: &mut Value| n["spec"]["taints"] = json!([{"key": "x", "effect": "NoSchedule"}]);
        let all = [node("n0", tainted), node("n1", |_| ()), node("n2", |_| ())];
        let two = chosen(&all, &names(&["n2", "n0"]), &names(&["a", "b"])).unwrap();
        let known: Vec<_> = two.workers.iter().map(|w| w.known_as.as_str()).collect();
        assert_eq!((known, two.outside), (vec!["n2", "n0"], None));
        assert_eq!(chosen(&all, &names(&["n9"]), &names(&["a"])).unwrap_err(), "the cluster has no node n9");
        assert!(chosen(&all, &names(&["n1"]), &names(&["a", "b"])).unwrap_err().ends_with("there are 1 to use"));
        let crio = node("n5", |n| n["status"]["nodeInfo"]["containerRuntimeVersion"] = json!("cri-o://1.36.0"));
        let why = chosen(&[crio], &names(&["n5"]), &names(&["a"])).unwrap_err();
        assert_eq!(why, "node n5 can't be used: its runtime is cri-o://1.36.0, not containerd");
    }
}
