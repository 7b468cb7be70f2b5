//! Stored runs: reading one back, and writing the reports of one into its folder.

use super::past;
use crate::client::read_history;
use crate::record::{CaseId, CaseRecord, Line, Outcome, Run, fold};
use crate::report;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why a stored run cannot be read, or its reports cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum StoredRunError {
    /// A file of it cannot be read.
    #[error("can't read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A report cannot be written.
    #[error("can't write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A line of `events.jsonl` is no event, and it is not the last one (a killed run may leave half a line).
    #[error("{}, line {line}: this is no event", .path.display())]
    Event {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads a run from its folder, with the histories of its clients and the text of its scenarios. Works for a killed run too.
///
/// # Errors
/// If `events.jsonl` cannot be read, or is damaged before its last line.
pub fn load(dir: &Path) -> Result<Run, StoredRunError> {
    let lines = lines(dir)?;
    let mut run = fold(&lines);
    attach_histories(dir, &mut run, &lines);
    for kept in run.scenarios.values_mut() {
        // Without it places are told by their numbers alone.
        kept.text = fs::read_to_string(dir.join(&kept.copy)).ok();
    }
    Ok(run)
}

/// [`load`], with what earlier runs beside it tell of the cases that did not pass.
///
/// # Errors
/// See [`load`].
pub fn load_with_past(dir: &Path) -> Result<Run, StoredRunError> {
    let mut run = load(dir)?;
    let well = |c: &&CaseRecord| matches!(c.outcome, Some(Outcome::Passed | Outcome::Skipped));
    let troubled: BTreeSet<CaseId> = run.cases.iter().filter(|c| !well(c)).map(|c| c.id.clone()).collect();
    if !troubled.is_empty() {
        run.past = past::of(dir, &run, &troubled);
    }
    Ok(run)
}

/// The events of a stored run, in order.
pub(super) fn lines(dir: &Path) -> Result<Vec<Line>, StoredRunError> {
    let path = dir.join("events.jsonl");
    let text = fs::read_to_string(&path).map_err(|source| StoredRunError::Read { path: path.clone(), source })?;
    let mut lines = Vec::new();
    let count = text.lines().count();
    for (i, line) in text.lines().enumerate() {
        match serde_json::from_str::<Line>(line) {
            Ok(line) => lines.push(line),
            Err(_) if i + 1 == count => break,
            Err(source) => return Err(StoredRunError::Event { path, line: i + 1, source }),
        }
    }
    Ok(lines)
}

/// Adds the histories that a run's events name; one that cannot be read is left out, as if its client had not ended.
fn attach_histories(dir: &Path, run: &mut Run, lines: &[Line]) {
    use crate::record::Event;
    for line in lines {
        let (Some(id), Event::History { client, file }) = (&line.case, &line.event) else { continue };
        let Some(case) = run.cases.iter_mut().find(|c| c.id == *id) else { continue };
        if let Ok(history) = read_history(&dir.join(file)) {
            case.evidence.histories.insert(client.clone(), history);
        }
    }
}

/// Writes every report of a run into its folder; gives their paths.
///
/// # Errors
/// If one cannot be written; those before it are there.
pub fn write_reports(dir: &Path, run: &Run) -> Result<Vec<PathBuf>, StoredRunError> {
    let reports = [
        ("run.json", report::json(run)),
        ("junit.xml", report::junit(run)),
        ("summary.md", report::markdown(run)),
        ("report.html", report::html(run)),
    ];
    let mut written = Vec::new();
    for (name, text) in reports {
        let path = dir.join(name);
        if let Err(source) = fs::write(&path, text) {
            // Half a report reads like a whole one.
            let _ = fs::remove_file(&path);
            return Err(StoredRunError::Write { path, source });
        }
        written.push(path);
    }
    Ok(written)
}
