//! From evidence to verdicts.

use super::case::{CaseRun, Ended};
use super::recorder::Recorder;
use crate::check;
use crate::record::{Check, CheckRecord, CheckSpec, ErrorClass, Event, Evidence, Failure, History, Outcome};
use crate::scenario::plan::{Action, Case};
use std::collections::BTreeMap;

/// Judges a repetition: its figures are recorded if it counts, its checks judged unless a step failed already.
pub(super) fn repetition(run: &CaseRun<'_>, counts: bool, failed: Option<Failure>) -> Ended {
    let evidence = evidence(run.recorder, run.case, run.clients.histories());
    if counts {
        for (name, value) in check::metrics(&evidence) {
            run.record(Event::Metric { name, value });
        }
        for (name, value) in run.case.checks.iter().filter_map(|c| check::figure(&c.spec, &evidence)) {
            run.record(Event::Metric { name: name.to_owned(), value });
        }
    }
    let verdicts = judge(run.recorder, run.case, &evidence, |c| !matches!(c.spec, CheckSpec::Budget(_)));
    match failed {
        Some(failure) if accuses_surroundings(&failure, &run.case.steps[run.step].action) => {
            Ended::new(Outcome::Errored, Some(failure.message))
        }
        Some(failure) => Ended::new(Outcome::Failed, Some(failure.message)),
        None => verdicts,
    }
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
    for check in case.checks.iter().filter(|c| which(c)) {
        let verdict = check::verdict(check, evidence);
        if !verdict.passed {
            broken.push(format!("{}: {}", check.spec.name(), verdict.seen));
        }
        recorder.case(&case.id, Event::Checked(CheckRecord { check: check.clone(), verdict }));
    }
    match broken.is_empty() {
        true => Ended::new(Outcome::Passed, None),
        false => Ended::new(Outcome::Failed, Some(broken.join("; "))),
    }
}

/// Whether a step's failure says nothing of the stack under test. What a deployment finds wrong with an archive is wrong
/// with the user's image, which no engine has seen yet.
fn accuses_surroundings(failure: &Failure, action: &Action) -> bool {
    use ErrorClass as C;
    match failure.class {
        C::Surroundings | C::InvalidImage => true,
        C::EscapingEntry | C::DigestMismatch => matches!(action, Action::Deploy { .. }),
        _ => false,
    }
}
