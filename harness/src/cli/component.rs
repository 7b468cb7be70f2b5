use super::args::{ComponentArgs, ComponentCommand, NamesArgs, StackArgs};
use super::progress::Progress;
use super::run::{Refusal, new_ledger};
use super::stack;
use super::terminal::print;
use crate::component::{self, Cache, Manifest, Wanted};
use crate::record::{ComponentRecord, ErrorClass, Failure};
use crate::run::Exit;
use std::path::Path;

/// `podferry component`.
pub(super) async fn component(args: &ComponentArgs) -> Exit {
    let done = match &args.command {
        ComponentCommand::List(stack) => list(stack).await,
        ComponentCommand::Fetch(names) => fetch(names).await,
        ComponentCommand::Build { names, patches, path } => build(names, patches.as_deref(), *path).await,
        ComponentCommand::Verify(names) => verify(names),
        ComponentCommand::Image { stack, refresh, path } => image(stack, *refresh, *path).await,
    };
    done.unwrap_or_else(Refusal::tell)
}

async fn list(args: &StackArgs) -> Result<Exit, Refusal> {
    let (_, ledger) = new_ledger()?;
    let stack = stack::of(args, ledger, &Progress::lines()).await?;
    print(&format!("node image {} {}: {}", stack.image.suite, stack.image.key, stack.image.rootfs.display()));
    table(&stack.components());
    let (mut built, mut missing) = (Vec::new(), Vec::new());
    for name in Manifest::shipped().names() {
        match component::built(name, &stack.cache).map_err(stack::refusal)? {
            Some(program) => built.push(program.record),
            None => missing.push(name.to_owned()),
        }
    }
    print("built from Go modules:");
    table(&built);
    if !missing.is_empty() {
        print(&format!("not built yet (`podferry component build`): {}", missing.join(", ")));
    }
    Ok(Exit::Passed)
}

fn table(components: &[ComponentRecord]) {
    let width = |f: fn(&ComponentRecord) -> &str| components.iter().map(|c| f(c).len()).max().unwrap_or(0);
    let (names, versions, sources) = (width(|c| &c.name), width(|c| &c.version), width(|c| &c.source));
    for c in components {
        print(&format!("{:names$}  {:versions$}  {:sources$}  {}", c.name, c.version, c.source, c.digest));
    }
}

fn all_if_none(args: &NamesArgs) -> Vec<String> {
    match args.names.is_empty() {
        true => Manifest::shipped().names().into_iter().map(str::to_owned).collect(),
        false => args.names.clone(),
    }
}

async fn fetch(args: &NamesArgs) -> Result<Exit, Refusal> {
    for name in all_if_none(args) {
        component::fetch(&name).await.map_err(stack::refusal)?;
        print(&format!("{name}: its sources are here"));
    }
    Ok(Exit::Passed)
}

async fn build(args: &NamesArgs, patches: Option<&Path>, path: bool) -> Result<Exit, Refusal> {
    let (_, ledger) = new_ledger()?;
    let cache = Cache::of_user().with_ledger(ledger);
    let names = all_if_none(args);
    if patches.is_some() && names.len() != 1 {
        let message = "patches are for one component: name it".to_owned();
        return Err(Refusal {
            exit: Exit::Usage,
            failure: Failure { class: ErrorClass::Other, message, hint: None, log: Vec::new() },
        });
    }
    let mut records = Vec::new();
    for name in names {
        let wanted = Wanted { patches: patches.map(Path::to_owned), ..Wanted::named(&name) };
        let built = component::build(&wanted, &cache, &Progress::lines()).await;
        let built = built.map_err(stack::refusal)?;
        if path {
            print(&built.path.display().to_string());
        }
        records.push(built.record);
    }
    if !path {
        table(&records);
    }
    Ok(Exit::Passed)
}

fn verify(args: &NamesArgs) -> Result<Exit, Refusal> {
    let mut exit = Exit::Passed;
    for name in all_if_none(args) {
        match component::verify(&name, &Cache::of_user()).map_err(stack::refusal)? {
            None => print(&format!("{name}: not built")),
            Some(Ok(built)) => print(&format!("{name}: {} {}", built.record.version, built.record.digest)),
            Some(Err(why)) => {
                print(&format!("{name}: changed: {why}"));
                exit = Exit::Surroundings;
            }
        }
    }
    Ok(exit)
}

async fn image(args: &StackArgs, refresh: bool, path: bool) -> Result<Exit, Refusal> {
    let (_, ledger) = new_ledger()?;
    let progress = Progress::lines();
    let image = match refresh {
        true => stack::refreshed(args, ledger, &progress).await?,
        false => stack::of(args, ledger, &progress).await?.image,
    };
    if path {
        print(&image.rootfs.display().to_string());
        return Ok(Exit::Passed);
    }
    let how = if image.built { "made" } else { "in the cache" };
    print(&format!("node image {} {}: {how}, {} packages", image.suite, image.key, image.packages.len()));
    print(&image.rootfs.display().to_string());
    Ok(Exit::Passed)
}
