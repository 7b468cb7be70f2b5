//! What a run does now, from its events: pure state, which the command line shows as it likes.

use super::text;
use crate::record::{At, CaseId, Event, Line, Millis};

/// The progress of a run, fed with its events.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    planned: usize,
    started: usize,
    nodes: usize,
    /// Cases that began and have not ended, the latest last.
    open: Vec<Open>,
}

#[derive(Clone, Debug)]
struct Open {
    id: CaseId,
    number: usize,
    /// What it does and since when.
    doing: Option<(String, At)>,
    repetition: Option<String>,
}

impl Progress {
    /// Takes an event in. Returns a line that tells of it where no status line can be shown (a log, a pipe); most events
    /// need none. The line of a case that ended is `terminal::case_line`'s.
    pub fn feed(&mut self, line: &Line) -> Option<String> {
        match (&line.event, &line.case) {
            (Event::CasePlanned { .. }, _) => self.planned += 1,
            (Event::NodeUp(node), _) => {
                self.nodes += 1;
                return Some(format!("node {} is up after {}", text::line(&node.name), Millis(node.up_ms)));
            }
            (Event::RunError(f), _) => return Some(format!("error: {}: {}", f.class, text::line(&f.message))),
            (Event::Leaked(l), _) => {
                return Some(text::line(&format!("left behind: {} {}: {}", l.kind, l.name, l.reason)));
            }
            (Event::Interrupted, _) => return Some("interrupted: cleaning up".to_owned()),
            (Event::CaseStarted, Some(id)) => {
                self.started += 1;
                self.open.push(Open { id: id.clone(), number: self.started, doing: None, repetition: None });
                return Some(format!("[{}/{}] {}", self.started, self.planned, text::line(&id.0)));
            }
            (Event::CaseFinished { .. }, Some(id)) => self.open.retain(|o| o.id != *id),
            (event, Some(id)) => {
                if let Some(open) = self.open.iter_mut().find(|o| o.id == *id) {
                    open.feed(event, line.at);
                }
            }
            (_, None) => {}
        }
        None
    }

    /// One line on what goes on now: `[3/18] redis-migrates[engine=cri,data=512Mi]  migrate redis to b, fenced  2.3 s`; of cases
    /// that run side by side each, the oldest first. `None` when nothing does.
    pub fn status(&self, now: At) -> Option<String> {
        if self.open.is_empty() {
            return (self.planned > 0 && self.started == 0).then(|| format!("making nodes ({} up)", self.nodes));
        }
        let each: Vec<String> = self.open.iter().map(|open| open.status(self.planned, now)).collect();
        Some(each.join("  |  "))
    }

    /// Cases that ended, and cases that were planned.
    pub fn done(&self) -> (usize, usize) {
        (self.started - self.open.len(), self.planned)
    }
}

impl Open {
    fn status(&self, planned: usize, now: At) -> String {
        let mut line = format!("[{}/{planned}] {}", self.number, text::line(&self.id.0));
        if let Some(repetition) = &self.repetition {
            line.push_str(&format!("  {repetition}"));
        }
        if let Some((doing, since)) = &self.doing {
            line.push_str(&format!("  {}  {:.1} s", text::line(doing), now.since(*since).as_secs_f64()));
        }
        line
    }

    fn feed(&mut self, event: &Event, at: At) {
        match event {
            Event::Repetition { number, of, warmup } => {
                let word = if *warmup { "warm-up" } else { "repetition" };
                let of = of.map(|of| format!("/{of}")).unwrap_or_default();
                self.repetition = Some(format!("{word} {number}{of}"));
            }
            Event::StepStarted { title, .. } => self.doing = Some((title.clone(), at)),
            Event::StepFinished(_) => self.doing = Some(("judging and cleaning up".to_owned(), at)),
            _ => {}
        }
    }
}
