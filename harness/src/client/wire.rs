//! What goes over the connection.

use super::{JOURNAL, Kind};
use std::io::Write as _;

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A number.
    Value(u64),
    /// That it did not work, or something that is no answer to what was asked.
    Refused,
}

/// Appends the request with this key.
pub(super) fn encode(kind: Kind, key: u64, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = match kind {
        Kind::RedisWriter => {
            let digits = key.checked_ilog10().unwrap_or(0) + 1;
            let name = JOURNAL.len();
            write!(out, "*3\r\n$5\r\nRPUSH\r\n${name}\r\n{JOURNAL}\r\n${digits}\r\n{key}\r\n")
        }
        Kind::CounterReader => out.write_all(b"GET\n"),
        Kind::TcpEcho => writeln!(out, "ECHO {key}"),
        Kind::LogFollower => Ok(()),
    };
}

/// The request with this key as people read it.
pub(super) fn question(kind: Kind, key: u64) -> String {
    match kind {
        Kind::RedisWriter => format!("RPUSH {JOURNAL} {key}"),
        Kind::CounterReader => "GET".to_owned(),
        Kind::TcpEcho => format!("ECHO {key}"),
        Kind::LogFollower => String::new(),
    }
}

/// Takes one answer off the front of what arrived: its length with its end of line, and what it says. `None` until it
/// is whole. All three protocols answer one line: the number, or (redis, RESP) `:` and the number, or `-` and an error.
pub(super) fn decode(kind: Kind, arrived: &[u8]) -> Option<(usize, Said)> {
    let end = arrived.iter().position(|&b| b == b'\n')?;
    let line = arrived[..end].strip_suffix(b"\r").unwrap_or(&arrived[..end]);
    let digits = match kind {
        Kind::RedisWriter => line.strip_prefix(b":"),
        _ => Some(line),
    };
    let value = digits.and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| d.parse().ok());
    Some((end + 1, value.map_or(Said::Refused, Said::Value)))
}

/// A line that is longer than this is no answer of ours: the connection is given up rather than buffered for ever.
pub(super) const LONGEST_LINE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(kind: Kind, key: u64) -> String {
        let mut out = Vec::new();
        encode(kind, key, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn requests_are_what_the_servers_understand() {
        assert_eq!(encoded(Kind::RedisWriter, 0), "*3\r\n$5\r\nRPUSH\r\n$16\r\npodferry:journal\r\n$1\r\n0\r\n");
        assert!(encoded(Kind::RedisWriter, 1000).ends_with("$4\r\n1000\r\n"));
        assert_eq!(encoded(Kind::CounterReader, 7), "GET\n");
        assert_eq!(encoded(Kind::TcpEcho, 7), "ECHO 7\n");
    }

    #[test]
    fn an_answer_is_taken_when_it_is_whole() {
        assert_eq!(decode(Kind::RedisWriter, b":12"), None);
        assert_eq!(decode(Kind::RedisWriter, b":12\r\n:13\r\n"), Some((5, Said::Value(12))));
        assert_eq!(decode(Kind::CounterReader, b"41\n42\n"), Some((3, Said::Value(41))));
    }

    #[test]
    fn an_error_is_no_value() {
        assert_eq!(decode(Kind::RedisWriter, b"-LOADING 5\r\n"), Some((12, Said::Refused)));
        assert_eq!(decode(Kind::RedisWriter, b"5\r\n"), Some((3, Said::Refused)), "a number without the colon");
        assert_eq!(decode(Kind::CounterReader, b"ERR\n"), Some((4, Said::Refused)));
        assert_eq!(decode(Kind::TcpEcho, b"-1\n"), Some((3, Said::Refused)));
    }
}
