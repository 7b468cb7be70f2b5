//! What a minikube cluster's nodes are made of, and whether what is said of one goes together.

use super::gathered::{Asked, Gathered, gather, tag};
use super::{Stack, refusal, usage};
use crate::cli::args::{MinikubeArgs, StackArgs};
use crate::cli::run::Refusal;
use crate::component::{self, Cache, NodeImageSpec, Progress};
use crate::provider::containers::PROGRAMS;
use crate::provider::minikube::{CRICTL, Parts, usable};
use crate::record::ComponentRecord;
use std::path::PathBuf;

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

/// Gets and builds all of it; what the user gives takes its place.
pub(super) async fn prepare(
    stack: &Stack,
    args: &StackArgs,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Minikube, Refusal> {
    let packages = NodeImageSpec::listed("fixtures/node/minikube.packages", "minikube", PACKAGES);
    let programs = [&PROGRAMS[..], &[CRICTL]].concat();
    let asked = Asked { maker: "minikube", programs: &programs, packages, base: args.minikube.image.as_ref() };
    let Gathered { maker, mut pieces, components } = gather(stack, asked, cache, progress).await?;
    let kicbase = component::sources("minikube").await.map_err(refusal)?.join("deploy/kicbase");
    // A kubelet of the user's own in a cluster that minikube chooses the version of has that version's place.
    let own = components.iter().find(|c| c.name == "kubelet").map(|c| tag(&c.version));
    pieces.version = pieces.version.or_else(|| args.kubernetes.clone()).or(own);
    let (kubernetes, cni) = (pieces.version.clone(), args.minikube.cni.clone());
    Ok(Minikube { program: maker, parts: Parts { pieces, kicbase }, kubernetes, cni, components })
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
