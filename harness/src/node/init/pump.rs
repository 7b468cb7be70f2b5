use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// What one read takes: all that a pipe holds by default (64 KiB), so that one read after a program's end gets
/// everything that the program wrote.
const CHUNK: usize = 64 << 10;

/// Opens a log to append to, and makes its folder.
pub(super) fn open_log(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// Carries what comes through a pipe into a log.
#[derive(Debug)]
pub(super) struct Pump {
    pipe: io::PipeReader,
    log: File,
}

impl Pump {
    /// A pump, and the end of the pipe to write to.
    pub(super) fn new(log: File) -> io::Result<(Pump, io::PipeWriter)> {
        let (pipe, writer) = io::pipe()?;
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((Pump { pipe, log }, writer))
    }

    /// Carries what is there, at most one pipe full. `false`: nobody can write to the pipe any more.
    pub(super) fn carry(&mut self) -> bool {
        let mut bytes = [0; CHUNK];
        match self.pipe.read(&mut bytes) {
            Ok(0) => false,
            Ok(n) => {
                // A full disk must not stop the container that writes: it loses its log, not its life. The log says so.
                if self.log.write_all(&bytes[..n]).is_err() {
                    let _ = self.log.write_all(b"\npodferry: output was lost here: the log can't be written\n");
                }
                true
            }
            Err(e) => matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }
}

impl AsFd for Pump {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}
