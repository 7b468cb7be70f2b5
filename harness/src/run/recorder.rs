use crate::clock;
use crate::record::{CaseId, CaseRecord, Event, Failure, History, Line, Run, apply, unbegun};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Told of what happens as it happens, for live progress.
pub trait Listener: Send + Sync {
    /// A line was recorded.
    fn line(&self, line: &Line);

    /// A case ended; with the histories of its clients.
    fn case(&self, case: &CaseRecord);
}

/// Appends events to `events.jsonl` and keeps them. One line is one write, flushed at once: a run that is killed has
/// all that happened before.
pub struct Recorder {
    dir: PathBuf,
    inner: Mutex<Inner>,
    listener: Box<dyn Listener>,
}

struct Inner {
    file: BufWriter<File>,
    /// What the events come to so far. Kept, since every checkpoint asks for it: folding all events of a long run anew each
    /// time would be paid in the middle of what is timed.
    run: Run,
    broken: Option<io::Error>,
}

impl Recorder {
    /// Makes `events.jsonl` in the run's folder.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(dir: &Path, listener: Box<dyn Listener>) -> io::Result<Self> {
        let file = File::create_new(dir.join("events.jsonl"))?;
        let inner = Inner { file: BufWriter::new(file), run: unbegun(), broken: None };
        Ok(Recorder { dir: dir.to_owned(), inner: Mutex::new(inner), listener })
    }

    /// The run's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Records what happened outside any case.
    pub fn run(&self, event: Event) {
        self.append(Line { at: clock::now(), case: None, event });
    }

    /// Records what happened in a case.
    pub fn case(&self, case: &CaseId, event: Event) {
        self.append(Line { at: clock::now(), case: Some(case.clone()), event });
    }

    /// Records an error that belongs to no case.
    pub fn error(&self, failure: Failure) {
        self.run(Event::RunError(failure));
    }

    /// The run as far as it has come, without client histories.
    pub fn fold(&self) -> Run {
        self.lock().run.clone()
    }

    /// The case's evidence as far as it has come.
    pub fn evidence(&self, case: &CaseId) -> crate::record::Evidence {
        self.record_of(case).map(|c| c.evidence).unwrap_or_default()
    }

    fn record_of(&self, case: &CaseId) -> Option<CaseRecord> {
        self.lock().run.cases.iter().find(|c| c.id == *case).cloned()
    }

    /// Records how a case ended, and tells the listener of the whole.
    pub fn case_finished(&self, case: &CaseId, event: Event, histories: BTreeMap<String, History>) {
        self.case(case, event);
        if let Some(mut record) = self.record_of(case) {
            record.evidence.histories = histories;
            self.listener.case(&record);
        }
    }

    /// The first error of writing the file, if there was one: a full disk must not end a run, but must be told.
    pub fn broken(&self) -> Option<String> {
        self.lock().broken.as_ref().map(|e| format!("can't write {}: {e}", self.dir.join("events.jsonl").display()))
    }

    fn append(&self, line: Line) {
        let mut inner = self.lock();
        if let Err(e) = write(&mut inner.file, &line) {
            inner.broken.get_or_insert(e);
        }
        apply(&mut inner.run, &line);
        drop(inner);
        self.listener.line(&line);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn write(file: &mut BufWriter<File>, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *file, line)?;
    file.write_all(b"\n")?;
    file.flush()
}
