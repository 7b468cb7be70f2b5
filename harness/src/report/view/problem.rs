use super::{consequence, fault};
use crate::record::{CaseRecord, ErrorClass, Failure, KnownState, Origin, Outcome};
use crate::report::text;
use serde::Serialize;

/// What kind of thing is the matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// A step met an error that was not expected, or did not meet one that was.
    Step,
    /// A check failed.
    Check,
    /// The case itself says why.
    Reason,
    /// Something was left behind.
    Leak,
    /// A known issue that did not show, or that counts no longer.
    Known,
    /// There is no end, or no start.
    Cut,
}

impl ProblemKind {
    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            ProblemKind::Step => "step",
            ProblemKind::Check => "check",
            ProblemKind::Reason => "reason",
            ProblemKind::Leak => "leak",
            ProblemKind::Known => "known issue",
            ProblemKind::Cut => "cut",
        }
    }
}

/// One thing that is the matter with a case.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Problem {
    /// What kind of thing.
    pub kind: ProblemKind,
    /// Which step, check or thing.
    pub subject: String,
    /// The place in the scenario.
    pub origin: Origin,
    /// Where the group of steps is used that it happened in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Origin>,
    /// The line of the scenario at that place, if the run kept the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The class of the error, where it is one.
    pub class: Option<ErrorClass>,
    /// What happened.
    pub message: String,
    /// What was wanted instead.
    pub wanted: Option<String>,
    /// What can be done about it.
    pub hint: Option<String>,
    /// The lines of a tool's log that matter.
    pub log: Vec<String>,
    /// Faults of the scenario's own that were at work when it happened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub at_work: Vec<String>,
    /// What follows from it, in one line: those that are `consequence` here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub so: Option<String>,
    /// It could not be otherwise after a step that failed, and is told beside that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub consequence: bool,
}

impl Problem {
    fn new(kind: ProblemKind, subject: &str, origin: &Origin, message: &str) -> Problem {
        Problem {
            kind,
            subject: text::line(subject),
            origin: text::origin(origin),
            used_at: None,
            source: None,
            class: None,
            message: text::message(message),
            wanted: None,
            hint: None,
            log: Vec::new(),
            at_work: Vec::new(),
            so: None,
            consequence: false,
        }
    }

    /// One line: the class, if there is one, and the first line of the message.
    pub fn headline(&self) -> String {
        let first = self.message.lines().next().unwrap_or_default();
        match self.class {
            Some(class) => format!("{class}: {first}"),
            None if self.kind == ProblemKind::Check => format!("check {}: {first}", self.subject),
            None => first.to_owned(),
        }
    }
}

/// Everything that is the matter with a case, the cause before its consequences.
pub(super) fn of(case: &CaseRecord) -> Vec<Problem> {
    let mut problems: Vec<Problem> = steps(case);
    problems.extend(case.checks.iter().filter(|c| !c.verdict.passed).map(|c| Problem {
        wanted: c.verdict.wanted.as_deref().map(text::message),
        consequence: consequence::of_cut(case, &c.check.spec),
        ..Problem::new(ProblemKind::Check, c.check.spec.name(), &c.check.origin, &c.verdict.seen)
    }));
    problems.extend(case.leaks.iter().map(|l| {
        let message = format!("{} {} was left behind: {}", l.kind, l.name, l.reason);
        Problem::new(ProblemKind::Leak, &l.kind, &case.origin, &message)
    }));
    problems.extend(known(case));
    let status = super::Status::of(case);
    let reason = case.reason.as_deref().map(text::message).filter(|_| status.is_trouble());
    if let Some(reason) = reason
        && !problems.iter().any(|p| p.message.contains(&reason))
    {
        // A longer word on an error that a step has already told (expected X, got Y) keeps the step's place and log.
        let told = problems.iter().position(|p| p.kind == ProblemKind::Step && reason.contains(&p.message));
        let judged =
            problems.iter().any(|p| matches!(p.kind, ProblemKind::Check | ProblemKind::Leak | ProblemKind::Known));
        match told {
            Some(i) => problems[i].message = reason,
            None if judged => {}
            None => problems.insert(0, Problem::new(ProblemKind::Reason, &case.scenario, &case.origin, &reason)),
        }
    }
    fold(&mut problems);
    match status {
        super::Status::Unfinished => problems.insert(0, cut(case)),
        super::Status::NotRun => {
            problems.push(Problem::new(ProblemKind::Cut, &case.scenario, &case.origin, "planned, and never began"));
        }
        _ => {}
    }
    problems
}

