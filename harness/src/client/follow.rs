//! The loop of a client that follows a log.

use super::log_line::LogLine;
use super::met::Odd;
use super::watch::{Answer, Watch};
use super::{ClientConfig, Command, Endpoint, Mailbox};
use crate::clock;
use crate::record::{At, EndpointChange, History, Op, OpOutcome, quoted};
use jiff::Timestamp;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::time::TimeSpec;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How soon a log is looked at again whose folder can't be watched: it is not there yet, or the machine gives no more watchers
/// (`fs.inotify.max_user_instances`, 128 by default for all that root runs: the nodes of two kind clusters have so many).
const RETRY: Duration = Duration::from_millis(1);

pub(super) fn run(config: &ClientConfig, first: EndpointChange, watch: &Watch, mailbox: &Mailbox) -> History {
    let history = History { kind: config.kind.name().to_owned(), ..History::default() };
    let mut follower = Follower { history, watch, max_ops: config.max_ops, log: None, told: Told::default() };
    follower.turn_to(first, &config.endpoint);
    if let Some(log) = &mut follower.log {
        log.skip_what_is_there = true;
    }
    if let Err(e) = follower.run(mailbox) {
        follower.history.ended_early = Some(format!("its loop failed: {e}"));
    }
    follower.history
}

struct Follower<'a> {
    history: History,
    watch: &'a Watch,
    max_ops: usize,
    log: Option<Log>,
    told: Told,
}

/// What the watch knows of this log already.
#[derive(Default)]
struct Told {
    there: bool,
    odd: bool,
}

impl Follower<'_> {
    fn run(&mut self, mailbox: &Mailbox) -> io::Result<()> {
        loop {
            let Some(log) = &mut self.log else { return Ok(()) };
            log.watch()?;
            let values = log.read();
            self.keep(&values);
            self.tell();
            let Some(log) = &self.log else { return Ok(()) };
            let timeout = (!log.watched).then(|| TimeSpec::from_duration(RETRY));
            let mut fds = vec![PollFd::new(mailbox.bell.as_fd(), PollFlags::POLLIN)];
            fds.extend(log.inotify.as_ref().map(|inotify| PollFd::new(inotify.as_fd(), PollFlags::POLLIN)));
            match ppoll(&mut fds, timeout, None) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
            let told = fds[0].revents().is_some_and(|r| !r.is_empty());
            if told && self.obey(mailbox) {
                return Ok(());
            }
        }
    }

    /// Does what it is told; true if that is to end.
    fn obey(&mut self, mailbox: &Mailbox) -> bool {
        for command in mailbox.take() {
            // What was written before the command counts for whom it came from.
            if let Some(log) = &mut self.log {
                let values = log.read();
                self.keep(&values);
            }
            match command {
                Command::Switch(change, endpoint) => self.turn_to(change, &endpoint),
                // A log has no address: its followers are switched.
                Command::Moved(..) => {}
                Command::Stop => return true,
            }
        }
        false
    }

    fn turn_to(&mut self, change: EndpointChange, endpoint: &Endpoint) {
        // Refused by `check_endpoint` before it gets here.
        let Endpoint::Log { path, not_before } = endpoint else { return };
        let not_before = wall(not_before.unwrap_or(change.at));
        self.history.endpoints.push(change);
        self.told = Told::default();
        if self.log.as_ref().is_none_or(|log| log.path != *path) {
            // The old one's watcher goes before there is a new one.
            self.log = None;
            self.log = Some(Log::new(path.clone(), not_before));
        }
    }

    /// Tells the watch what stands in the way of an answer.
    fn tell(&mut self) {
        let Some(log) = &mut self.log else { return };
        let endpoint = u32::try_from(self.history.endpoints.len().saturating_sub(1)).unwrap_or(u32::MAX);
        if log.file.is_some() && !std::mem::replace(&mut self.told.there, true) {
            self.watch.met(endpoint, |met| met.connected = true);
        }
        if let Some(said) = log.odd.take().filter(|_| !self.told.odd) {
            self.told.odd = true;
            self.watch.met(endpoint, |met| met.odd = Some(Odd { asked: None, said }));
        }
    }

    fn keep(&mut self, values: &[(At, u64)]) {
        let room = self.max_ops.saturating_sub(self.history.ops.len());
        if values.len() > room && self.history.ended_early.is_none() {
            self.history.ended_early = Some(format!("it had seen {} lines, the most that it keeps", self.max_ops));
        }
        let endpoint = u32::try_from(self.history.endpoints.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let mut answers = Vec::with_capacity(values.len());
        for &(at, value) in &values[..values.len().min(room)] {
            let key = self.history.ops.len() as u64;
            let outcome = OpOutcome::Ok;
            self.history.ops.push(Op { intended: at, sent: at, done: at, outcome, key, value, endpoint });
            answers.push(Answer { at, key, value });
        }
        self.watch.arrived(endpoint, &answers);
    }
}

