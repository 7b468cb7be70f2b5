//! What a kind cluster's nodes are made of.

use super::gathered::{Asked, Gathered, gather};
use super::{Stack, refusal};
use crate::cli::args::KindArgs;
use crate::cli::run::Refusal;
use crate::component::{self, Cache, NodeImageSpec, Progress};
use crate::provider::containers::PROGRAMS;
use crate::provider::kind::Parts;
use crate::record::ComponentRecord;
use std::path::PathBuf;

/// The packages of a kind node.
const PACKAGES: &str = include_str!("../../../../fixtures/node/kind.packages");

/// kind, and what its nodes are made of.
pub(crate) struct Kind {
    pub(crate) program: PathBuf,
    pub(crate) parts: Parts,
    /// What is recorded of each node.
    pub(crate) components: Vec<ComponentRecord>,
}

impl KindArgs {
    /// The option by which clusters are to outlive a run, if one is given.
    pub(super) fn outlives(&self) -> Option<&'static str> {
        let options = [(self.keep_on_failure, "--keep-on-failure"), (self.reuse, "--reuse")];
        options.into_iter().find(|(given, _)| *given).map(|(_, name)| name)
    }
}

/// Gets and builds all of it; what the user gives takes its place.
pub(super) async fn prepare(
    stack: &Stack,
    base: Option<&String>,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Kind, Refusal> {
    let packages = NodeImageSpec::listed("fixtures/node/kind.packages", "kind", PACKAGES);
    let asked = Asked { maker: "kind", programs: &PROGRAMS, packages, base };
    let Gathered { maker, pieces, components } = gather(stack, asked, cache, progress).await?;
    let kind_files = component::sources("kind").await.map_err(refusal)?.join("images/base/files");
    Ok(Kind { program: maker, parts: Parts { pieces, kind_files }, components })
}
