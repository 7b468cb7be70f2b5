//! The stack under test, as the command line names it: node image and binaries of the user's own.

mod existing;
mod gathered;
mod kind;
mod minikube;
#[cfg(test)]
mod tests;

use super::args::{DEFAULT_NODE_IMAGE, ImageArgs, ProviderArg, StackArgs};
use super::run::Refusal;
use crate::cluster;
use crate::component::{
    self, Built, Cache, ComponentError, Fault, NodeImage, NodeImageSpec, Origin, Override, OverrideError, OwnProgram,
    Progress, Resolved, Wanted,
};
use crate::doctor;
use crate::engine;
use crate::ledger::Ledger;
use crate::record::{Chain, ComponentRecord, EngineKind, ErrorClass, Failure, Given};
use crate::run::{self, Exit};
use crate::scenario::plan::{Case, HostTrait};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) use kind::Kind;
pub(super) use minikube::Minikube;

/// What runs on the nodes.
pub(super) struct Stack {
    pub(super) image: NodeImage,
    pub(super) cache: Cache,
    overrides: Vec<Resolved>,
    /// The programs of a Kubernetes cluster, if there is to be one.
    programs: Vec<Built>,
    /// What the nodes of a kind cluster are made of, if there is to be one.
    pub(super) kind: Option<Kind>,
    /// The same of a minikube cluster.
    pub(super) minikube: Option<Minikube>,
    /// Whether its nodes are those of a cluster that is there already.
    joined: bool,
}

impl Stack {
    /// Files of the host that cover files of the nodes.
    pub(super) fn binds(&self) -> Vec<(PathBuf, PathBuf)> {
        self.overrides.iter().map(|o| (o.bind.host.clone(), o.bind.inside.clone())).collect()
    }

    /// Whether the nodes are to join a Kubernetes cluster.
    pub(super) fn kubernetes(&self) -> bool {
        self.kind.is_some() || self.minikube.is_some() || self.joined || !self.programs.is_empty()
    }

    /// Programs of the host that the nodes see beside their own.
    pub(super) fn programs(&self) -> Vec<(PathBuf, PathBuf)> {
        let inside = |name: &str| PathBuf::from(cluster::PROGRAMS).join(name);
        self.programs.iter().map(|p| (p.path.clone(), inside(&p.record.name))).collect()
    }

