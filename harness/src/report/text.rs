//! Text of strangers, made fit to be shown: workloads and tools may print anything.

use crate::record::Origin;
use std::fmt::Write as _;

/// The longest message that a report shows. The whole of it stays in `events.jsonl`.
pub(super) const MESSAGE_LIMIT: usize = 8 * 1024;
/// The longest line of a log that a report shows.
pub(super) const LOG_LINE_LIMIT: usize = 1024;
/// The most lines of a log that a report shows.
pub(super) const LOG_LINES: usize = 60;

/// The text with what could move the cursor, colour the terminal, end an XML document or turn the reading direction
/// made visible, and cut after `limit` bytes. Line ends and tabs stay.
pub(super) fn shown(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit) + 16);
    for c in text.chars() {
        if out.len() >= limit {
            let _ = write!(out, " [cut here: {} bytes in all]", text.len());
            break;
        }
        match c {
            '\n' | '\t' => out.push(c),
            // CRLF reads as a line end, not as a stray sign.
            '\r' => {}
            c if c.is_control() || is_direction_or_unseen(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Bidirectional overrides and isolates, zero-width signs, the byte order mark, and what XML 1.0 does not allow.
fn is_direction_or_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A message, on as many lines as it has.
pub(super) fn message(text: &str) -> String {
    shown(text.trim_end(), MESSAGE_LIMIT)
}

/// A name or a sentence, on one line.
pub(super) fn line(text: &str) -> String {
    shown(text, MESSAGE_LIMIT).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line of code: its indentation stays.
pub(super) fn code_line(text: &str) -> String {
    shown(text.trim_end(), LOG_LINE_LIMIT).replace('\t', "    ")
}

/// A place in a file whose name may be anything.
pub(super) fn origin(origin: &Origin) -> Origin {
    Origin { file: line(&origin.file), ..origin.clone() }
}

/// The lines of a log: the last [`LOG_LINES`], since tools say last what they died of.
pub(super) fn log(lines: &[String]) -> Vec<String> {
    let mut all: Vec<String> =
        lines.iter().flat_map(|l| l.lines()).map(|l| shown(l.trim_end(), LOG_LINE_LIMIT)).collect();
    if all.len() > LOG_LINES {
        let left_out = all.len() - LOG_LINES;
        all.drain(..left_out);
        all.insert(0, format!("[{left_out} lines before these left out]"));
    }
    all
}

/// `1 case`, `2 cases`.
pub(super) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// Bytes for people, in powers of 1024.
pub(super) fn bytes(n: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 || value >= 100.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// A figure without a unit: a count as it is, anything else to a tenth.
pub(super) fn figure(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// A count with its thousands set apart by a thin gap that any font has: `100,000`.
pub(super) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}
