use super::lines::{Claim, Line, parse};
use super::live::append;
use super::{LedgerError, runs_dir};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError, read_dir, remove_file};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A run that died without closing its ledger. As long as this value lives, no other start can sweep after it.
#[derive(Debug)]
pub struct DeadRun {
    /// The run.
    pub run: String,
    /// What it left, in the order in which it was made.
    pub claims: Vec<Claim>,
    path: PathBuf,
    file: File,
    problems: Vec<Unswept>,
}

/// Something of a dead run that is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unswept {
    /// The run.
    pub run: String,
    /// What.
    pub claim: Claim,
    /// Why it could not be removed.
    pub reason: String,
}

/// The dead runs of this user, each locked against a second sweep.
pub fn dead() -> Result<Vec<DeadRun>, LedgerError> {
    dead_in(&runs_dir())
}

/// Like [`dead`], for a folder of one's choice. A folder that is not there holds no dead run.
pub fn dead_in(dir: &Path) -> Result<Vec<DeadRun>, LedgerError> {
    let entries = match read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(LedgerError::io(dir)(e)),
    };
    let mut runs = Vec::new();
    for entry in entries {
        let path = entry.map_err(LedgerError::io(dir))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ledger = path.extension() == Some(OsStr::new("ledger"));
        if !ledger && !name.starts_with(".new-") {
            continue;
        }
        let Some(file) = take(&path).map_err(LedgerError::io(&path))? else { continue };
        if ledger {
            runs.extend(read_run(path.clone(), file).map_err(LedgerError::io(&path))?);
        } else {
            remove(&path).map_err(LedgerError::io(&path))?;
        }
    }
    runs.sort_by(|a, b| a.run.cmp(&b.run));
    Ok(runs)
}

/// The file, locked; `None` if a living run holds it or another sweep removed it.
fn take(path: &Path) -> io::Result<Option<File>> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(e)) => return Err(e),
    }
    // Between the opening and the locking another sweep may have removed the file.
    match path.metadata() {
        Ok(there) => Ok((there.ino() == file.metadata()?.ino()).then_some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Reads a dead run's ledger; removes it at once if there is nothing to sweep.
fn read_run(path: PathBuf, mut file: File) -> io::Result<Option<DeadRun>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let contents = parse(&bytes);
    let run = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let problem = |number: &usize| Unswept {
        run: run.clone(),
        claim: Claim { kind: "ledger-line".to_owned(), name: format!("{}:{number}", path.display()) },
        reason: "the line is unreadable: what it claims is not known".to_owned(),
    };
    let problems: Vec<_> = contents.unreadable.iter().map(problem).collect();
    if contents.open.is_empty() && problems.is_empty() {
        remove(&path)?;
        return Ok(None);
    }
    // A torn last line would swallow the first line written after it.
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    file.set_len(whole as u64)?;
    Ok(Some(DeadRun { run, claims: contents.open, path, file, problems }))
}

fn remove(path: &Path) -> io::Result<()> {
    match remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Takes over what a dead run claimed: `noted` notes a claim of the caller's own on it, then the dead run's is released.
/// `false`: no dead run has this claim; another has taken it over, or it was swept.
///
/// # Errors
/// The ledgers can't be read or written, or `noted` fails.
pub fn take_over(claim: &Claim, noted: impl FnOnce() -> io::Result<()>) -> Result<bool, LedgerError> {
    take_over_in(&runs_dir(), claim, noted)
}

/// Like [`take_over`], for a folder of one's choice.
///
/// # Errors
/// As [`take_over`].
pub fn take_over_in(dir: &Path, claim: &Claim, noted: impl FnOnce() -> io::Result<()>) -> Result<bool, LedgerError> {
    let Some(run) = dead_in(dir)?.into_iter().find(|run| run.claims.contains(claim)) else { return Ok(false) };
    noted().map_err(LedgerError::io(&run.path))?;
    run.sweep(|other| if other == claim { Ok(()) } else { Err("it is not taken over".to_owned()) })?;
    Ok(true)
}

impl DeadRun {
    /// Removes what the run left, last made first, by the caller's hand: `undo` removes one thing, and is content if it
    /// is gone already. What it could not remove is returned, and stays in the ledger for the next start.
    pub fn sweep(mut self, mut undo: impl FnMut(&Claim) -> Result<(), String>) -> Result<Vec<Unswept>, LedgerError> {
        let mut unswept = std::mem::take(&mut self.problems);
        let mut kept = false;
        for claim in std::mem::take(&mut self.claims).into_iter().rev() {
            match undo(&claim) {
                Ok(()) => {
                    append(&mut self.file, &Line::Release(claim)).map_err(LedgerError::io(&self.path))?;
                }
                Err(reason) => {
                    kept = true;
                    unswept.push(Unswept { run: self.run.clone(), claim, reason });
                }
            }
        }
        if !kept {
            remove(&self.path).map_err(LedgerError::io(&self.path))?;
        }
        Ok(unswept)
    }
}