    /// The components with the user's own in place of the image's.
    pub(super) fn components(&self) -> Vec<ComponentRecord> {
        let own = |name: &str| self.overrides.iter().find(|o| o.record.name == name);
        let mut all: Vec<ComponentRecord> = self.overrides.iter().map(|o| o.record.clone()).collect();
        all.extend(self.image.components.iter().filter(|c| own(&c.name).is_none()).cloned());
        all.extend(self.programs.iter().map(|p| p.record.clone()));
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

/// Each stack that the arguments name, in order: each node image, with each version of a component of which several are
/// given. The name is the image's, and says of such a component which it is: `sid+containerd@v2.3.7`.
pub(super) fn variants(args: &StackArgs) -> Vec<(String, StackArgs)> {
    let one = |image: &String| StackArgs {
        images: ImageArgs { names: vec![image.clone()] },
        components: Vec::new(),
        ..args.clone()
    };
    let mut all: Vec<(String, StackArgs)> = args.images.names.iter().map(|image| (image.clone(), one(image))).collect();
    for component in &args.components {
        let each = component::alternatives(component);
        let with = |(name, args): &(String, StackArgs), component: &String| {
            let mut args = args.clone();
            args.components.push(component.clone());
            // What can't be taken is told when it is to be got.
            let got = wanted(component).ok().flatten().filter(|_| each.len() > 1);
            let label = got.map(|w| format!("+{}", w.label()));
            (format!("{name}{}", label.unwrap_or_default()), args)
        };
        all = all.iter().flat_map(|variant| each.iter().map(move |c| with(variant, c))).collect();
    }
    all
}

/// The names of the stacks that the arguments name, in order.
pub(super) fn names(args: &StackArgs) -> Vec<String> {
    variants(args).into_iter().map(|(name, _)| name).collect()
}

/// The stacks as arguments, each with a space before it and `more` behind: what runs a case again on the one that it was on.
/// By their names, if there are several.
pub(super) fn words(args: &StackArgs, more: &str) -> BTreeMap<Option<String>, String> {
    let variants = variants(args);
    let several = variants.len() > 1;
    variants.into_iter().map(|(name, one)| (several.then_some(name), one_in_words(&one) + more)).collect()
}

/// Nothing is said of the default.
fn one_in_words(args: &StackArgs) -> String {
    let image = args.images.names.iter().filter(|name| *name != DEFAULT_NODE_IMAGE);
    let provider = args.provider.foreign().map(|(name, _)| format!(" --provider {name}"));
    let docker = args.kind.docker.iter().map(|socket| format!(" --docker {}", socket.display()));
    let base = args.kind.image.iter().map(|image| format!(" --kind-image {image}"));
    image
        .map(|name| format!(" --node-image {name}"))
        .chain(provider)
        .chain(Some(existing::words(&args.existing)).filter(|words| !words.is_empty()))
        .chain(docker)
        .chain(base)
        .chain(minikube::words(&args.minikube))
        .chain(args.kubernetes.iter().map(|version| format!(" --kubernetes {version}")))
        .chain(args.components.iter().map(|c| format!(" --component {c}")))
        .collect()
}

/// Whether arguments go together: engines with the nodes that they run on, and what is said of nodes with what makes them.
/// `engines`: those that are named.
pub(super) fn fits(args: &StackArgs, engines: &[EngineKind]) -> Result<(), Refusal> {
    if args.provider == ProviderArg::Existing {
        return existing::fits(args, engines);
    }
    if let Some(option) = existing::named(&args.existing) {
        let hint = Some("add `--provider existing`".to_owned());
        return Err(usage(format!("{option} is said of an existing cluster, and there is none"), hint));
    }
    let options = [
        ("--docker", args.kind.docker.is_some(), &["kind", "minikube"][..]),
        ("--kind-image", args.kind.image.is_some(), &["kind"]),
        (args.kind.outlives().unwrap_or_default(), args.kind.outlives().is_some(), &["kind"]),
        (args.minikube.given().unwrap_or_default(), args.minikube.given().is_some(), &["minikube"]),
    ];
    let cluster = args.provider.foreign().map(|(name, _)| name);
    for (option, said, of) in options {
        if said && cluster.is_none_or(|cluster| !of.contains(&cluster)) {
            let hint = of.iter().map(|name| format!("`--provider {name}`")).collect::<Vec<_>>().join(" or ");
            let message = format!("{option} is said of a {} cluster, and there is none", of.join(" or "));
            return Err(usage(message, Some(format!("add {hint}"))));
        }
    }
    minikube::fits(&args.minikube)?;
    if let (Some(option), None) = (args.kind.outlives(), &args.kind.docker) {
        let hint = "add `--docker SOCKET`: a dockerd of yours keeps its clusters".to_owned();
        let why = "a cluster under podferry's own dockerd ends with it, and that ends with the run";
        return Err(usage(format!("{option} can't be had: {why}"), Some(hint)));
    }
    let Some(cluster) = cluster else { return Ok(()) };
    match engines.iter().find(|kind| !args.provider.engines().contains(kind)) {
        None => Ok(()),
        Some(kind) => {
            let hint = Some("leave --engine out".to_owned());
            Err(usage(format!("the engine {kind} is none of a {cluster} cluster's"), hint))
        }
    }
}

/// Why a case will be skipped, as far as that can be told before there is a node: what its engine or its scenario needs of the
/// arguments or of the host. What an engine cannot do is known when it has been asked.
pub(super) fn skip(args: &StackArgs, case: &Case) -> Option<String> {
    let given = |name: &str| args.components.iter().any(|c| c.split_once('=').is_some_and(|(n, _)| n == name));
    match case.engine.given() {
        Some(Given::Program(name)) if !given(name) => {
            return Some(format!("engine {} needs `--component {name}=PATH`", case.engine));
        }
        Some(Given::Cluster) if args.kubernetes.is_none() && args.provider == ProviderArg::Local => {
            return Some(format!("engine {} needs `--kubernetes 1.36`", case.engine));
        }
        _ => {}
    }
    if let (Some((_, whose)), Some(what)) = (args.provider.foreign(), run::breaks_nodes(case)) {
        return Some(format!("{what} on a node is not to be had: {whose}"));
    }
    let has = case.host_lacks.iter().find(|lacked| doctor::host_has(**lacked))?;
    Some(match has {
        HostTrait::CapSysResource => {
            "this host has CAP_SYS_RESOURCE, and the scenario shows what happens without".to_owned()
        }
    })
}

/// Gets each node image (made once, then cached) and tries the user's binaries in it; the stacks by their names, in order.
pub(super) async fn all(
    args: &StackArgs,
    ledger: &Arc<Ledger>,
    progress: &dyn Progress,
) -> Result<Vec<(String, Stack)>, Refusal> {
    let mut stacks: Vec<(String, Stack)> = Vec::new();
    for (name, one) in variants(args) {
        if stacks.iter().any(|(other, _)| *other == name) {
            return Err(usage(format!("the node image `{name}` is named twice"), None));
        }
        stacks.push((name, on(&one, Arc::clone(ledger), progress).await?));
    }
    Ok(stacks)
}

/// What is to be got of `--component NAME=module...` or `release...`; `None`: it is a program that is there.
fn wanted(component: &str) -> Result<Option<Wanted>, ComponentError> {
    component.split_once('=').map_or(Ok(None), |(name, value)| Wanted::parse(name, value))
}

/// Programs in the place of the nodes', and of a cluster's.
#[derive(Default)]
struct Own {
    overrides: Vec<Override>,
    of_cluster: Vec<OwnProgram>,
}

/// Components that are there, by their paths.
fn given(components: &[String]) -> Result<Own, Refusal> {
    let mut own = Own::default();
    for text in components {
        if wanted(text).map_err(refusal)?.is_some() {
            continue;
        }
        match text.split_once('=').filter(|(name, path)| component::of_cluster(name) && !path.is_empty()) {
            Some((name, path)) => {
                own.of_cluster.push(OwnProgram { name: name.to_owned(), path: path.into(), built: None });
            }
            None => {
                own.overrides.push(text.parse().map_err(|e: OverrideError| usage(Chain(&e).to_string(), e.hint()))?)
            }
        }
    }
    Ok(own)
}

/// Node image and programs of its nodes that the arguments name, those built that are to be; not looked at.
pub(super) async fn named(
    args: &StackArgs,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<(NodeImageSpec, Vec<Override>), Refusal> {
    local(args)?;
    let (spec, mut own) = (spec(args)?, given(&args.components)?);
    own.build(&args.components, cache, progress).await?;
    Ok((spec, own.overrides))
}

impl Own {
    /// Gets those that are to be got. Of a containerd that is built its shim is built too, unless another is given: the two speak
    /// a protocol of their own. Beside one that is a release it lies already, if it was in the archive.
    async fn build(&mut self, components: &[String], cache: &Cache, progress: &dyn Progress) -> Result<(), Refusal> {
        for text in components {
            let Some(wanted) = wanted(text).map_err(refusal)? else { continue };
            let shim = Wanted { name: SHIM.to_owned(), ..wanted.clone() };
            let given = components.iter().any(|component| component.starts_with(SHIM));
            let beside = (wanted.name == "containerd" && wanted.origin == Origin::Module && !given).then_some(shim);
            for wanted in [Some(wanted), beside].into_iter().flatten() {
                let built = component::build(&wanted, cache, progress).await.map_err(refusal)?;
                if component::of_cluster(&wanted.name) {
                    self.of_cluster.push(built.into());
                } else {
                    let own = Override::built(&built).map_err(|e| usage(Chain(&e).to_string(), e.hint()))?;
                    self.overrides.push(own);
                }
            }
        }
        Ok(())
    }
}

/// The version of a cluster that is not named.
const KUBERNETES: &str = "1.36";

const SHIM: &str = "containerd-shim-runc-v2";

/// A stack of local nodes, for what runs on no others.
pub(super) async fn of(args: &StackArgs, ledger: Arc<Ledger>, progress: &dyn Progress) -> Result<Stack, Refusal> {
    local(args)?;
    on(args, ledger, progress).await
}

/// That local nodes are asked for.
fn local(args: &StackArgs) -> Result<(), Refusal> {
    let Some((cluster, _)) = args.provider.foreign() else { return fits(args, &[]) };
    let hint = Some("leave --provider out".to_owned());
    Err(usage(format!("--provider {cluster} is for `podferry run` alone"), hint))
}

/// Gets the node image (made once, then cached) and tries the user's binaries in it.
async fn on(args: &StackArgs, ledger: Arc<Ledger>, progress: &dyn Progress) -> Result<Stack, Refusal> {
    let cache = Cache::of_user().with_ledger(ledger);
    // What can be told at once is told before anything is built.
    let spec = spec(args)?;
    if let ProviderArg::Kind | ProviderArg::Minikube = args.provider {
        gathered::has_place(&args.components, args.provider.foreign().map_or("kind", |(name, _)| name))?;
    }
    let mut own = given(&args.components)?;
    component::look_at(&own.overrides).map_err(|e| usage(Chain(&e).to_string(), e.hint()))?;
    own.build(&args.components, &cache, progress).await?;
    let kubernetes = match args.provider {
        ProviderArg::Local => args.kubernetes.clone(),
        ProviderArg::Kind | ProviderArg::Minikube => {
            Some(args.kubernetes.clone().unwrap_or_else(|| KUBERNETES.to_owned()))
        }
        ProviderArg::Existing => None,
    };
    let programs = match &kubernetes {
        // It has its own.
        Some(_) if args.kind.image.is_some() || args.minikube.image.is_some() => {
            component::given(&own.of_cluster).await.map_err(refusal)?
        }
        Some(version) => component::cluster(version, &own.of_cluster, &cache, progress).await.map_err(refusal)?,
        None => match own.of_cluster.first() {
            None => Vec::new(),
            Some(program) => {
                let hint = Some("add `--kubernetes 1.36`".to_owned());
                let name = &program.name;
                return Err(usage(format!("component {name} is of a Kubernetes cluster, and there is none"), hint));
            }
        },
    };
    let image = component::node_image(&spec, &cache, progress).await.map_err(refusal)?;
    if args.provider != ProviderArg::Existing
        && args.images.names == [DEFAULT_NODE_IMAGE]
        && own.overrides.iter().all(|it| it.name != "containerd")
    {
        stand_in(&image, &mut own, &cache, progress).await?;
    }
    let overrides = component::resolve(&own.overrides, &image, progress).await;
    let overrides = overrides.map_err(|e| usage(Chain(&e).to_string(), e.hint()))?;
    let joined = args.provider == ProviderArg::Existing;
    let mut stack = Stack { image, cache, overrides, programs, kind: None, minikube: None, joined };
    match args.provider {
        ProviderArg::Local | ProviderArg::Existing => {}
        ProviderArg::Kind => {
            stack.kind = Some(kind::prepare(&stack, args.kind.image.as_ref(), &stack.cache, progress).await?);
        }
        ProviderArg::Minikube => {
            stack.minikube = Some(minikube::prepare(&stack, args, &stack.cache, progress).await?);
        }
    }
    Ok(stack)
}

/// A containerd takes the place of the default image's, if that restores none.
async fn stand_in(image: &NodeImage, own: &mut Own, cache: &Cache, progress: &dyn Progress) -> Result<(), Refusal> {
    let Some(why) = restores_none(&image.components) else { return Ok(()) };
    progress.say(&format!("{why}: one that does is taken from its sources (--component containerd=PATH: another)"));
    own.build(&["containerd=module".to_owned()], cache, progress).await
}

/// Why the containerd of the default image is none to test a restore with, if it is so: distributions move on, and the default
/// stays whole.
fn restores_none(components: &[ComponentRecord]) -> Option<String> {
    let containerd = components.iter().find(|c| c.name == "containerd")?;
    engine::restores(&containerd.version).err()
}

/// The node image made anew.
pub(super) async fn refreshed(
    args: &StackArgs,
    ledger: Arc<Ledger>,
    progress: &dyn Progress,
) -> Result<NodeImage, Refusal> {
    let spec = spec(args)?;
    let cache = Cache::of_user().with_ledger(ledger);
    component::refresh_node_image(&spec, &cache, progress).await.map_err(refusal)
}

/// The node image that the arguments name.
fn spec(args: &StackArgs) -> Result<NodeImageSpec, Refusal> {
    let [name] = args.images.names.as_slice() else {
        let hint = "only `podferry run`, `list` and `plan` take several".to_owned();
        return Err(usage(format!("one node image, not {}", args.images.names.len()), Some(hint)));
    };
    NodeImageSpec::named(name).map_err(|e| usage(Chain(&e).to_string(), None))
}

pub(super) fn refusal(e: ComponentError) -> Refusal {
    let exit = match e.fault() {
        Fault::Host => Exit::HostLacks,
        Fault::Usage => Exit::Usage,
        Fault::Surroundings => Exit::Surroundings,
    };
    let failure =
        Failure { class: ErrorClass::Surroundings, message: Chain(&e).to_string(), hint: e.hint(), log: Vec::new() };
    Refusal { exit, failure }
}

fn usage(message: String, hint: Option<String>) -> Refusal {
    Refusal { exit: Exit::Usage, failure: Failure { class: ErrorClass::Other, message, hint, log: Vec::new() } }
}
