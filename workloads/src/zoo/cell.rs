//! A cell: the process that holds one kind.

use super::kinds::find;
use crate::Boot;
use std::io::{self, BufRead, Write};

/// Holds a kind and answers each line on standard input by a line: `look` by `kept NONCE WHAT` or `lost NONCE HOW`. The
/// first line comes unasked: `held NONCE`, `absent NONCE WHY` or `failed NONCE WHY`. Ends with its input.
///
/// # Errors
/// There is no such kind, or nobody reads what it says.
pub fn live(name: &str) -> io::Result<()> {
    let specimen = find(name)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("no kind of state is named `{name}`")))?;
    // In memory alone: a cell with another nonce is another process, however well it holds its kind.
    let nonce = Boot::new()?.nonce;
    let say = |word: &str, text: &str| {
        let mut out = io::stdout().lock();
        writeln!(out, "{word} {nonce} {}", text.replace('\n', " "))?;
        out.flush()
    };
    let mut held = match (specimen.hold)() {
        Ok(held) => {
            say("held", "")?;
            Some(held)
        }
        Err(e) => {
            say(if e.kind() == io::ErrorKind::Unsupported { "absent" } else { "failed" }, &e.to_string())?;
            None
        }
    };
    for line in io::stdin().lock().lines() {
        match (line?.as_str(), &mut held) {
            ("look", Some(held)) => match held.look() {
                Ok(seen) => say("kept", &seen)?,
                Err(e) => say("lost", &e.to_string())?,
            },
            ("look", None) => say("failed", "it was never held")?,
            (other, _) => say("failed", &format!("unknown request `{other}`"))?,
        }
    }
    Ok(())
}
