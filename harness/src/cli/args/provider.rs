//! What makes nodes, and what is special to one of them.

use crate::record::EngineKind;
use clap::Args as ClapArgs;

/// What makes nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ProviderArg {
    /// Namespaces on this machine
    #[default]
    Local,
    /// Containers of a kind cluster, in a dockerd of podferry's own; only for the engine kubelet
    Kind,
    /// Containers of a minikube cluster, in a dockerd of podferry's own; only for the engine kubelet
    Minikube,
    /// Nodes of a cluster that is there already (--kubeconfig, --context); only for the engine kubelet
    Existing,
}

impl ProviderArg {
    /// The engines that are meant on its nodes where none is named.
    pub(crate) fn engines(self) -> &'static [EngineKind] {
        match self {
            ProviderArg::Local => &[EngineKind::Cri, EngineKind::Runc],
            ProviderArg::Kind | ProviderArg::Minikube | ProviderArg::Existing => &[EngineKind::Kubelet],
        }
    }

    /// The cluster of somebody else's program that its nodes belong to, if they do, and why they can't be broken then.
    pub(crate) fn foreign(self) -> Option<(&'static str, &'static str)> {
        match self {
            ProviderArg::Local => None,
            ProviderArg::Kind => Some(("kind", crate::provider::kind::FOREIGN)),
            ProviderArg::Minikube => Some(("minikube", crate::provider::minikube::FOREIGN)),
            ProviderArg::Existing => Some(("existing", crate::provider::existing::FOREIGN)),
        }
    }
}

/// What is special to a minikube cluster.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct MinikubeArgs {
    /// A base image of minikube's, gcr.io/k8s-minikube/kicbase:v0.0.50, that containerd, runc and CRIU are laid over; without,
    /// podferry makes one of packages and sources
    #[arg(id = "base_image", long = "base-image", value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// The pods' network that minikube is to make over its own base image: cilium, calico, a manifest, ...; without, minikube
    /// chooses
    #[arg(long = "cni", value_name = "CNI")]
    pub(crate) cni: Option<String>,
    /// minikube's driver: docker alone makes nodes that containers can be checkpointed on
    #[arg(id = "minikube_driver", long = "driver", value_name = "DRIVER")]
    pub(crate) driver: Option<String>,
}

impl MinikubeArgs {
    /// The first option of it that is given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let image = self.image.as_ref().map(|_| "--base-image");
        image.or(self.cni.as_ref().map(|_| "--cni")).or(self.driver.as_ref().map(|_| "--driver"))
    }
}
