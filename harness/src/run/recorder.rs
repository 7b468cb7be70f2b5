use crate::clock;
use crate::record::{CaseId, Event, Failure, Line, Run, fold};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Called with every line as it is recorded, for live progress.
pub type Listener = Box<dyn Fn(&Line) + Send + Sync>;

/// Appends events to `events.jsonl` and keeps them. One line is one write, flushed at once: a run that is killed has
/// all that happened before.
pub struct Recorder {
    dir: PathBuf,
    inner: Mutex<Inner>,
    listener: Listener,
}

struct Inner {
    file: BufWriter<File>,
    lines: Vec<Line>,
    broken: Option<io::Error>,
}

impl Recorder {
    /// Makes `events.jsonl` in the run's folder.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(dir: &Path, listener: Listener) -> io::Result<Self> {
        let file = File::create_new(dir.join("events.jsonl"))?;
        let inner = Inner { file: BufWriter::new(file), lines: Vec::new(), broken: None };
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
        fold(&self.lock().lines)
    }

    /// The case's evidence as far as it has come.
    pub fn evidence(&self, case: &CaseId) -> crate::record::Evidence {
        self.fold().cases.into_iter().find(|c| c.id == *case).map(|c| c.evidence).unwrap_or_default()
    }

    /// The first error of writing the file, if there was one: a full disk must not end a run, but must be told.
    pub fn broken(&self) -> Option<String> {
        self.lock().broken.as_ref().map(|e| format!("writing events.jsonl: {e}"))
    }

    fn append(&self, line: Line) {
        let mut inner = self.lock();
        if let Err(e) = write(&mut inner.file, &line) {
            inner.broken.get_or_insert(e);
        }
        inner.lines.push(line.clone());
        drop(inner);
        (self.listener)(&line);
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
