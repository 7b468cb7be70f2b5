//! Loading and probing redis.

use super::ProbeError;
use super::fill::value;
use super::talk::{Deadline, PAUSE, Talk};
use crate::client::JOURNAL;
use crate::record::SelfReport;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;

/// Bytes of a loaded value: with its header it just fits a size class of jemalloc, so that memory is about what was
/// asked for.
pub(super) const VALUE: usize = 4000;
/// Values that one digest command goes over. redis does nothing else meanwhile: 32 values take it about a quarter of a
/// millisecond, which a client at 1 kHz does not notice.
const DIGEST_BATCH: u64 = 32;
/// Journal entries that one LRANGE asks for, likewise.
const JOURNAL_BATCH: u64 = 10_000;
/// Bytes of commands gathered before they are written.
const WRITE: usize = 256 << 10;

/// A reply of RESP 2, which redis speaks unless told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Text(String),
    Error(String),
    Number(i64),
    Nil,
    List(Vec<Reply>),
}

fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(out, "${}\r\n", word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn reply(talk: &mut Talk) -> Result<Reply, ProbeError> {
    let line = talk.line()?;
    let bad = |talk: &Talk| talk.nonsense("a command", &line);
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| bad(talk))?;
    let number = || rest.parse::<i64>().map_err(|_| bad(talk));
    Ok(match kind {
        "+" => Reply::Text(rest.to_owned()),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Number(number()?),
        "$" => match usize::try_from(number()?) {
            Err(_) => Reply::Nil,
            Ok(length) => {
                let mut bytes = talk.bytes(length + 2)?;
                bytes.truncate(length);
                Reply::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
        },
        "*" => match usize::try_from(number()?) {
            Err(_) => Reply::Nil,
            Ok(length) => Reply::List((0..length).map(|_| reply(talk)).collect::<Result<_, _>>()?),
        },
        _ => return Err(bad(talk)),
    })
}

fn ask(talk: &mut Talk, words: &[&str]) -> Result<Reply, ProbeError> {
    let mut out = Vec::new();
    command(&mut out, &words.iter().map(|w| w.as_bytes()).collect::<Vec<_>>());
    talk.send(&out)?;
    reply(talk)
}

/// Redis listens before it answers commands: while it loads a file it says `LOADING`.
pub(super) fn ready(talk: &mut Talk, deadline: Deadline) -> Result<(), ProbeError> {
    loop {
        let last = match ask(talk, &["PING"])? {
            Reply::Text(t) if t == "PONG" => return Ok(()),
            other => format!("{other:?}"),
        };
        if deadline.left().is_none() {
            return Err(deadline.missed(format!("{} to answer PING", talk.who), last));
        }
        std::thread::sleep(PAUSE);
    }
}

fn key(i: u64) -> String {
    format!("data:{i:09}")
}

/// Sets so many values, a command each: written by a thread of its own, since redis stops reading from who does not
/// read its replies.
pub(super) fn load(talk: &mut Talk, keys: u64) -> Result<(), ProbeError> {
    let writer = talk.writer()?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || write_all(writer, keys));
        let answered = talk.repeated(b"+OK\r\n", keys);
        if answered.is_err() {
            talk.give_up();
        }
        let written = writing.join().unwrap_or_else(|_| Err(std::io::Error::other("the writing thread panicked")));
        answered?;
        written.map_err(|source| ProbeError::Io { what: format!("loading {}", talk.who), source })
    })?;
    match ask(talk, &["EXISTS", &key(keys.saturating_sub(1))])? {
        Reply::Number(1) => Ok(()),
        other => Err(talk.nonsense("EXISTS of the last key", &format!("{other:?}"))),
    }
}

fn write_all(mut stream: TcpStream, keys: u64) -> std::io::Result<()> {
    let mut out = Vec::with_capacity(WRITE + 2 * VALUE);
    let mut data = [0; VALUE];
    for i in 0..keys {
        value(i, &mut data);
        command(&mut out, &[b"SET", key(i).as_bytes(), &data]);
        if out.len() >= WRITE {
            stream.write_all(&out)?;
            out.clear();
        }
    }
    stream.write_all(&out)
}

/// `run_id` is drawn at each start and kept only in memory, so it is the nonce.
pub(super) fn probe(talk: &mut Talk, keys: u64, digest: bool) -> Result<SelfReport, ProbeError> {
    let Reply::Text(info) = ask(talk, &["INFO", "server"])? else {
        return Err(talk.nonsense("INFO server", "no text"));
    };
    let field = |name: &str| info.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    let nonce = field("run_id").ok_or_else(|| talk.nonsense("INFO server", &info))?;
    let mut report = SelfReport { nonce: Some(nonce.to_owned()), ..SelfReport::default() };
    for name in ["process_id", "tcp_port", "redis_version", "redis_build_id"] {
        if let Some(value) = field(name) {
            report.boot.insert(name.to_owned(), value.to_owned());
        }
    }
    report.counter = match ask(talk, &["LLEN", JOURNAL])? {
        Reply::Number(n) => u64::try_from(n).ok(),
        other => return Err(talk.nonsense("LLEN", &format!("{other:?}"))),
    };
    if digest && keys > 0 {
        report.memory_hash = Some(digest_values(talk, keys)?);
    }
    Ok(report)
}

/// A digest over the loaded values as redis holds them. `DEBUG DIGEST` would take in the writer's journal too, and
/// stop redis for a second over 512 MiB.
fn digest_values(talk: &mut Talk, keys: u64) -> Result<String, ProbeError> {
    let mut hash = Sha256::new();
    for first in (0..keys).step_by(DIGEST_BATCH as usize) {
        let names: Vec<String> = (first..keys.min(first + DIGEST_BATCH)).map(key).collect();
        let words: Vec<&str> = ["DEBUG", "DIGEST-VALUE"].into_iter().chain(names.iter().map(String::as_str)).collect();
        match ask(talk, &words)? {
            Reply::List(digests) if digests.len() == names.len() => {
                for digest in digests {
                    hash.update(format!("{digest:?}"));
                }
            }
            other => return Err(talk.nonsense("DEBUG DIGEST-VALUE", &format!("{other:?}"))),
        }
    }
    Ok(hash.finalize()[..16].iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    }))
}

/// The whole journal, in its order.
pub(super) fn journal(talk: &mut Talk) -> Result<Vec<u64>, ProbeError> {
    let mut journal = Vec::new();
    loop {
        let first = journal.len() as u64;
        let last = first + JOURNAL_BATCH - 1;
        let part = match ask(talk, &["LRANGE", JOURNAL, &first.to_string(), &last.to_string()])? {
            Reply::List(part) => part,
            Reply::Error(said) => return Err(talk.nonsense("LRANGE", &said)),
            other => return Err(talk.nonsense("LRANGE", &format!("{other:?}"))),
        };
        let full = part.len() as u64 == JOURNAL_BATCH;
        for entry in part {
            let number = if let Reply::Text(t) = &entry { t.parse().ok() } else { None };
            journal.push(number.ok_or_else(|| talk.nonsense("LRANGE", &format!("{entry:?}")))?);
        }
        if !full {
            return Ok(journal);
        }
    }
}
