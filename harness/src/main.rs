//! The `podferry` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    podferry::cli::main(std::env::args_os())
}