/// The wall time at a moment of the monotonic clock: containerd stamps lines with the wall time of the same machine.
fn wall(at: At) -> Timestamp {
    // In this order, so that a pause between the two looks leads to an earlier time: a line too many is from just before,
    // one too few might be the only one.
    let now = Timestamp::now();
    let ago = clock::now().since(at);
    now.checked_sub(ago).unwrap_or(Timestamp::MIN)
}

/// A log that grows.
struct Log {
    path: PathBuf,
    not_before: Timestamp,
    /// Set at a client's start: lines without a time stamp that are there already were written before it.
    skip_what_is_there: bool,
    inotify: Option<Inotify>,
    watched: bool,
    file: Option<File>,
    /// A line that is not whole yet.
    rest: Vec<u8>,
    /// A line of this life that does not end in a number, quoted; the first since it was last asked for.
    odd: Option<String>,
}

/// What a line of a log is to its follower.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// It ends in this number.
    Number(u64),
    /// It does not; what the program said.
    Odd(String),
    /// Of another life, or empty.
    None,
}

impl Log {
    fn new(path: PathBuf, not_before: Timestamp) -> Log {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok();
        let (skip_what_is_there, watched) = (false, false);
        Log { path, not_before, skip_what_is_there, inotify, watched, file: None, rest: Vec::new(), odd: None }
    }

