//! The command lines of minikube. Pure.

/// A cluster that minikube is to make.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// What its nodes' names begin with.
    pub profile: &'a str,
    /// The image of its nodes, which is there.
    pub image: &'a str,
    /// The control plane's node among them.
    pub nodes: usize,
    /// `v1.36.3`, or what else minikube takes; `None`: minikube chooses.
    pub kubernetes: Option<&'a str>,
    /// The pods' network.
    pub network: Network<'a>,
    /// Whether the programs of Kubernetes are in minikube's cache: it must not unpack a bundle with others of its own.
    pub cached: bool,
}

/// Who gives pods their network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network<'a> {
    /// podferry: the images of no other are to be had. minikube must not wait for nodes to be ready then, and its addons, whose
    /// images are not to be had either, are left out.
    Podferry,
    /// minikube, by its own choice.
    Minikube,
    /// minikube: `cilium`, or a manifest.
    Named(&'a str),
}

/// The command line that makes a cluster, without the program (minikube 1.38.1).
pub fn start(start: &Start<'_>) -> Vec<String> {
    let mut args = vec![
        "start".to_owned(),
        format!("--profile={}", start.profile),
        "--driver=docker".to_owned(),
        "--container-runtime=containerd".to_owned(),
        format!("--nodes={}", start.nodes),
        format!("--base-image={}", start.image),
        // It refuses to be run by root otherwise, and versions of Kubernetes that it does not know.
        "--force".to_owned(),
        "--interactive=false".to_owned(),
        "--delete-on-failure=false".to_owned(),
        // Of the machine's; by default each node would get a share that it computes.
        "--cpus=no-limit".to_owned(),
        "--memory=no-limit".to_owned(),
        // Who lacks CAP_SYS_RESOURCE can't lower the score.
        "--extra-config=kubelet.oom-score-adj=0".to_owned(),
    ];
    args.extend(start.kubernetes.map(|version| format!("--kubernetes-version={version}")));
    args.extend(start.kubernetes.filter(|version| gate_is_off(version)).map(|_| GATE.to_owned()));
    if start.cached {
        args.push("--preload=false".to_owned());
    }
    match start.network {
        Network::Podferry => args.extend(
            [
                "--cni=false",
                "--wait=apiserver",
                "--cache-images=false",
                "--install-addons=false",
                // The only mode that podferry's image of kube-proxy has the programs for.
                "--extra-config=kube-proxy.mode=nftables",
            ]
            .map(str::to_owned),
        ),
        Network::Minikube => args.push("--wait=all".to_owned()),
        Network::Named(cni) => args.extend([format!("--cni={cni}"), "--wait=all".to_owned()]),
    }
    args
}

const GATE: &str = "--feature-gates=ContainerCheckpoint=true";

/// Whether a kubelet of this version serves checkpoints only if its gate is switched on: up to 1.29.
fn gate_is_off(version: &str) -> bool {
    let minor = version.trim_start_matches('v').split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    minor.is_some_and(|minor| minor < 30)
}

/// The command line that removes a cluster.
pub fn delete(profile: &str) -> Vec<String> {
    vec!["delete".to_owned(), format!("--profile={profile}")]
}

/// What minikube calls the nodes of a cluster: the control plane, or the worker of this number from 0.
pub(super) fn known_as(profile: &str, worker: Option<usize>) -> String {
    worker.map_or_else(|| profile.to_owned(), |n| format!("{profile}-m{:02}", n + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Start<'static> = Start {
        profile: "podferry",
        image: "podferry/minikube-base:1",
        nodes: 3,
        kubernetes: Some("v1.36.3"),
        network: Network::Podferry,
        cached: true,
    };

    #[test]
    fn a_cluster_without_a_registry() {
        insta::assert_snapshot!(start(&START).join("\n"));
    }

    #[test]
    fn the_articles_command_with_two_workers() {
        let article = Start { network: Network::Named("cilium"), kubernetes: None, cached: false, ..START };
        let args = start(&article);
        for arg in ["--container-runtime=containerd", "--cni=cilium", "--wait=all", "--nodes=3"] {
            assert!(args.iter().any(|a| a == arg), "{arg} is missing in {args:?}");
        }
        assert!(args.iter().all(|arg| !arg.starts_with("--kubernetes-version") && !arg.starts_with("--preload")));
    }

    #[test]
    fn an_old_kubelet_is_told_to_serve_checkpoints() {
        let gates = |version| start(&Start { kubernetes: version, ..START }).iter().any(|arg| arg == GATE);
        assert!(gates(Some("v1.29.4")) && gates(Some("1.28")));
        assert!(!gates(Some("v1.30.0")) && !gates(Some("v1.36.3")) && !gates(None) && !gates(Some("stable")));
    }

    #[test]
    fn nodes_are_called_as_minikube_calls_them() {
        assert_eq!(known_as("p", None), "p");
        assert_eq!(known_as("p", Some(0)), "p-m02");
        assert_eq!(known_as("p", Some(1)), "p-m03");
    }
}
