//! What the arguments say of a cluster that is there already.

use super::usage;
use crate::cli::args::{ExistingArgs, StackArgs};
use crate::cli::run::Refusal;
use crate::cluster::contexts;
use crate::record::EngineKind;
use std::path::Path;

/// Whether they name all that must be named, and nothing that has no meaning there.
pub(super) fn fits(args: &StackArgs, engines: &[EngineKind]) -> Result<(), Refusal> {
    let existing = &args.existing;
    let Some(kubeconfig) = &existing.kubeconfig else {
        let hint = "neither KUBECONFIG nor ~/.kube/config is looked at: name the file, and the context".to_owned();
        return Err(usage("--provider existing needs --kubeconfig FILE and --context NAME".to_owned(), Some(hint)));
    };
    context(kubeconfig, existing.context.as_deref())?;
    if let Some(kind) = engines.iter().find(|kind| !args.provider.engines().contains(kind)) {
        let hint = Some("leave --engine out".to_owned());
        return Err(usage(format!("the engine {kind} is none of an existing cluster's"), hint));
    }
    let several = (args.images.names.len() > 1).then_some("a second --node-image");
    let meaningless = [
        several,
        args.kubernetes.as_ref().map(|_| "--kubernetes"),
        args.kind.docker.as_ref().map(|_| "--docker"),
        args.kind.image.as_ref().map(|_| "--kind-image"),
        args.kind.outlives(),
        args.minikube.given(),
        (!args.components.is_empty()).then_some("--component"),
    ];
    let option = meaningless.into_iter().flatten().next();
    option.map_or(Ok(()), |option| {
        let hint = Some("what runs on its nodes is what is there".to_owned());
        Err(usage(format!("{option} has no meaning for an existing cluster"), hint))
    })
}

/// That a context is named, and is one of the file's.
fn context(kubeconfig: &Path, named: Option<&str>) -> Result<(), Refusal> {
    let there = contexts(kubeconfig).map_err(|e| usage(e.message, None))?;
    let list = match there.is_empty() {
        true => format!("{} has none", kubeconfig.display()),
        false => format!("{} has {}", kubeconfig.display(), there.join(", ")),
    };
    match named {
        None => {
            let hint = Some(format!("the current context is never taken; {list}"));
            Err(usage("--provider existing needs --context NAME".to_owned(), hint))
        }
        Some(name) if !there.iter().any(|context| context == name) => {
            Err(usage(format!("there is no context {name}"), Some(list)))
        }
        Some(_) => Ok(()),
    }
}

/// An option that is said of such a cluster alone, if one is given.
pub(super) fn named(args: &ExistingArgs) -> Option<&'static str> {
    let ExistingArgs { kubeconfig, context, nodes, agent_image } = args;
    let options = [
        kubeconfig.as_ref().map(|_| "--kubeconfig"),
        context.as_ref().map(|_| "--context"),
        nodes.first().map(|_| "--node"),
        agent_image.as_ref().map(|_| "--agent-image"),
    ];
    options.into_iter().flatten().next()
}

/// The same as arguments, each with a space before it.
pub(super) fn words(args: &ExistingArgs) -> String {
    let ExistingArgs { kubeconfig, context, nodes, agent_image } = args;
    let kubeconfig = kubeconfig.iter().map(|path| format!(" --kubeconfig {}", path.display()));
    let context = context.iter().map(|name| format!(" --context {name}"));
    let nodes = nodes.iter().map(|name| format!(" --node {name}"));
    let image = agent_image.iter().map(|image| format!(" --agent-image {image}"));
    kubeconfig.chain(context).chain(nodes).chain(image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{ImageArgs, ProviderArg};

    const FILE: &str = r#"{
        "apiVersion": "v1", "kind": "Config", "current-context": "one", "clusters": [], "users": [],
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}},
                     {"name": "two", "context": {"cluster": "c", "user": "u"}}]
    }"#;

    fn told(args: &StackArgs, engines: &[EngineKind]) -> Option<(String, String)> {
        let failure = super::super::fits(args, engines).err()?.failure;
        Some((failure.message, failure.hint.unwrap_or_default()))
    }

    #[test]
    fn nothing_is_taken_that_is_not_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        std::fs::write(&path, FILE).unwrap();
        let images = ImageArgs { names: vec!["sid".to_owned()] };
        let mut args = StackArgs { images, provider: ProviderArg::Existing, ..StackArgs::default() };
        assert!(told(&args, &[]).unwrap().0.contains("needs --kubeconfig FILE and --context NAME"));
        args.existing.kubeconfig = Some(path.clone());
        let (message, hint) = told(&args, &[]).unwrap();
        assert_eq!(message, "--provider existing needs --context NAME");
        assert_eq!(hint, format!("the current context is never taken; {} has one, two", path.display()));
        args.existing.context = Some("three".to_owned());
        assert_eq!(told(&args, &[]).unwrap().0, "there is no context three");
        args.existing.context = Some("two".to_owned());
        assert_eq!(told(&args, &[]), None);
        assert_eq!(words(&args.existing), format!(" --kubeconfig {} --context two", path.display()));
        assert!(told(&args, &[EngineKind::Runc]).unwrap().0.contains("none of an existing cluster's"));
        args.components.push("runc=/runc".to_owned());
        assert_eq!(told(&args, &[]).unwrap().0, "--component has no meaning for an existing cluster");
        (args.provider, args.components) = (ProviderArg::Local, Vec::new());
        assert_eq!(told(&args, &[]).unwrap().0, "--kubeconfig is said of an existing cluster, and there is none");
    }
}
