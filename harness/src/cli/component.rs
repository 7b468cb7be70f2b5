use super::args::{ComponentArgs, ComponentCommand, StackArgs};
use super::progress::Progress;
use super::run::{Refusal, new_ledger};
use super::stack;
use super::terminal::print;
use crate::run::Exit;

/// `podferry component`.
pub(super) async fn component(args: &ComponentArgs) -> Exit {
    let done = match &args.command {
        ComponentCommand::List(stack) => list(stack).await,
        ComponentCommand::Image { stack, refresh, path } => image(stack, *refresh, *path).await,
    };
    done.unwrap_or_else(Refusal::tell)
}

async fn list(args: &StackArgs) -> Result<Exit, Refusal> {
    let (_, ledger) = new_ledger()?;
    let stack = stack::of(args, ledger, &Progress::lines()).await?;
    let components = stack.components();
    let width =
        |f: fn(&crate::record::ComponentRecord) -> &str| components.iter().map(|c| f(c).len()).max().unwrap_or(0);
    let (names, versions, sources) = (width(|c| &c.name), width(|c| &c.version), width(|c| &c.source));
    print(&format!("node image {} {}: {}", stack.image.suite, stack.image.key, stack.image.rootfs.display()));
    for c in &components {
        print(&format!("{:names$}  {:versions$}  {:sources$}  {}", c.name, c.version, c.source, c.digest));
    }
    Ok(Exit::Passed)
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
