//! What a kind cluster's nodes are made of.

use super::{Stack, refusal};
use crate::cli::args::KindArgs;
use crate::cli::run::Refusal;
use crate::component::{self, Cache, NodeImageSpec, Progress, Wanted};
use crate::provider::kind::{PROGRAMS, Parts};
use crate::record::ComponentRecord;
use std::collections::BTreeMap;
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

/// The programs that take the place of those of any node image.
const OURS: [&str; 4] = ["containerd", "containerd-shim-runc-v2", "ctr", "kind"];

/// The programs that are to be of one version with the API server, and are not built with it.
const OF_KUBERNETES: [&str; 3] = ["kubeadm", "kubectl", "kube-proxy"];

/// The components that are taken from the packages of the stack's own node image.
const OF_IMAGE: [&str; 2] = ["runc", "criu"];

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
    let spec = NodeImageSpec::listed("fixtures/node/kind.packages", "kind", PACKAGES);
    let root = component::node_image(&spec, cache, progress).await.map_err(refusal)?;
    let given = stack.overrides.iter().map(|o| (&o.record, &o.bind.host));
    let of_cluster = stack.programs.iter().map(|built| (&built.record, &built.path));
    let mut programs = BTreeMap::new();
    let mut components = Vec::new();
    for (record, path) in given.chain(of_cluster) {
        programs.insert(record.name.clone(), path.clone());
        components.push(record.clone());
    }
    let version = components
        .iter()
        .find(|c| c.name == "kube-apiserver")
        .map(|c| format!("v{}", c.version.trim_start_matches('v')));
    for name in PROGRAMS.iter().chain(&["kind"]) {
        // A node image of kind's has its own programs of Kubernetes.
        let theirs = base.is_some() && !OURS.contains(name);
        if theirs || programs.contains_key(*name) {
            continue;
        }
        // Of one version with the API server; the others have versions of their own.
        let of_cluster = OF_KUBERNETES.contains(name).then(|| version.clone()).flatten();
        let wanted = Wanted { version: of_cluster, ..Wanted::named(name) };
        let built = component::build(&wanted, cache, progress).await.map_err(refusal)?;
        programs.insert((*name).to_owned(), built.path);
        components.push(built.record);
    }
    let of_image = stack.image.components.iter().filter(|c| OF_IMAGE.contains(&c.name.as_str()));
    let missing: Vec<_> = of_image.filter(|c| !programs.contains_key(&c.name)).cloned().collect();
    components.extend(missing);
    components.sort_by(|a, b| a.name.cmp(&b.name));
    let program = programs.remove("kind").expect("it was built above");
    let files = component::sources("kind").await.map_err(refusal)?.join("images/base/files");
    let key = component::short_digest(&(base, &root.key, &stack.image.key, &components));
    let parts = Parts {
        base: base.cloned(),
        key,
        root: root.rootfs.clone(),
        stack: stack.image.rootfs.clone(),
        kind_files: files,
        programs,
        version: version.unwrap_or_default(),
        held: std::sync::Arc::new(root),
    };
    Ok(Kind { program, parts, components })
}
