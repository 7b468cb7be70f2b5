//! Nodes without a bed: for who tests an engine by itself.

use super::{Failed, Setup, TestBed, thread};
use crate::cli::launch::Launch;
use crate::provider::Provider;
use std::path::Path;
use std::sync::Arc;

/// What makes nodes as `podferry run` does.
pub struct Nodes {
    provider: Arc<dyn Provider>,
    launch: Launch,
}

impl Nodes {
    /// By these arguments of `podferry run`, parted by spaces: `--provider kind`. The nodes are made when they are asked for;
    /// they may have these names.
    ///
    /// # Errors
    /// The arguments are not understood, or the host lacks something, or what the nodes are made of can't be had.
    pub async fn by(args: &str, names: &[&str]) -> Result<Nodes, Failed> {
        let setup: Setup = TestBed::setup().nodes(names.iter().copied());
        let mut launch = thread::launch(&setup.decided_by(args)?).await?;
        let ground = std::mem::take(&mut launch.grounds).into_iter().next().expect("one lane on one image");
        Ok(Nodes { provider: ground.provider, launch })
    }

    /// Makes them, and takes them down.
    pub fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider)
    }

    /// The run's folder: a cluster's kubeconfig and logs are in it.
    pub fn folder(&self) -> &Path {
        &self.launch.dir
    }

    /// Removes what is left on the host of nodes that were taken down.
    pub fn close(&self) {
        self.launch.close();
    }
}
