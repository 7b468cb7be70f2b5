//! Live progress: one line that changes while someone watches, plain lines otherwise.

use super::terminal::{coloured, complain, watched};
use crate::clock;
use crate::component;
use crate::record::{CaseRecord, Line};
use crate::report::{self, Progress as State, Style};
use crate::run::Listener;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where progress is told.
#[derive(Clone)]
pub(super) struct Progress {
    bar: ProgressBar,
    quiet: bool,
    state: Arc<Mutex<State>>,
}

impl Progress {
    /// For a run.
    pub(super) fn new(quiet: bool) -> Self {
        let live = watched() && !quiet;
        let bar = match live {
            true => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
            false => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        if live {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Progress { bar, quiet, state: Arc::default() }
    }

    /// For commands that are no runs.
    pub(super) fn lines() -> Self {
        Progress::new(false)
    }

    /// Takes the events of a run.
    pub(super) fn listener(&self) -> Box<dyn Listener> {
        Box::new(self.clone())
    }

    fn say_line(&self, text: &str) {
        self.bar.suspend(|| complain(text));
    }

    /// Takes the changing line away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Listener for Progress {
    fn line(&self, line: &Line) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let told = state.feed(line);
        if let Some(text) = told.filter(|_| self.bar.is_hidden() && !self.quiet) {
            complain(&text);
        }
        if let Some(status) = state.status(clock::now()) {
            self.bar.set_message(status);
        }
    }

    fn case(&self, case: &CaseRecord) {
        self.say_line(&report::terminal::case_line(case, Style { color: coloured() }));
    }
}

impl component::Progress for Progress {
    fn say(&self, line: &str) {
        self.say_line(line);
    }

    fn update(&self, line: &str) {
        self.bar.set_message(line.to_owned());
    }
}
