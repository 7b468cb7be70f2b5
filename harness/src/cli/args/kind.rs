//! What is said of a kind cluster.

use clap::Args as ClapArgs;
use std::path::PathBuf;

/// What is special to a kind cluster.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct KindArgs {
    /// The socket of a dockerd of yours for `--provider kind` or `minikube`: /var/run/docker.sock; without, podferry starts one
    /// in a node of its own
    #[arg(long = "docker", value_name = "SOCKET")]
    pub(crate) docker: Option<PathBuf>,
    /// A node image of kind's, kindest/node:v1.36.1, that containerd, runc and CRIU are laid over; without, podferry makes one of
    /// packages and sources
    #[arg(long = "kind-image", value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// Under --docker: leave the first cluster on which a case does not pass as it is, to look at; `podferry clean` removes it
    #[arg(long)]
    pub(crate) keep_on_failure: bool,
    /// Under --docker: take over the cluster that an earlier run left, if it is alike, and leave one for the next
    #[arg(long)]
    pub(crate) reuse: bool,
}