/// Tells the cause in a line what follows from it. Without a cause that is told nothing is a consequence.
fn fold(problems: &mut [Problem]) {
    let short = |p: &Problem| {
        let file = p.origin.file.rsplit('/').next().unwrap_or_default();
        format!("{} ({file}:{})", p.subject, p.origin.line)
    };
    let told: Vec<String> = problems.iter().filter(|p| p.consequence).map(short).collect();
    let cause = problems.iter_mut().find(|p| p.kind == ProblemKind::Step);
    match (cause, told.len()) {
        (_, 0) => {}
        (Some(cause), 1) => cause.so = Some(format!("1 check does not hold: {}", told[0])),
        (Some(cause), n) => cause.so = Some(format!("{n} checks do not hold: {}", told.join(", "))),
        (None, _) => problems.iter_mut().for_each(|p| p.consequence = false),
    }
}

/// Errors of steps that the scenario does not expect. In a case that failed, the last error counts too when it was
/// expected, for then it was not the one that was expected.
fn steps(case: &CaseRecord) -> Vec<Problem> {
    let judged = case.checks.iter().any(|c| !c.verdict.passed) || gone(case);
    let failed = matches!(case.outcome, Some(Outcome::Failed | Outcome::Known)) && !judged;
    let last = case.evidence.steps.iter().rposition(|s| !s.finally).unwrap_or_default();
    let wrong = case.evidence.steps.iter().enumerate().filter(|(i, s)| !s.as_expected() || (failed && *i == last));
    wrong
        .filter_map(|(_, s)| {
            let place = if s.finally { "step of `finally`" } else { "step" };
            let title = format!("{place} `{}`: {}", s.id, s.title);
            let used_at = s.used_at.as_ref().map(text::origin);
            let Some(f) = &s.failure else {
                let message = "succeeded, and an error was expected";
                return (!s.as_expected())
                    .then(|| Problem { used_at, ..Problem::new(ProblemKind::Step, &title, &s.origin, message) });
            };
            Some(Problem {
                used_at,
                class: Some(f.class),
                hint: f.hint.as_deref().map(text::message),
                log: text::log(&f.log),
                at_work: fault::at_work(&case.evidence.faults, (s.from, s.to)),
                ..Problem::new(ProblemKind::Step, &title, &s.origin, &f.message)
            })
        })
        .collect()
}

/// Known issues that are news: those that did not show, and those that showed too late.
fn known(case: &CaseRecord) -> impl Iterator<Item = Problem> {
    let news = |state: KnownState| matches!(state, KnownState::Gone | KnownState::Expired);
    let all = super::known::of(case).into_iter().filter(move |known| news(known.state));
    all.map(|known| Problem {
        hint: known.hint().map(str::to_owned),
        ..Problem::new(ProblemKind::Known, &known.link, &known.origin, &known.sentence())
    })
}

fn gone(case: &CaseRecord) -> bool {
    case.known.iter().any(|known| known.state == KnownState::Gone)
}

fn cut(case: &CaseRecord) -> Problem {
    let message = match &case.in_step {
        Some(step) => format!("the run ended, or still goes on, in the step: {step}"),
        None => "the run ended, or still goes on, in this case".to_owned(),
    };
    Problem::new(ProblemKind::Cut, &case.scenario, &case.origin, &message)
}

/// A failure with its texts made fit to be shown.
pub(super) fn failure(f: &Failure) -> Failure {
    Failure {
        class: f.class,
        message: text::message(&f.message),
        hint: f.hint.as_deref().map(text::message),
        log: text::log(&f.log),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_step_that_failed_is_one_line_beside_it() {
        let at = |line| Origin { file: "own/fail.yaml".to_owned(), line, column: 7 };
        let of = |kind, subject: &str, line, consequence| Problem {
            consequence,
            ..Problem::new(kind, subject, &at(line), "seen")
        };
        let (step, check) = (ProblemKind::Step, ProblemKind::Check);
        let mut problems = vec![
            of(step, "step `move`", 20, false),
            of(check, "sameProcess", 31, true),
            of(check, "ackedWrites", 32, false),
            of(check, "instance", 33, true),
        ];
        fold(&mut problems);
        let so = "2 checks do not hold: sameProcess (fail.yaml:31), instance (fail.yaml:33)";
        assert_eq!(problems[0].so.as_deref(), Some(so));
        let mut alone = vec![of(check, "sameProcess", 31, true)];
        fold(&mut alone);
        assert!(!alone[0].consequence, "without a cause that is told it stands for itself");
    }
}
