//! The stack under test, as the command line names it: node image and binaries of the user's own.

use super::args::{ImageArgs, StackArgs};
use super::run::Refusal;
use crate::cluster;
use crate::component::{
    self, Built, Cache, ComponentError, Fault, Manifest, NodeImage, NodeImageSpec, Override, Progress, Resolved,
};
use crate::ledger::Ledger;
use crate::record::{Chain, ComponentRecord, ErrorClass, Failure};
use crate::run::Exit;
use std::path::PathBuf;
use std::sync::Arc;

/// What runs on the nodes.
pub(super) struct Stack {
    pub(super) image: NodeImage,
    pub(super) cache: Cache,
    overrides: Vec<Resolved>,
    /// The programs of a Kubernetes cluster, if there is to be one.
    programs: Vec<Built>,
}

impl Stack {
    /// Files of the host that cover files of the nodes.
    pub(super) fn binds(&self) -> Vec<(PathBuf, PathBuf)> {
        self.overrides.iter().map(|o| (o.bind.host.clone(), o.bind.inside.clone())).collect()
    }

    /// Whether the nodes are to join a Kubernetes cluster.
    pub(super) fn kubernetes(&self) -> bool {
        !self.programs.is_empty()
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

/// Gets each node image (made once, then cached) and tries the user's binaries in it; the stacks by the names that the user
/// gave, in order.
pub(super) async fn all(
    args: &StackArgs,
    ledger: &Arc<Ledger>,
    progress: &dyn Progress,
) -> Result<Vec<(String, Stack)>, Refusal> {
    let mut stacks: Vec<(String, Stack)> = Vec::new();
    for name in &args.images.names {
        if stacks.iter().any(|(other, _)| other == name) {
            return Err(usage(format!("the node image `{name}` is named twice"), None));
        }
        let one = StackArgs { images: ImageArgs { names: vec![name.clone()] }, ..args.clone() };
        stacks.push((name.clone(), of(&one, Arc::clone(ledger), progress).await?));
    }
    Ok(stacks)
}

/// Gets the node image (made once, then cached) and tries the user's binaries in it.
pub(super) async fn of(args: &StackArgs, ledger: Arc<Ledger>, progress: &dyn Progress) -> Result<Stack, Refusal> {
    let (spec, overrides) = parse(args)?;
    component::look_at(&overrides).map_err(|e| usage(Chain(&e).to_string(), e.hint()))?;
    let cache = Cache::of_user().with_ledger(ledger);
    let own = own_programs(args);
    let programs = match &args.kubernetes {
        Some(version) => component::cluster(version, &own, &cache, progress).await.map_err(refusal)?,
        None if own.is_empty() => Vec::new(),
        None => {
            let hint = Some("add `--kubernetes 1.36`".to_owned());
            return Err(usage(format!("component {} is of a Kubernetes cluster, and there is none", own[0].0), hint));
        }
    };
    let image = component::node_image(&spec, &cache, progress).await.map_err(refusal)?;
    let overrides =
        component::resolve(&overrides, &image, progress).await.map_err(|e| usage(Chain(&e).to_string(), e.hint()))?;
    Ok(Stack { image, cache, overrides, programs })
}

/// The node image made anew.
pub(super) async fn refreshed(
    args: &StackArgs,
    ledger: Arc<Ledger>,
    progress: &dyn Progress,
) -> Result<NodeImage, Refusal> {
    let (spec, _) = parse(args)?;
    let cache = Cache::of_user().with_ledger(ledger);
    component::refresh_node_image(&spec, &cache, progress).await.map_err(refusal)
}

/// Node image and overrides as the arguments name them.
pub(super) fn parse(args: &StackArgs) -> Result<(NodeImageSpec, Vec<Override>), Refusal> {
    let [name] = args.images.names.as_slice() else {
        let hint = "only `podferry run`, `list` and `plan` take several".to_owned();
        return Err(usage(format!("one node image, not {}", args.images.names.len()), Some(hint)));
    };
    let spec = NodeImageSpec::named(name).map_err(|e| usage(Chain(&e).to_string(), None))?;
    let mut overrides = Vec::new();
    for text in args.components.iter().filter(|text| own_program(text).is_none()) {
        overrides.push(text.parse::<Override>().map_err(|e| usage(Chain(&e).to_string(), e.hint()))?);
    }
    Ok((spec, overrides))
}

/// A program of the user's own for the cluster: `kubelet=PATH`.
fn own_program(text: &str) -> Option<(String, PathBuf)> {
    let (name, path) = text.split_once('=').filter(|(_, path)| !path.is_empty())?;
    Manifest::shipped().names().contains(&name).then(|| (name.to_owned(), PathBuf::from(path)))
}

fn own_programs(args: &StackArgs) -> Vec<(String, PathBuf)> {
    args.components.iter().filter_map(|text| own_program(text)).collect()
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
