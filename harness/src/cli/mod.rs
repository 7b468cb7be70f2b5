//! The command line: parses, calls one function of the library for each command, and prints.

mod agent_image;
pub(crate) mod args;
mod bench;
mod bundle;
mod clean;
mod component;
mod doctor;
pub mod estimate;
pub(crate) mod launch;
mod perf;
mod progress;
mod recheck;
mod report;
pub(crate) mod run;
pub mod scenario;
mod shipped;
mod stack;
mod survey;
pub(crate) mod terminal;

use crate::run::Exit;
use clap::{CommandFactory, Parser};
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command line.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let argv = with_default_command(argv.into_iter().collect());
    let args = match args::Args::try_parse_from(argv) {
        Ok(args) => args,
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() { Exit::Usage.into() } else { Exit::Passed.into() };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            terminal::complain(&format!("can't start the runtime: {e}"));
            return Exit::Surroundings.into();
        }
    };
    let code = runtime.block_on(dispatch(args));
    // Questions to workloads that never answered may still wait on their sockets: nobody waits for them.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Looks at what a run would be, if its arguments go together.
fn looked(args: &args::ShowArgs, look: impl FnOnce() -> u8) -> u8 {
    match stack::fits(&args.stack, &args.select.engines) {
        Ok(()) => look(),
        Err(refusal) => refusal.tell() as u8,
    }
}

async fn dispatch(args: args::Args) -> u8 {
    let kinds = crate::workload::KINDS;
    match args.command {
        args::Command::Run(args) => run::run(args).await as u8,
        args::Command::List(args) => looked(&args, || {
            let (stacks, selection) = (stack::names(&args.stack), args.select.selection(args.stack.provider));
            show(scenario::list(&args.select.files(), kinds, &selection, &stacks, args.format))
        }),
        args::Command::Plan(args) => looked(&args, || {
            let selection = args.select.selection(args.stack.provider);
            let (stacks, past) = (stack::names(&args.stack), estimate::Past::read(&args.out));
            let about = scenario::About { stacks: &stacks, past: &past, skip: &|case| stack::skip(&args.stack, case) };
            show(scenario::plan(&args.select.files(), kinds, &selection, &about, args.format))
        }),
        args::Command::Lint(args) => show(scenario::lint(&args.paths, kinds, args.format)),
        args::Command::Schema { of } => show(scenario::schema(of)),
        args::Command::New => show(scenario::new()),
        args::Command::Explain { code } => show(scenario::explain(code.as_deref())),
        args::Command::Doctor(args) => doctor::doctor(&args).await as u8,
        args::Command::Component(args) => component::component(&args).await as u8,
        args::Command::Clean => clean::clean() as u8,
        args::Command::AgentImage(args) => agent_image::agent_image(&args).await as u8,
        args::Command::Survey(args) => survey::survey(args).await as u8,
        args::Command::Bench(args) => bench::bench(&args).await as u8,
        args::Command::Perf(args) => perf::perf(args).await as u8,
        args::Command::Recheck(args) => recheck::recheck(&args) as u8,
        args::Command::Bundle(args) => bundle::bundle(&args) as u8,
        args::Command::Report(args) => report::report(&args).await as u8,
        args::Command::Completions { shell } => {
            clap_complete::generate(shell, &mut args::Args::command(), "podferry", &mut std::io::stdout());
            Exit::Passed as u8
        }
    }
}

fn show((text, code): scenario::Printed) -> u8 {
    terminal::print(&text);
    code
}

/// `run` is meant when no command is named: no arguments at all, only flags, or filters.
fn with_default_command(mut argv: Vec<OsString>) -> Vec<OsString> {
    let command = args::Args::command();
    let is_command = |word: &str| {
        ["help", "--help", "-h", "--version", "-V"].contains(&word)
            || command.get_subcommands().any(|c| c.get_name() == word)
    };
    let named = argv.get(1).and_then(|a| a.to_str()).is_some_and(is_command);
    if !named {
        argv.insert(1.min(argv.len()), "run".into());
    }
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(words: &[&str]) -> Vec<String> {
        let argv = words.iter().map(OsString::from).collect();
        with_default_command(argv).into_iter().map(|w| w.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn run_is_the_default_command() {
        assert_eq!(shown(&["podferry"]), ["podferry", "run"]);
        assert_eq!(shown(&["podferry", "--engine", "runc"]), ["podferry", "run", "--engine", "runc"]);
        assert_eq!(shown(&["podferry", "redis"]), ["podferry", "run", "redis"]);
        assert_eq!(shown(&["podferry", "lint"]), ["podferry", "lint"]);
        assert_eq!(shown(&["podferry", "--help"]), ["podferry", "--help"]);
    }

    #[test]
    fn the_arguments_are_well_formed() {
        args::Args::command().debug_assert();
    }
}
