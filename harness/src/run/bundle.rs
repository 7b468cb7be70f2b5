//! A case of a stored run as one zip file: whole, and a run of its own. Unpacked elsewhere it can be read, rendered
//! (`podferry report`) and judged (`podferry recheck`) without the machine that it ran on.

use super::store::{StoredRunError, lines};
use super::{folder, load_with_past};
use crate::record::{CaseId, Line, Run};
use crate::report;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A bundle that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The file.
    pub path: PathBuf,
    /// How many files are in it.
    pub files: usize,
    /// Its size.
    pub bytes: u64,
}

/// Writes one case of a stored run as a zip file into a folder.
///
/// # Errors
/// The run or a file of the case cannot be read, or the zip file cannot be written.
pub fn bundle(dir: &Path, case: &CaseId, into: &Path) -> Result<Bundle, StoredRunError> {
    let run = alone(load_with_past(dir)?, case);
    let top = format!("{}-{}", run.id, folder(case));
    let path = into.join(format!("{top}.zip"));
    let fail = |source| StoredRunError::Write { path: path.clone(), source };
    fs::create_dir_all(into).map_err(fail)?;
    // Half a bundle must not pass for a whole one.
    let fresh = into.join(format!(".{top}.zip.{}", std::process::id()));
    let made = written(dir, &run, case, &top, &fresh);
    let files = made.inspect_err(|_| drop(fs::remove_file(&fresh)))?;
    fs::rename(&fresh, &path).inspect_err(|_| drop(fs::remove_file(&fresh))).map_err(fail)?;
    let bytes = fs::metadata(&path).map_err(fail)?.len();
    Ok(Bundle { path, files, bytes })
}

/// The run as if it had done this case alone.
fn alone(mut run: Run, case: &CaseId) -> Run {
    run.cases.retain(|c| c.id == *case);
    let files: BTreeSet<String> = run.cases.iter().map(|c| c.origin.file.clone()).collect();
    run.scenarios.retain(|file, _| files.contains(file));
    run
}

fn written(dir: &Path, run: &Run, case: &CaseId, top: &str, to: &Path) -> Result<usize, StoredRunError> {
    let fail = |source| StoredRunError::Write { path: to.to_owned(), source };
    let mut zip = ZipWriter::new(BufWriter::new(File::create(to).map_err(fail)?));
    let plain = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let texts = BTreeMap::from([
        ("README.md", report::bundle_readme(run)),
        ("events.jsonl", events(dir, case)?),
        ("run.json", report::json(run)),
        ("report.html", report::html(run)),
        ("summary.md", report::markdown(run)),
        ("traces.otlp.jsonl", report::otlp_lines(run)),
    ]);
    for (name, text) in &texts {
        zip.start_file(format!("{top}/{name}"), plain).map_err(|e| fail(e.into()))?;
        zip.write_all(text.as_bytes()).map_err(fail)?;
    }
    let files = files(dir, run)?;
    for (name, path) in &files {
        let read = |source| StoredRunError::Read { path: path.clone(), source };
        let mut file = File::open(path).map_err(read)?;
        let large = file.metadata().map_err(read)?.len() > u64::from(u32::MAX);
        zip.start_file(format!("{top}/{name}"), plain.large_file(large)).map_err(|e| fail(e.into()))?;
        io::copy(&mut file, &mut zip).map_err(read)?;
    }
    zip.finish().map_err(|e| fail(e.into()))?.flush().map_err(fail)?;
    Ok(texts.len() + files.len())
}

/// Events of the case, and those that belong to none.
fn events(dir: &Path, case: &CaseId) -> Result<String, StoredRunError> {
    let mine = |line: &Line| line.case.as_ref().is_none_or(|c| c == case);
    let text = |line: &Line| serde_json::to_string(line).unwrap_or_default() + "\n";
    Ok(lines(dir)?.iter().filter(|line| mine(line)).map(text).collect())
}

/// Files of the case by their names in the run's folder: all that lies in the case's own, what its events name, and its
/// scenario. What is named and was never written is left out, as in the report.
fn files(dir: &Path, run: &Run) -> Result<BTreeMap<String, PathBuf>, StoredRunError> {
    let mut all = BTreeMap::new();
    for case in &run.cases {
        let own = format!("cases/{}", folder(&case.id));
        walk(&dir.join(&own), &own, &mut all)?;
        let kept = run.scenarios.values().map(|s| &s.copy);
        for name in case.files.iter().chain(kept) {
            let path = dir.join(name);
            let inside = !name.split('/').any(|part| part == "..") && !name.starts_with('/');
            if inside && path.is_file() {
                all.insert(name.clone(), path);
            }
        }
    }
    Ok(all)
}

fn walk(path: &Path, name: &str, all: &mut BTreeMap<String, PathBuf>) -> Result<(), StoredRunError> {
    let read = |source| StoredRunError::Read { path: path.to_owned(), source };
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(read)?,
    };
    for entry in entries {
        let entry = entry.map_err(read)?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().map_err(read)?;
        // Links and what is no file (a socket that a daemon left among its logs) hold no evidence.
        if kind.is_dir() {
            walk(&entry.path(), &name, all)?;
        } else if kind.is_file() {
            all.insert(name, entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
