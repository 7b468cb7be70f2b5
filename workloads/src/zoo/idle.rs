//! Processes that do nothing but be there, for kinds that need more than one.

use super::sys;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

/// This program, whatever it is called.
const SELF: &str = "/proc/self/exe";

/// A process that ends when this is dropped, or with the process that made it.
pub(crate) struct Idle {
    child: Child,
    _life: Option<ChildStdin>,
}

impl Idle {
    /// Starts one after `first` was done in it; with so many more below it, one below the other.
    pub(crate) fn start(below: u32, first: impl FnMut() -> io::Result<()> + Send + Sync + 'static) -> io::Result<Self> {
        Self::by(Command::new(SELF).args(["--idle", &below.to_string()]), first)
    }

    fn by(command: &mut Command, first: impl FnMut() -> io::Result<()> + Send + Sync + 'static) -> io::Result<Self> {
        sys::before_exec(command, first);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let life = child.stdin.take();
        let mut idle = Idle { child, _life: life };
        // What it says when it has done `first` and has all those below it: their ids.
        idle.word()?;
        Ok(idle)
    }

    fn word(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let out = self.child.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        // Byte by byte: what comes after the line is not ours.
        let read = BufReader::with_capacity(1, out).read_line(&mut line)?;
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(line.trim().to_owned()) }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process whose parent has ended: its id. It ends with `life`, the pipe that it reads.
pub(crate) fn orphan() -> io::Result<(u32, ChildStdin)> {
    let mut between =
        Command::new(SELF).args(["--orphan", "1"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let life = between.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut said = String::new();
    BufReader::new(between.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut said)?;
    between.wait()?;
    let pid = said.trim().parse().map_err(|_| io::Error::other(format!("an orphan's id is `{said}`")))?;
    Ok((pid, life))
}

/// What `--idle N` does: starts one with `N - 1`, says that it is there, and waits for the end of its input.
///
/// # Errors
/// The one below does not start.
pub fn be_idle(below: u32) -> io::Result<()> {
    let _below = match below {
        0 => None,
        n => Some(Idle::start(n - 1, || Ok(()))?),
    };
    let mut out = io::stdout().lock();
    writeln!(out, "idle")?;
    out.flush()?;
    drop(out);
    io::stdin().lock().read_to_end(&mut Vec::new()).map(drop)
}

/// What `--orphan` does: starts an idle process with its own input, tells its id and ends.
///
/// # Errors
/// It does not start.
pub fn be_orphaned() -> io::Result<()> {
    let child = Command::new(SELF).args(["--idle", "0"]).stdin(Stdio::inherit()).stdout(Stdio::null()).spawn()?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", child.id())?;
    out.flush()
}
