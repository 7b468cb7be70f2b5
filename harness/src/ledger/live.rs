use super::lines::{Claim, Line, parse};
use super::{LedgerError, lost_at_reboot, runs_dir};
use crate::record::RunId;
use std::fs::{File, create_dir_all, read, remove_file};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The ledger of a living run. The lock on its file lasts as long as this value, or the process: it is not inherited by
/// the programs that the run starts.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: Mutex<File>,
}

impl Ledger {
    /// Begins the ledger of a run in the user's state folder.
    pub fn open(run: &RunId) -> Result<Ledger, LedgerError> {
        Ledger::open_in(&runs_dir(), run)
    }

    /// Begins the ledger of a run in a folder of one's choice.
    pub fn open_in(dir: &Path, run: &RunId) -> Result<Ledger, LedgerError> {
        create_dir_all(dir).map_err(LedgerError::io(dir))?;
        let path = dir.join(format!("{run}.ledger"));
        // The file gets its name only once it is locked, so that no sweep of another run takes it for a dead one.
        loop {
            let new = tempfile::Builder::new().prefix(".new-").tempfile_in(dir).map_err(LedgerError::io(dir))?;
            new.as_file().lock().map_err(LedgerError::io(&path))?;
            let started = jiff::Timestamp::now().to_string();
            let head = Line::Run { run: run.0.clone(), pid: std::process::id(), started };
            new.as_file().write_all(&head.bytes()).map_err(LedgerError::io(&path))?;
            match new.persist_noclobber(&path) {
                Ok(file) => return Ok(Ledger { path, file: Mutex::new(file) }),
                Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(LedgerError::Taken { run: run.0.clone(), path });
                }
                // A sweep took the nameless file between its making and its locking.
                Err(e) if e.error.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(LedgerError::Io { path, source: e.error }),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says that a thing is about to be made. To be called before it is made: on return the line outlives this process
    /// (and, for a kind of thing that outlives a restart of the machine, that too).
    pub fn claim(&self, kind: &str, name: &str) -> io::Result<()> {
        let line = Line::Claim(Claim { kind: kind.to_owned(), name: name.to_owned() });
        self.append(&line, !lost_at_reboot(kind))
    }

    /// Says that a thing is gone. To be called after it is removed.
    pub fn release(&self, kind: &str, name: &str) -> io::Result<()> {
        self.append(&Line::Release(Claim { kind: kind.to_owned(), name: name.to_owned() }), false)
    }

    /// What is claimed and not released.
    pub fn claims(&self) -> io::Result<Vec<Claim>> {
        Ok(parse(&read(&self.path)?).open)
    }

    /// Ends it. The file goes if all is released; else it stays, for the next start to sweep, and what is in it is
    /// returned.
    pub fn close(self) -> io::Result<Vec<Claim>> {
        let open = self.claims()?;
        if open.is_empty() {
            remove_file(&self.path)?;
        }
        Ok(open)
    }

    /// Removes what is still claimed, last made first, by the caller's hand, as [`super::DeadRun::sweep`] does after a
    /// dead run: the one function serves both. What it could not remove stays claimed and is returned with the reason.
    pub fn sweep(&self, mut undo: impl FnMut(&Claim) -> Result<(), String>) -> io::Result<Vec<(Claim, String)>> {
        let mut unswept = Vec::new();
        for claim in self.claims()?.into_iter().rev() {
            match undo(&claim) {
                Ok(()) => self.release(&claim.kind, &claim.name)?,
                Err(reason) => unswept.push((claim, reason)),
            }
        }
        Ok(unswept)
    }

    fn append(&self, line: &Line, durable: bool) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        append(&mut file, line)?;
        if durable { file.sync_data() } else { Ok(()) }
    }
}

/// A run that made nothing, or undid it all, leaves no file, however it ended.
impl Drop for Ledger {
    fn drop(&mut self) {
        if self.claims().is_ok_and(|open| open.is_empty()) {
            let _ = remove_file(&self.path);
        }
    }
}

/// Writes one line, whole or not at all: half a line before a good one would hide that one.
pub(super) fn append(file: &mut File, line: &Line) -> io::Result<()> {
    let end = file.seek(io::SeekFrom::End(0))?;
    file.write_all(&line.bytes()).inspect_err(|_| {
        // When that fails too, the reader counts the line as unreadable.
        let _ = file.set_len(end);
    })
}
