//! A client's history as a file that spreadsheets and scripts can read: two comment lines, column names, a line an
//! operation. The second comment line is JSON and holds all but the operations.

use crate::record::{At, Connection, EndpointChange, History, Op, OpOutcome};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const TITLE: &str = "# podferry client history, version 1; times in ns on CLOCK_MONOTONIC";
const COLUMNS: &str = "intended,sent,done,outcome,key,value,endpoint";

/// Why a history could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryFileError {
    /// The file.
    #[error("client history {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Its content.
    #[error("client history {}:{line}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Header {
    kind: String,
    interval_ns: u64,
    worst_lateness_ns: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_early: Option<String>,
    endpoints: Vec<EndpointChange>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    connections: Vec<Connection>,
    /// Ascending runs, both ends included, in the list's order: a journal of a million entries is a few of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    final_journal: Option<Vec<(u64, u64)>>,
}

/// Writes a history.
///
/// # Errors
/// When the file can't be written.
pub fn write_history(path: &Path, history: &History) -> Result<(), HistoryFileError> {
    let failed = |source| HistoryFileError::Io { path: path.to_owned(), source };
    let text = to_text(history).map_err(failed)?;
    fs::write(path, text).map_err(failed)
}

/// Reads a history that [`write_history`] wrote.
///
/// # Errors
/// When the file can't be read or is not such a file; the line is named.
pub fn read_history(path: &Path) -> Result<History, HistoryFileError> {
    let text = fs::read_to_string(path).map_err(|source| HistoryFileError::Io { path: path.to_owned(), source })?;
    from_text(&text).map_err(|(line, problem)| HistoryFileError::Content { path: path.to_owned(), line, problem })
}

fn to_text(history: &History) -> io::Result<Vec<u8>> {
    let header = Header {
        kind: history.kind.clone(),
        interval_ns: history.interval_ns,
        worst_lateness_ns: history.worst_lateness_ns,
        ended_early: history.ended_early.clone(),
        endpoints: history.endpoints.clone(),
        connections: history.connections.clone(),
        final_journal: history.final_journal.as_deref().map(runs),
    };
    let mut out = Vec::with_capacity(history.ops.len() * 80 + 4096);
    writeln!(out, "{TITLE}\n# {}\n{COLUMNS}", serde_json::to_string(&header)?)?;
    let mut number = itoa::Buffer::new();
    for op in &history.ops {
        for n in [op.intended.0, op.sent.0, op.done.0] {
            out.extend_from_slice(number.format(n).as_bytes());
            out.push(b',');
        }
        out.extend_from_slice(outcome_name(op.outcome).as_bytes());
        for n in [op.key, op.value, u64::from(op.endpoint)] {
            out.push(b',');
            out.extend_from_slice(number.format(n).as_bytes());
        }
        out.push(b'\n');
    }
    Ok(out)
}

fn from_text(text: &str) -> Result<History, (usize, String)> {
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line));
    let mut next = |what: &str| lines.next().ok_or_else(|| (1, format!("ends before {what}")));
    let (n, title) = next("its title")?;
    if title != TITLE {
        return Err((n, format!("not `{TITLE}`")));
    }
    let (n, header) = next("its header")?;
    let header = header.strip_prefix("# ").ok_or_else(|| (n, "no header".to_owned()))?;
    let header: Header = serde_json::from_str(header).map_err(|e| (n, e.to_string()))?;
    let (n, columns) = next("its column names")?;
    if columns != COLUMNS {
        return Err((n, format!("columns are not `{COLUMNS}`")));
    }
    let mut ops = Vec::with_capacity(text.len() / 64);
    for (n, line) in lines {
        ops.push(op(line).ok_or_else(|| (n, format!("not an operation: `{line}`")))?);
    }
    Ok(History {
        kind: header.kind,
        interval_ns: header.interval_ns,
        endpoints: header.endpoints,
        ops,
        final_journal: header.final_journal.map(|r| r.into_iter().flat_map(|(a, b)| a..=b).collect()),
        worst_lateness_ns: header.worst_lateness_ns,
        ended_early: header.ended_early,
        connections: header.connections,
    })
}

fn op(line: &str) -> Option<Op> {
    let mut fields = line.split(',');
    let op = Op {
        intended: At(fields.next()?.parse().ok()?),
        sent: At(fields.next()?.parse().ok()?),
        done: At(fields.next()?.parse().ok()?),
        outcome: outcome(fields.next()?)?,
        key: fields.next()?.parse().ok()?,
        value: fields.next()?.parse().ok()?,
        endpoint: fields.next()?.parse().ok()?,
    };
    fields.next().is_none().then_some(op)
}

fn outcome_name(outcome: OpOutcome) -> &'static str {
    match outcome {
        OpOutcome::Ok => "ok",
        OpOutcome::Error => "error",
        OpOutcome::Unknown => "unknown",
        OpOutcome::NotSent => "not-sent",
    }
}

fn outcome(name: &str) -> Option<OpOutcome> {
    Some(match name {
        "ok" => OpOutcome::Ok,
        "error" => OpOutcome::Error,
        "unknown" => OpOutcome::Unknown,
        "not-sent" => OpOutcome::NotSent,
        _ => return None,
    })
}

fn runs(journal: &[u64]) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &n in journal {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(n) => *last = n,
            _ => runs.push((n, n)),
        }
    }
    runs
}

#[cfg(test)]
mod tests;
