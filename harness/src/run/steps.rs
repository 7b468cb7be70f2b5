//! The steps of a case, in order, and those that are done whatever came before.

use super::action;
use super::case::CaseRun;
use super::memory::Refusals;
use crate::clock;
use crate::record::{ErrorClass, Event, Failure, KnownPart, StepRecord};
use crate::scenario::plan::{STEP_TIMEOUT, Step};
use regex::Regex;
use tokio::time::Instant;

/// A step that did not go as the scenario says.
pub(super) struct Broken {
    /// What of the case it is: the step, or the case when its time was up.
    pub(super) of: KnownPart,
    /// The index of the step, those of `finally` after the others.
    pub(super) index: usize,
    pub(super) failure: Failure,
}

impl CaseRun<'_> {
    /// Runs the steps until one does not go as the scenario says, or the time of the case is up; that one's failure, if it
    /// is not a check's matter.
    pub(super) async fn steps(&mut self) -> Option<Broken> {
        for (index, step) in self.case.steps.iter().enumerate() {
            self.step = index;
            let (broken, _) = self.one(index, step, false).await;
            if broken.is_some() {
                return broken;
            }
        }
        None
    }

    /// Runs all the steps of `finally`, also after one of them that fails. What one acts on may never have come to be, or be
    /// gone because all went well: it is told and passed over then.
    pub(super) async fn finally(&mut self) -> Vec<Broken> {
        let before = self.case.steps.len();
        let mut failures = Vec::new();
        // The time of the case bounds its steps; each of these has its own.
        self.deadline = None;
        for (number, step) in self.case.finally.iter().enumerate() {
            let index = before + number;
            self.step = index;
            match self.lacks(step) {
                Some(lacks) => self.pass_over(index, step, lacks),
                None => failures.extend(self.one(index, step, true).await.0),
            }
        }
        failures
    }

    /// Does one step that nobody's scenario has. Its failure, if it did not go as it was to; and what it failed with, if that
    /// was to be.
    pub(super) async fn alone(&mut self, index: usize, step: &Step) -> (Option<Failure>, Option<Failure>) {
        self.step = index;
        let (broken, failure) = Box::pin(self.one(index, step, false)).await;
        (broken.map(|broken| broken.failure), failure)
    }

    async fn one(&mut self, index: usize, step: &Step, finally: bool) -> (Option<Broken>, Option<Failure>) {
        self.record(Event::StepStarted { index, title: step.title.clone() });
        let (from, refusals) = (clock::now(), Refusals::now(self));
        let own = Instant::now() + step.timeout;
        self.until = own;
        let (until, of_case) = match self.deadline {
            Some(deadline) if deadline < own => (deadline, true),
            _ => (own, false),
        };
        // In the heap, here and where one action is chosen of many: a future of all of them does not fit on a thread's stack.
        let done = tokio::time::timeout_at(until, Box::pin(action::step(self, step))).await;
        let late = done.is_err() && of_case;
        let failure = match done {
            Ok(done) => {
                self.fenced.clear();
                done.err()
            }
            Err(_) if late => Some(super::late(self.case, Some(step))),
            Err(_) => Some(timed_out(step, &self.world.faults.titles())),
        };
        let failure = failure.map(|f| refusals.explain(self, f));
        // A step that is expected to run into its own timeout is not expected to take the case's whole time.
        let trouble = if late { failure.clone() } else { unexpected(step, failure.clone()) };
        self.record(Event::StepFinished(StepRecord {
            id: step.id.clone(),
            title: step.title.clone(),
            origin: step.origin.clone(),
            used_at: step.used_at.clone(),
            from,
            to: clock::now(),
            // Another error than the one that was expected is none that was.
            error_expected: step.expect_error.is_some() && (failure.is_none() || trouble.is_none()),
            failure: failure.clone(),
            finally,
            passed_over: None,
        }));
        let of = if late { KnownPart::Case } else { KnownPart::Step(step.id.clone()) };
        (trouble.map(|failure| Broken { of, index, failure }), failure)
    }

    fn pass_over(&self, index: usize, step: &Step, lacks: String) {
        self.record(Event::StepStarted { index, title: step.title.clone() });
        let now = clock::now();
        self.record(Event::StepFinished(StepRecord {
            id: step.id.clone(),
            title: step.title.clone(),
            origin: step.origin.clone(),
            used_at: step.used_at.clone(),
            from: now,
            to: now,
            error_expected: false,
            failure: None,
            finally: true,
            passed_over: Some(lacks),
        }));
    }

    /// What a step needs that is not there.
    fn lacks(&self, step: &Step) -> Option<String> {
        let needs = step.needs();
        let instance = needs.instance.filter(|name| self.instances.get(*name).is_none_or(|live| live.removed));
        let checkpoint = needs.checkpoint.filter(|name| !self.checkpoints.contains_key(*name));
        let pod = needs.pod.filter(|name| !self.pods.contains_key(*name));
        let client = needs.client.filter(|name| !self.clients.runs(name));
        let fault = needs.fault.filter(|name| !self.world.faults.laid(name));
        let named =
            [("instance", instance), ("checkpoint", checkpoint), ("pod", pod), ("client", client), ("fault", fault)];
        named.into_iter().find_map(|(what, name)| Some(format!("there is no {what} `{}`", name?)))
    }
}

fn timed_out(step: &Step, broken: &[String]) -> Failure {
    let why = if broken.is_empty() { String::new() } else { format!(", with this in force: {}", broken.join("; ")) };
    Failure {
        class: ErrorClass::Timeout,
        message: format!("step `{}` ({}) did not end within {:?}{why}", step.id, step.title, step.timeout),
        hint: Some(match step.timeout {
            STEP_TIMEOUT => {
                "that is what a step has if nothing is said: give it a longer `timeout` if it needs one; the \
                             timeline says what it waited on"
                    .to_owned()
            }
            _ => "the scenario gives it that time: give it more if it needs it; the timeline says what it waited on"
                .to_owned(),
        }),
        log: Vec::new(),
    }
}

/// The failure to report, if the step did not go as expected.
fn unexpected(step: &Step, failure: Option<Failure>) -> Option<Failure> {
    let Some(expected) = &step.expect_error else { return failure };
    let Some(failure) = failure else {
        return Some(Failure {
            class: ErrorClass::Other,
            message: format!("step `{}` ({}) succeeded, expected {}", step.id, step.title, expected.class),
            hint: None,
            log: Vec::new(),
        });
    };
    let text_fits = expected.text.as_ref().is_none_or(|t| Regex::new(t).is_ok_and(|r| r.is_match(&failure.message)));
    if failure.class == expected.class && text_fits {
        return None;
    }
    Some(Failure {
        message: format!(
            "step `{}` failed with {}, expected {}{}: {}",
            step.id,
            failure.class,
            expected.class,
            expected.text.as_ref().map(|t| format!(" and a message like /{t}/")).unwrap_or_default(),
            failure.message
        ),
        ..failure
    })
}
