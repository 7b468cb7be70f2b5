//! CRIU's log on one node. All dumps and restores of the node write to one file, since the option that names it has to
//! be the same for all (the file that has them is named by a container's annotations, which a restored one has of its source), and CRIU empties it when it starts.

use crate::engine::criu_log;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Default)]
struct Use {
    active: u32,
    mixed: bool,
}

/// The log, and who writes to it now.
pub(in crate::engine) struct CriuLog {
    path: PathBuf,
    now: Arc<Mutex<Use>>,
}

/// One dump or restore under way.
pub(in crate::engine) struct Writing {
    path: PathBuf,
    now: Arc<Mutex<Use>>,
}

/// What a dump or restore left in the log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct Said {
    /// CRIU's errors; ours for certain.
    pub(in crate::engine) lines: Vec<String>,
    /// Set instead of `lines` if another operation wrote to the log at the same time.
    pub(in crate::engine) mixed: Vec<String>,
}

impl CriuLog {
    /// The log at `path` (on the host).
    pub(in crate::engine) fn new(path: PathBuf) -> Self {
        CriuLog { path, now: Arc::default() }
    }

    /// A dump or restore begins. If it is the only one, what the last one left is deleted.
    pub(in crate::engine) fn begin(&self) -> Writing {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.active += 1;
        now.mixed = now.active > 1;
        if now.active == 1 {
            // Absent, usually. Left there, it would be taken for this one's if CRIU never starts.
            let _ = std::fs::remove_file(&self.path);
        }
        Writing { path: self.path.clone(), now: Arc::clone(&self.now) }
    }

    /// Whether no dump or restore is under way.
    pub(in crate::engine) fn idle(&self) -> bool {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).active == 0
    }
}

impl Writing {
    /// What CRIU said. To be asked when it has ended.
    pub(in crate::engine) fn said(&self) -> Said {
        let lines = criu_log::errors(&criu_log::ends(&self.path));
        if !self.now.lock().unwrap_or_else(PoisonError::into_inner).mixed {
            return Said { lines, mixed: Vec::new() };
        }
        let note =
            "other checkpoints or restores ran on this node at the same time: CRIU's lines may be theirs".to_owned();
        Said { lines: Vec::new(), mixed: std::iter::once(note).chain(lines).collect() }
    }

    /// The log's last three lines, whatever they say: what CRIU was doing when it was killed.
    pub(in crate::engine) fn end(&self) -> Vec<String> {
        let log = criu_log::ends(&self.path);
        let mut lines: Vec<String> = log.lines().rev().take(3).map(|line| line.trim().to_owned()).collect();
        lines.reverse();
        lines
    }

    /// The log's length in bytes; 0 if there is none.
    pub(in crate::engine) fn len(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |meta| meta.len())
    }

    /// Deletes the log: it lies in memory.
    pub(in crate::engine) fn discard(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.active -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::criu_log::PART;

    const LINE: &str = "(00.1) Error (criu/x.c:1): broken\n";

    fn log() -> (tempfile::TempDir, CriuLog) {
        let dir = tempfile::tempdir().unwrap();
        let log = CriuLog::new(dir.path().join("criu.log"));
        (dir, log)
    }

    #[test]
    fn what_the_last_one_left_is_not_ours() {
        let (_dir, log) = log();
        std::fs::write(&log.path, LINE).unwrap();
        assert_eq!(log.begin().said(), Said::default());
    }

    #[test]
    fn alone_the_lines_are_ours() {
        let (_dir, log) = log();
        let writing = log.begin();
        std::fs::write(&log.path, LINE).unwrap();
        assert_eq!(writing.said().lines, [LINE.trim()]);
    }

    #[test]
    fn two_at_a_time_are_mixed_for_both_and_not_after() {
        let (_dir, log) = log();
        let (one, two) = (log.begin(), log.begin());
        std::fs::write(&log.path, LINE).unwrap();
        for writing in [&one, &two] {
            let said = writing.said();
            assert_eq!((said.lines.len(), said.mixed.len()), (0, 2));
        }
        drop((one, two));
        let writing = log.begin();
        std::fs::write(&log.path, LINE).unwrap();
        assert_eq!(writing.said().lines.len(), 1);
    }

    #[test]
    fn both_ends_of_a_long_log_are_read_once() {
        let (_dir, log) = log();
        let writing = log.begin();
        for middle in [0, PART - 100, PART + 100, 5 * PART] {
            let middle = "x".repeat(usize::try_from(middle).unwrap());
            std::fs::write(&log.path, format!("{LINE}{middle}\n(00.2) Error (criu/y.c:2): last\n")).unwrap();
            let lines = writing.said().lines;
            assert!(lines.first().is_some_and(|l| l.contains("broken")), "{lines:?}");
            assert!(lines.last().is_some_and(|l| l.contains("last")), "{lines:?}");
        }
    }
}
