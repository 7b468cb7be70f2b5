//! From evidence to verdicts.

use super::case::{CaseRun, Ended};
use super::known::Cause;
use super::recorder::Recorder;
use super::steps::Broken;
use crate::check;
use crate::record::{Check, CheckRecord, CheckSpec, ErrorClass, Event, Evidence, Failure, History, KnownPart, Outcome};
use crate::scenario::plan::{Action, Case};
use std::collections::BTreeMap;

/// Judges a repetition: its figures are recorded if it counts, its checks judged unless a step failed already.
pub(super) fn repetition(run: &CaseRun<'_>, counts: bool, broken: Option<Broken>, after: &[Broken]) -> Ended {
    let evidence = so_far(run);
    if counts {
        figures(run, &evidence);
        for (name, value) in run.case.checks.iter().filter_map(|c| check::figure(&c.spec, &evidence)) {
            run.record(Event::Metric { name: name.to_owned(), value });
        }
    }
    let verdicts = judge(run.recorder, run.case, &evidence, |c| !matches!(c.spec, CheckSpec::Budget(_)));
    let mut ended = match broken {
        Some(broken) => of_step(run.case, &broken, ""),
        None => verdicts,
    };
    // Steps of `finally` that fail are told beside the first failure, which stays what the case ended by.
    for broken in after {
        let more = of_step(run.case, broken, "in `finally`: ");
        if ended.passed() {
            ended = more;
        } else {
            ended.causes.extend(more.causes);
        }
    }
    ended
}

fn of_step(case: &Case, broken: &Broken, place: &str) -> Ended {
    let Broken { of, index, failure } = broken;
    let reason = Some(format!("{place}{}", failure.message));
    let step = case.steps.iter().chain(&case.finally).nth(*index);
    if step.is_some_and(|step| accuses_surroundings(failure, &step.action)) {
        return Ended::new(Outcome::Errored, reason);
    }
    let cause = Cause { of: of.clone(), message: format!("{}: {}", failure.class, failure.message) };
    Ended { causes: vec![cause], ..Ended::new(Outcome::Failed, reason) }
}

/// Records the figures that come of what was recorded.
fn figures(run: &CaseRun<'_>, evidence: &Evidence) {
    for (name, value) in check::metrics(evidence) {
        run.record(Event::Metric { name, value });
    }
}

/// Judges checks on what there is now, bounds on figures among them, and records the verdicts.
pub(super) fn now(run: &CaseRun<'_>, checks: &[Check]) -> Vec<CheckRecord> {
    let mut evidence = so_far(run);
    for (name, value) in check::metrics(&evidence) {
        evidence.metrics.entry(name).or_default().push(value);
    }
    let judged = |check: &Check| CheckRecord { check: check.clone(), verdict: check::verdict(check, &evidence) };
    let records: Vec<CheckRecord> = checks.iter().map(judged).collect();
    for record in &records {
        run.record(Event::Checked(record.clone()));
    }
    records
}

/// Records the figures of a case whose checks were judged on the way.
pub(super) fn end(run: &CaseRun<'_>) {
    figures(run, &so_far(run));
}

/// What was recorded, with the histories of clients that have ended.
pub(super) fn so_far(run: &CaseRun<'_>) -> Evidence {
    evidence(run.recorder, run.case, run.clients.histories())
}

/// Judges the bounds on figures, over all repetitions.
pub(super) fn budgets(case: &Case, recorder: &Recorder) -> Option<Ended> {
    let evidence = evidence(recorder, case, &BTreeMap::new());
    let ended = judge(recorder, case, &evidence, |c| matches!(c.spec, CheckSpec::Budget(_)));
    (ended.outcome != Some(Outcome::Passed)).then_some(ended)
}

fn evidence(recorder: &Recorder, case: &Case, histories: &BTreeMap<String, History>) -> Evidence {
    Evidence { histories: histories.clone(), ..recorder.evidence(&case.id) }
}

fn judge(recorder: &Recorder, case: &Case, evidence: &Evidence, which: impl Fn(&Check) -> bool) -> Ended {
    let mut broken = Vec::new();
    for (index, check) in case.checks.iter().enumerate().filter(|(_, c)| which(c)) {
        let verdict = check::verdict(check, evidence);
        if !verdict.passed {
            let message = format!("{}: {}", check.spec.name(), verdict.seen);
            broken.push(Cause { of: KnownPart::Check(index), message });
        }
        recorder.case(&case.id, Event::Checked(CheckRecord { check: check.clone(), verdict }));
    }
    match broken.is_empty() {
        true => Ended::new(Outcome::Passed, None),
        false => {
            let all = broken.iter().map(|cause| cause.message.as_str()).collect::<Vec<_>>().join("; ");
            Ended { causes: broken, ..Ended::new(Outcome::Failed, Some(all)) }
        }
    }
}

/// Whether a step's failure says nothing of the stack under test. What a deployment finds wrong with an archive is wrong
/// with the user's image, which no engine has seen yet.
pub(super) fn accuses_surroundings(failure: &Failure, action: &Action) -> bool {
    use ErrorClass as C;
    match failure.class {
        C::Surroundings | C::InvalidImage => true,
        C::EscapingEntry | C::DigestMismatch => matches!(action, Action::Deploy { .. }),
        _ => false,
    }
}
