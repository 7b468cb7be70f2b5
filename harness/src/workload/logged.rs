//! Probing what tells its counter only by its log.

use super::ProbeError;
use super::talk::{Deadline, Target};
use crate::client::LogLine;
use crate::record::SelfReport;
use std::fs;
use std::io;

/// The numbers at the ends of the log's whole lines. A line whose last word is no number is passed over.
pub fn numbers(log: &str) -> Vec<u64> {
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    let last_word = |line| LogLine::read(line).text.split_ascii_whitespace().next_back()?.parse().ok();
    whole.lines().filter_map(last_word).collect()
}

fn read(target: &Target) -> io::Result<Vec<u64>> {
    fs::read(&target.log).map(|bytes| numbers(&String::from_utf8_lossy(&bytes)))
}

pub(super) fn ready(target: &Target, deadline: Deadline) -> Result<(), ProbeError> {
    deadline.wait(&format!("a number in the log {}", target.log.display()), |_| match read(target) {
        Ok(found) if found.is_empty() => Err("no number yet".to_owned()),
        Ok(_) => Ok(()),
        Err(e) => Err(e.to_string()),
    })
}

pub(super) fn probe(target: &Target) -> Result<SelfReport, ProbeError> {
    let found = read(target)
        .map_err(|source| ProbeError::Io { what: format!("reading the log {}", target.log.display()), source })?;
    Ok(SelfReport { counter: found.last().copied(), ..SelfReport::default() })
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn numbers_of_lines_in_each_form() {
        assert_eq!(numbers("0\n1\nhello\n2\n"), [0, 1, 2]);
        let docker = "{\"log\":\"7\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-22T17:00:00.1Z\"}\n";
        assert_eq!(numbers(docker), [7]);
        assert_eq!(numbers("2026-11-22T17:00:00.1Z stdout F 41\n2026-11-22T17:00:01.1Z stdout F 42\n"), [41, 42]);
    }

    #[test]
    fn a_line_still_being_written_does_not_count() {
        assert_eq!(numbers("11\n1"), [11]);
        assert_eq!(numbers("1"), [0u64; 0]);
    }
}
