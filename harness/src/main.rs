//! The `podferry` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: this may be PID 1 of a node, which must stay on one thread.
    if let Some(code) = podferry::node::init_main(std::env::args_os()) {
        return code;
    }
    podferry::cli::main(std::env::args_os())
}
