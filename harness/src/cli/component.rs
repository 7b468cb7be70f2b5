use super::args::{ComponentArgs, ComponentCommand, NamesArgs, StackArgs};
use super::progress::Progress;
use super::run::{Refusal, new_ledger};
use super::stack;
use super::terminal::print;
use crate::component::{self, Cache, Manifest, Origin, Wanted};
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
    let (mut built, mut missing, mut listed) = (Vec::new(), Vec::new(), Vec::new());
    let manifest = Manifest::shipped();
    let built_from_source = manifest.built();
    for name in manifest.names() {
        let releases = manifest.releases(name);
        let of =
            |version: &str| Wanted { version: Some(version.to_owned()), origin: Origin::Listed, ..Wanted::named(name) };
        let of_module = built_from_source.contains(&name);
        let first = match of_module {
            true => component::built(&Wanted::named(name), &stack.cache).map_err(stack::refusal)?,
            false => None,
        };
        let mut got: Vec<ComponentRecord> = first.map(|program| program.record).into_iter().collect();
        for (version, url) in releases {
            match component::built(&of(version), &stack.cache).map_err(stack::refusal)? {
                Some(program) => got.push(program.record),
                None => listed.push(format!("{name}=release@{version}  {url}")),
            }
        }
        if of_module && got.is_empty() {
            missing.push(name.to_owned());
        }
        got.dedup();
        built.append(&mut got);
    }
    print("got by podferry itself, from Go modules or as releases:");
    table(&built);
    if !missing.is_empty() {
        print(&format!("not there yet (`podferry component build`): {}", missing.join(", ")));
    }
    if !listed.is_empty() {
        print("releases that `--component` takes:");
        listed.iter().for_each(|line| print(line));
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

fn all_if_none(args: &NamesArgs) -> Result<Vec<Wanted>, Refusal> {
    match args.names.is_empty() {
        true => Ok(Manifest::shipped().built().into_iter().map(Wanted::named).collect()),
        false => args.names.iter().map(|name| Wanted::read(name).map_err(stack::refusal)).collect(),
    }
}

async fn fetch(args: &NamesArgs) -> Result<Exit, Refusal> {
    let (_, ledger) = new_ledger()?;
    let cache = Cache::of_user().with_ledger(ledger);
    for wanted in all_if_none(args)? {
        component::fetch(&wanted, &cache, &Progress::lines()).await.map_err(stack::refusal)?;
        print(&format!("{}: all that it is made of is here", wanted.label()));
    }
    Ok(Exit::Passed)
}

async fn build(args: &NamesArgs, patches: Option<&Path>, path: bool) -> Result<Exit, Refusal> {
    let (_, ledger) = new_ledger()?;
    let cache = Cache::of_user().with_ledger(ledger);
    let mut all = all_if_none(args)?;
    if let Some(patches) = patches {
        let [wanted] = all.as_mut_slice() else { return Err(usage("patches are for one component: name it")) };
        if !matches!(wanted.origin, Origin::First | Origin::Module) {
            return Err(usage("a release can't be patched: a module can"));
        }
        *wanted = Wanted { patches: Some(patches.to_owned()), origin: Origin::Module, ..wanted.clone() };
    }
    let mut records = Vec::new();
    for wanted in all {
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

fn usage(message: &str) -> Refusal {
    let message = message.to_owned();
    Refusal { exit: Exit::Usage, failure: Failure { class: ErrorClass::Other, message, hint: None, log: Vec::new() } }
}

fn verify(args: &NamesArgs) -> Result<Exit, Refusal> {
    let mut exit = Exit::Passed;
    for wanted in all_if_none(args)? {
        let name = wanted.label();
        match component::verify(&wanted, &Cache::of_user()).map_err(stack::refusal)? {
            None => print(&format!("{name}: not there")),
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
