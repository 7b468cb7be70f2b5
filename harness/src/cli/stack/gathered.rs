//! What the nodes of a cluster are made of that podferry has made of packages and programs, by whichever program.

use super::{Stack, refusal, usage};
use crate::cli::run::Refusal;
use crate::component::{self, Cache, NodeImageSpec, Progress, Wanted};
use crate::provider::containers::{PLUGINS, PROGRAMS, Pieces};
use crate::provider::minikube::CRICTL;
use crate::record::ComponentRecord;
use std::path::PathBuf;
use std::sync::Arc;

/// What is to be gathered.
pub(super) struct Asked<'a> {
    /// The program that makes the cluster, as the component is called.
    pub(super) maker: &'a str,
    /// The programs of its nodes.
    pub(super) programs: &'a [&'a str],
    /// The packages of a node, if the image is to be podferry's own.
    pub(super) packages: NodeImageSpec,
    /// An image of the maker's own.
    pub(super) base: Option<&'a String>,
}

/// It.
pub(super) struct Gathered {
    /// The program that makes the cluster.
    pub(super) maker: PathBuf,
    pub(super) pieces: Pieces,
    /// What is recorded of each node.
    pub(super) components: Vec<ComponentRecord>,
}

/// The programs that take the place of those of any base.
const OURS: [&str; 3] = ["containerd", "containerd-shim-runc-v2", "ctr"];

/// The programs that are to be of one version with the API server, and are not built with it.
const OF_KUBERNETES: [&str; 3] = ["kubeadm", "kubectl", "kube-proxy"];

/// The components that are taken from the packages of the stack's own node image.
const OF_IMAGE: [&str; 2] = ["runc", "criu"];

/// Gets and builds all of it; what the user gives takes its place.
pub(super) async fn gather(
    stack: &Stack,
    asked: Asked<'_>,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Gathered, Refusal> {
    let Asked { maker, programs: wanted, packages, base } = asked;
    let root = match base {
        None => Some(Arc::new(component::node_image(&packages, cache, progress).await.map_err(refusal)?)),
        // It has its own packages.
        Some(_) => None,
    };
    let given = stack.overrides.iter().map(|o| (&o.record, &o.bind.host));
    let of_cluster = stack.programs.iter().map(|built| (&built.record, &built.path));
    let all = || given.clone().chain(of_cluster.clone());
    let mut programs: std::collections::BTreeMap<_, _> =
        all().map(|(record, path)| (record.name.clone(), path.clone())).collect();
    let mut components: Vec<ComponentRecord> = all().map(|(record, _)| record.clone()).collect();
    let version = components.iter().find(|c| c.name == "kube-apiserver").map(|c| tag(&c.version));
    for name in wanted.iter().chain(&[maker]) {
        let theirs = base.is_some() && !OURS.contains(name) && *name != maker;
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
    let maker = programs.remove(maker).expect("it was built above");
    let key = component::short_digest(&(base, root.as_ref().map(|root| &root.key), &stack.image.key, &components));
    let stack = stack.image.rootfs.clone();
    let pieces = Pieces { key, root, stack, programs, version, base: base.cloned() };
    Ok(Gathered { maker, pieces, components })
}

/// Whether each component that the user gives has a place in a cluster of this maker's: what is given is what is tested, or it is
/// told.
pub(super) fn has_place(components: &[String], maker: &str) -> Result<(), Refusal> {
    // dockerd runs in podferry's own node, where there is one.
    let mut places = [&PROGRAMS[..], &OF_IMAGE, &PLUGINS, &[maker, "dockerd"]].concat();
    if maker == "minikube" {
        places.push(CRICTL);
    }
    let names = || components.iter().filter_map(|component| component.split_once('=')).map(|(name, _)| name);
    match names().find(|name| !places.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let hint = format!("one of {}", places.join(", "));
            Err(usage(format!("component {name} has no place in a {maker} cluster"), Some(hint)))
        }
    }
}

/// A version as Kubernetes has it in its tags: `v1.36.3`.
pub(super) fn tag(version: &str) -> String {
    format!("v{}", version.trim_start_matches('v'))
}
