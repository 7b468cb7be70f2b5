//! The one place that writes to the terminal.

use std::io::{IsTerminal, Write};

/// Prints a result: what a pipe is meant to carry.
pub(super) fn print(text: &str) {
    // A reader that went away (`| head`) is no reason to panic.
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// Prints progress and complaints.
#[expect(clippy::print_stderr, reason = "the one place that writes to standard error")]
pub(crate) fn complain(text: &str) {
    eprintln!("{}", text.trim_end());
}

/// Whether standard output may be coloured: a terminal, and NO_COLOR (no-color.org) is not set.
pub(super) fn coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Whether someone watches: a terminal on standard error, and not CI.
pub(super) fn watched() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("CI").is_none()
}
