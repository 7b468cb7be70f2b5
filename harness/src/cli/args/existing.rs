//! What is said of a cluster that is there already.

use clap::Args as ClapArgs;
use std::path::PathBuf;

/// What is special to a cluster that is there already.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct ExistingArgs {
    /// The kubeconfig for `--provider existing`; no other is looked for
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context in it; the one that it calls the current is never taken
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// A node of that cluster that may be used, in the order of the scenarios' nodes; without, those that are ready and have no
    /// taint, by name
    #[arg(long = "node", value_name = "NAME")]
    pub(crate) nodes: Vec<String>,
    /// The image of the agent, if its nodes have it by another name than `podferry agent-image` gave it
    #[arg(long = "agent-image", value_name = "IMAGE")]
    pub(crate) agent_image: Option<String>,
}

impl ExistingArgs {
    /// Whether such a cluster is named.
    pub(crate) fn named(&self) -> bool {
        self.kubeconfig.is_some()
    }
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct AgentImageArgs {
    /// The file, an OCI archive
    #[arg(long, value_name = "FILE", default_value = "agent.tar")]
    pub(crate) out: PathBuf,
}
