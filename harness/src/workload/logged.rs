//! Probing what tells its counter only by its log.

use super::ProbeError;
use super::talk::{Deadline, Target};
use crate::client::LogLine;
use crate::record::{SelfReport, quoted};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The numbers at the ends of the log's whole lines. A line whose last word is no number is passed over.
pub fn numbers(log: &str) -> Vec<u64> {
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    let last_word = |line| LogLine::read(line).text.split_ascii_whitespace().next_back()?.parse().ok();
    whole.lines().filter_map(last_word).collect()
}

/// A log as it grows. Only what is new is read: a program that prints much is not read from its start each time.
#[derive(Default)]
struct Tail {
    /// There is such a file.
    there: bool,
    /// What is new begins there.
    read: u64,
    /// The begin of a line that is not whole yet.
    rest: Vec<u8>,
    /// The last whole line that has no number at its end, as the program wrote it.
    last: Option<String>,
}

impl Tail {
    /// Whether a line has come that ends in a number.
    fn has_number(&mut self, log: &Path) -> io::Result<bool> {
        let length = fs::metadata(log)?.len();
        if length < self.read {
            // Another file of that name.
            *self = Tail::default();
        }
        self.there = true;
        if length == self.read {
            return Ok(false);
        }
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(self.read))?;
        self.read += file.read_to_end(&mut self.rest)? as u64;
        let Some(end) = self.rest.iter().rposition(|&b| b == b'\n') else { return Ok(false) };
        let whole = String::from_utf8_lossy(&self.rest[..=end]).into_owned();
        self.rest.drain(..=end);
        if !numbers(&whole).is_empty() {
            return Ok(true);
        }
        let mut said = whole.lines().map(|line| LogLine::read(line).text.into_owned());
        self.last = said.rfind(|text| !text.is_empty()).or(self.last.take());
        Ok(false)
    }
}

pub(super) fn ready(target: &Target, deadline: Deadline) -> Result<(), ProbeError> {
    let mut tail = Tail::default();
    let waited = deadline.wait(&format!("a number in the log {}", target.log.display()), |_| {
        match tail.has_number(&target.log) {
            Ok(true) => Ok(()),
            Ok(false) => Err("no number yet".to_owned()),
            Err(e) => Err(e.to_string()),
        }
    });
    match waited {
        // What is in the log says more than that it was waited for.
        Err(ProbeError::Timeout { limit, .. }) if tail.there => {
            Err(ProbeError::NoNumber { limit, last: tail.last.map(|text| quoted(text.as_bytes())) })
        }
        waited => waited,
    }
}

pub(super) fn probe(target: &Target) -> Result<SelfReport, ProbeError> {
    let text = fs::read(&target.log)
        .map_err(|source| ProbeError::Io { what: format!("reading the log {}", target.log.display()), source })?;
    let found = numbers(&String::from_utf8_lossy(&text));
    Ok(SelfReport { counter: found.last().copied(), ..SelfReport::default() })
}

#[cfg(test)]
mod tests {
    use super::{Tail, numbers};

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

    #[test]
    fn a_log_is_read_as_it_grows() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("0.log");
        let mut tail = Tail::default();
        assert!(tail.has_number(&log).is_err() && !tail.there);
        std::fs::write(&log, "tick 5 done\nti").unwrap();
        assert!(!tail.has_number(&log).unwrap());
        assert_eq!((tail.there, tail.last.as_deref()), (true, Some("tick 5 done")));
        std::fs::write(&log, "tick 5 done\ntick 6").unwrap();
        assert!(!tail.has_number(&log).unwrap(), "the line is not whole");
        std::fs::write(&log, "tick 5 done\ntick 6\n").unwrap();
        assert!(tail.has_number(&log).unwrap());
        std::fs::write(&log, "new\n").unwrap();
        assert!(!tail.has_number(&log).unwrap(), "another file");
        assert_eq!(tail.last.as_deref(), Some("new"));
    }
}
