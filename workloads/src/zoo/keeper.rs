//! The keeper: the first process, which has the cells and asks them all.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long cells may take for an answer, all together. A look takes milliseconds; one that blocks for ever has lost what
/// it waits for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a cell says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The kind.
    pub kind: String,
    /// `held`, `absent`, `failed`, `kept` or `lost`.
    pub word: String,
    /// The cell's process id.
    pub pid: u32,
    /// What names the cell's process: another one after a cold start.
    pub nonce: String,
    /// What it saw.
    pub text: String,
}

impl Answer {
    /// A line: `KIND WORD PID NONCE TEXT`.
    pub fn line(&self) -> String {
        let Answer { kind, word, pid, nonce, text } = self;
        format!("{kind} {word} {pid} {} {text}", if nonce.is_empty() { "-" } else { nonce }).trim_end().to_owned()
    }
}

/// All cells.
pub struct Keeper {
    cells: Vec<Cell>,
}

struct Cell {
    kind: String,
    child: Child,
    questions: ChildStdin,
    answers: ChildStdout,
    /// What was read of a line that has not ended.
    begun: Vec<u8>,
    /// Its first word.
    first: Answer,
}

impl Keeper {
    /// Starts a cell for each kind.
    ///
    /// # Errors
    /// A cell does not start. One that cannot hold its kind says so when it is asked.
    pub fn of(kinds: &[String]) -> io::Result<Self> {
        let cells: io::Result<Vec<Cell>> = kinds.iter().map(|kind| Cell::start(kind)).collect();
        let mut keeper = Keeper { cells: cells? };
        let end = Instant::now() + PATIENCE;
        for cell in &mut keeper.cells {
            cell.first = cell.answer(end);
        }
        Ok(keeper)
    }

    /// Asks all cells to look; their answers in the order of the kinds.
    pub fn report(&mut self) -> Vec<Answer> {
        let held = |cell: &Cell| cell.first.word == "held";
        // Asked first, waited for then: they look side by side.
        let asked: Vec<bool> =
            self.cells.iter_mut().map(|cell| !held(cell) || cell.questions.write_all(b"look\n").is_ok()).collect();
        let end = Instant::now() + PATIENCE;
        let ask = |(cell, asked): (&mut Cell, bool)| match (held(cell), asked) {
            (false, _) => cell.first.clone(),
            (true, true) => cell.answer(end),
            (true, false) => cell.gone("its process takes no question"),
        };
        self.cells.iter_mut().zip(asked).map(ask).collect()
    }
}

impl Cell {
    fn start(kind: &str) -> io::Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .args(["--cell", kind])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| io::Error::new(e.kind(), format!("the cell of {kind} does not start: {e}")))?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other(format!("the cell of {kind} has no pipes")));
        };
        let first =
            Answer { kind: kind.to_owned(), word: String::new(), pid: 0, nonce: String::new(), text: String::new() };
        Ok(Cell { kind: kind.to_owned(), child, questions, answers, begun: Vec::new(), first })
    }

    fn gone(&self, how: &str) -> Answer {
        Answer {
            kind: self.kind.clone(),
            word: if self.first.word == "held" { "lost" } else { "failed" }.to_owned(),
            pid: self.child.id(),
            nonce: self.first.nonce.clone(),
            text: how.to_owned(),
        }
    }

    fn answer(&mut self, end: Instant) -> Answer {
        let line = match self.line(end) {
            Ok(line) => line,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return self.gone("its process has ended"),
            Err(e) => return self.gone(&format!("its process does not answer: {e}")),
        };
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        Answer { kind: self.kind.clone(), word: word(), nonce: word(), text: word(), pid: self.child.id() }
    }

    fn line(&mut self, end: Instant) -> io::Result<String> {
        loop {
            if let Some(at) = self.begun.iter().position(|b| *b == b'\n') {
                let rest = self.begun.split_off(at + 1);
                let line = std::mem::replace(&mut self.begun, rest);
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            let left = end.saturating_duration_since(Instant::now());
            let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut on = [PollFd::new(self.answers.as_fd(), PollFlags::POLLIN)];
            match poll(&mut on, wait) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::TimedOut, format!("waited {PATIENCE:?}"))),
                Ok(_) => {}
                Err(nix::Error::EINTR) => continue,
                Err(e) => return Err(e.into()),
            }
            let mut buffer = [0; 4096];
            match self.answers.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => self.begun.extend_from_slice(&buffer[..n]),
            }
        }
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
