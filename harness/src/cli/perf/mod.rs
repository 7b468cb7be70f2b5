//! `podferry perf`.

mod ab;
mod ack;
mod args;
mod builds;
mod stored;

pub(super) use args::PerfArgs;

use super::terminal::complain;
use crate::perf::PerfError;
use crate::record::Chain;
use crate::run::Exit;
use args::PerfCommand;

/// Compares figures.
pub(super) async fn perf(args: PerfArgs) -> Exit {
    match args.command {
        PerfCommand::Ab(args) => ab::ab(&args).await,
        PerfCommand::Baseline(args) => stored::baseline(&args),
        PerfCommand::Compare(args) => stored::compare(&args),
        PerfCommand::History(args) => stored::history(&args),
        PerfCommand::Ack(args) => ack::ack(args),
    }
}

/// Today, where the user is.
fn today() -> String {
    jiff::Zoned::now().date().to_string()
}

/// What is wrong with a file or with what is asked of it.
fn refuse(e: &PerfError) -> Exit {
    complain(&format!("error: {}", Chain(e)));
    if let Some(hint) = e.hint() {
        complain(&format!("hint: {hint}"));
    }
    Exit::Usage
}