    /// Sees to it that the folder is watched (it tells of the file's coming and of its growth) and the file is open.
    /// Called before each read, so that nothing is missed between the two.
    fn watch(&mut self) -> io::Result<()> {
        let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        let events = match &self.inotify {
            Some(inotify) => {
                if !self.watched
                    && let Some(folder) = self.path.parent()
                {
                    self.watched = inotify.add_watch(folder, flags).is_ok();
                }
                inotify.read_events()
            }
            None => {
                if self.file.as_ref().is_some_and(|file| !is_at(file, &self.path)) {
                    self.file = None;
                    self.rest.clear();
                }
                Ok(Vec::new())
            }
        };
        match events {
            Ok(events) => {
                let come = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
                let ours = |name: &Option<std::ffi::OsString>| name.as_deref() == self.path.file_name();
                if events.iter().any(|e| e.mask.intersects(come) && ours(&e.name)) {
                    self.file = None;
                    self.rest.clear();
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        Ok(())
    }

    /// The numbers at the ends of the lines that have come, with the time when they were read.
    fn read(&mut self) -> Vec<(At, u64)> {
        let mut values = Vec::new();
        let mut chunk = [0; 8192];
        let skip = std::mem::take(&mut self.skip_what_is_there);
        let Some(file) = &mut self.file else { return values };
        loop {
            match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => {
                    let at = clock::now();
                    self.rest.extend_from_slice(&chunk[..n]);
                    let Some(end) = self.rest.iter().rposition(|&b| b == b'\n') else { continue };
                    for line in self.rest[..end].split(|&b| b == b'\n') {
                        match read_line(line, self.not_before, skip) {
                            Line::Number(value) => values.push((at, value)),
                            Line::Odd(said) if self.odd.is_none() => self.odd = Some(quoted(said.as_bytes())),
                            Line::Odd(_) | Line::None => {}
                        }
                    }
                    self.rest.drain(..=end);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.file = None;
                    break;
                }
            }
        }
        values
    }
}

/// Whether a file is still the one of this path.
fn is_at(file: &File, path: &Path) -> bool {
    let id = |m: std::fs::Metadata| (m.dev(), m.ino());
    // While there is none there, the old one may still be written to.
    std::fs::metadata(path).map(id).ok().is_none_or(|there| file.metadata().map(id).is_ok_and(|own| own == there))
}

/// A line of this life is one that the engine stamped at or after `not_before`, or a plain one.
fn read_line(line: &[u8], not_before: Timestamp, skip_plain: bool) -> Line {
    let line = String::from_utf8_lossy(line);
    let LogLine { stamp, text } = LogLine::read(&line);
    let old = match stamp {
        Some(stamp) => stamp < not_before,
        None => skip_plain,
    };
    let digits = text.len() - text.bytes().rev().take_while(u8::is_ascii_digit).count();
    match text[digits..].parse() {
        _ if old || text.trim().is_empty() => Line::None,
        Ok(value) => Line::Number(value),
        Err(_) => Line::Odd(text.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(line: &[u8], not_before: Timestamp, skip_plain: bool) -> Option<u64> {
        match read_line(line, not_before, skip_plain) {
            Line::Number(value) => Some(value),
            Line::Odd(_) | Line::None => None,
        }
    }

    fn at(stamp: &str) -> Timestamp {
        stamp.parse().unwrap()
    }

    #[test]
    fn the_number_at_the_end_is_taken_from_cri_and_plain_lines() {
        let noon = at("2026-11-22T12:00:00Z");
        let number = |line: &str| number(line.as_bytes(), noon, false);
        assert_eq!(number("2026-11-22T12:00:00.000000001Z stdout F 42"), Some(42));
        assert_eq!(number("2026-11-22T13:30:00.5+01:00 stdout F tick 43"), Some(43));
        assert_eq!(number("44\r"), Some(44));
        assert_eq!(number(r#"{"log":"46\n","stream":"stdout","time":"2026-11-22T12:00:00.1Z"}"#), Some(46));
        assert_eq!(number("count: 45"), Some(45));
        assert_eq!(number("no number"), None);
        assert_eq!(number(""), None);
        assert_eq!(number("99999999999999999999"), None, "more than fits");
    }

    #[test]
    fn a_log_that_cannot_be_watched_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        let mut log = Log { inotify: None, ..Log::new(path.clone(), Timestamp::MIN) };
        let mut look = || {
            log.watch().unwrap();
            log.read().into_iter().map(|(_, value)| value).collect::<Vec<u64>>()
        };
        assert!(look().is_empty());
        std::fs::write(&path, "1\n2").unwrap();
        assert_eq!(look(), [1]);
        std::fs::write(&path, "1\n2\n3\n").unwrap();
        assert_eq!(look(), [2, 3]);
        std::fs::rename(&path, dir.path().join("old.log")).unwrap();
        assert!(look().is_empty());
        std::fs::write(&path, "4\n").unwrap();
        assert_eq!(look(), [4], "another file of that name");
        assert!(!log.watched);
    }

    #[test]
    fn lines_of_another_life_are_left_out() {
        let noon = at("2026-11-22T12:00:00Z");
        assert_eq!(number(b"2026-11-22T11:59:59.999999999Z stdout F 41", noon, false), None);
        assert_eq!(number(b"2026-11-22T11:00:00-01:00 stdout F 42", noon, true), Some(42));
        assert_eq!(number(b"42", noon, true), None);
        assert_eq!(read_line(b"2026-11-22T11:59:59Z stdout F old", noon, false), Line::None);
        assert_eq!(read_line(b"2026-11-22T12:00:01Z stdout F new", noon, false), Line::Odd("new".to_owned()));
        assert_eq!(read_line(b"", noon, false), Line::None);
        let docker = br#"{"log":"40\n","stream":"stdout","time":"2026-11-22T11:59:59.9Z"}"#;
        assert_eq!(number(docker, noon, false), None);
    }

    #[test]
    fn the_wall_time_of_a_past_moment_is_past() {
        let before = Timestamp::now();
        let second_ago = wall(At(clock::now().0 - 1_000_000_000));
        let ago = before.duration_since(second_ago).as_secs_f64();
        assert!((0.9..1.1).contains(&ago), "{ago}");
    }
}
