//! What a minikube cluster's nodes are made of, and whether what is said of one goes together.

use super::{Stack, refusal, usage};
use crate::cli::args::{MinikubeArgs, StackArgs};
use crate::cli::run::Refusal;
use crate::component::{self, Cache, NodeImageSpec, Progress, Wanted};
use crate::provider::minikube::{PROGRAMS, Parts, usable};
use crate::record::ComponentRecord;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The packages of a minikube node.
const PACKAGES: &str = include_str!("../../../../fixtures/node/minikube.packages");

/// minikube, and what its nodes are made of.
pub(crate) struct Minikube {
    pub(crate) program: PathBuf,
    pub(crate) parts: Parts,
    /// The version of Kubernetes that minikube is told.
    pub(crate) kubernetes: Option<String>,
    pub(crate) cni: Option<String>,
    /// What is recorded of each node.
    pub(crate) components: Vec<ComponentRecord>,
}

/// The programs that take the place of those of any base image.
const OURS: [&str; 3] = ["containerd", "containerd-shim-runc-v2", "ctr"];

/// The programs that are to be of one version with the API server, and are not built with it.
const OF_KUBERNETES: [&str; 3] = ["kubeadm", "kubectl", "kube-proxy"];

/// The components that are taken from the packages of the stack's own node image.
const OF_IMAGE: [&str; 2] = ["runc", "criu"];

/// Gets and builds all of it; what the user gives takes its place.
pub(super) async fn prepare(
    stack: &Stack,
    args: &StackArgs,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Minikube, Refusal> {
    let base = args.minikube.image.as_ref();
    let root = match base {
        None => {
            let spec = NodeImageSpec::listed("fixtures/node/minikube.packages", "minikube", PACKAGES);
            Some(Arc::new(component::node_image(&spec, cache, progress).await.map_err(refusal)?))
        }
        // A base image of minikube's has its own packages.
        Some(_) => None,
    };
    let given = stack.overrides.iter().map(|o| (&o.record, &o.bind.host));
    let of_cluster = stack.programs.iter().map(|built| (&built.record, &built.path));
    let mut programs = BTreeMap::new();
    let mut components = Vec::new();
    for (record, path) in given.chain(of_cluster) {
        programs.insert(record.name.clone(), path.clone());
        components.push(record.clone());
    }
    let tag = |version: &str| format!("v{}", version.trim_start_matches('v'));
    let of_api = components.iter().find(|c| c.name == "kube-apiserver").map(|c| tag(&c.version));
    for name in PROGRAMS.iter().chain(&["minikube"]) {
        let theirs = base.is_some() && !OURS.contains(name) && *name != "minikube";
        if theirs || programs.contains_key(*name) {
            continue;
        }
        // Of one version with the API server; the others have versions of their own.
        let of_cluster = OF_KUBERNETES.contains(name).then(|| of_api.clone()).flatten();
        let wanted = Wanted { version: of_cluster, ..Wanted::named(name) };
        let built = component::build(&wanted, cache, progress).await.map_err(refusal)?;
        programs.insert((*name).to_owned(), built.path);
        components.push(built.record);
    }
    let of_image = stack.image.components.iter().filter(|c| OF_IMAGE.contains(&c.name.as_str()));
    let missing: Vec<_> = of_image.filter(|c| !programs.contains_key(&c.name)).cloned().collect();
    components.extend(missing);
    components.sort_by(|a, b| a.name.cmp(&b.name));
    let program = programs.remove("minikube").expect("it was built above");
    let kicbase = component::sources("minikube").await.map_err(refusal)?.join("deploy/kicbase");
    // A kubelet of the user's own in a cluster that minikube chooses the version of has that version's place.
    let own = components.iter().find(|c| c.name == "kubelet").map(|c| tag(&c.version));
    let kubernetes = of_api.or_else(|| args.kubernetes.clone()).or(own);
    let key = component::short_digest(&(base, root.as_ref().map(|root| &root.key), &stack.image.key, &components));
    let parts = Parts {
        base: base.cloned(),
        key,
        root: root.as_ref().map(|root| root.rootfs.clone()).unwrap_or_default(),
        stack: stack.image.rootfs.clone(),
        kicbase,
        programs,
        version: kubernetes.clone(),
        held: root,
    };
    Ok(Minikube { program, parts, kubernetes, cni: args.minikube.cni.clone(), components })
}

/// Whether what is said of a minikube cluster goes together, and can be had.
pub(super) fn fits(args: &MinikubeArgs) -> Result<(), Refusal> {
    if let Some(driver) = &args.driver
        && let Err(why) = usable(driver)
    {
        let hint = Some("leave --driver out: podferry has minikube use its docker driver".to_owned());
        return Err(usage(format!("nothing can be tested on minikube's driver {driver}: {why}"), hint));
    }
    if args.cni.is_some() && args.image.is_none() {
        let hint =
            "add `--base-image gcr.io/k8s-minikube/kicbase:v0.0.50`, where a registry is reached, or leave --cni out";
        let message =
            "--cni is said of a base image of minikube's: over podferry's own, podferry makes the pods' network";
        return Err(usage(message.to_owned(), Some(hint.to_owned())));
    }
    Ok(())
}

/// The arguments of it, each with a space before it.
pub(super) fn words(args: &MinikubeArgs) -> impl Iterator<Item = String> {
    let image = args.image.iter().map(|image| format!(" --base-image {image}"));
    let cni = args.cni.iter().map(|cni| format!(" --cni {cni}"));
    image
        .chain(cni)
        .chain(args.driver.iter().map(|driver| format!(" --driver {driver}")))
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_told_before_minikube_is_started() {
        let told = |args: MinikubeArgs| fits(&args).err().map(|refusal| refusal.failure.message);
        assert_eq!(told(MinikubeArgs::default()), None);
        let of = |driver: &str| MinikubeArgs { driver: Some(driver.to_owned()), ..MinikubeArgs::default() };
        assert_eq!(told(of("docker")), None);
        assert!(told(of("kvm2")).unwrap().contains("CONFIG_CHECKPOINT_RESTORE"));
        let cni = MinikubeArgs { cni: Some("cilium".to_owned()), ..MinikubeArgs::default() };
        assert!(told(cni.clone()).unwrap().starts_with("--cni is said of a base image of minikube's"));
        let both = MinikubeArgs { image: Some("kicbase:1".to_owned()), ..cni };
        assert_eq!(told(both.clone()), None);
        assert_eq!(words(&both).collect::<String>(), " --base-image kicbase:1 --cni cilium");
    }
}
