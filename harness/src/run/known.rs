//! Failures that a scenario knows of: whether a case failed as one of its known issues says, or should have.

use super::case::Ended;
use crate::record::{KnownIssue, KnownPart, KnownRecord, KnownState, Outcome};
use crate::scenario::plan::Case;
use regex::Regex;

/// What made a case fail.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cause {
    /// The part of the case.
    pub(super) of: KnownPart,
    /// What was seen.
    pub(super) message: String,
}

/// The end of a case in the light of its known issues, with what became of each. `today` is a day, `2027-03-31`.
///
/// A case is known to fail when each of its causes is covered by an issue that still counts: one cause that nobody knows of
/// is a failure. What ended for another reason than the stack under test says nothing of an issue.
pub(super) fn judge(mut ended: Ended, case: &Case, today: &str) -> (Ended, Vec<KnownRecord>) {
    let (valid, over): (Vec<&KnownIssue>, Vec<&KnownIssue>) =
        case.known.iter().partition(|issue| today <= issue.expires.as_str());
    let mut records = Vec::new();
    let mut add = |issue: &KnownIssue, state| records.push(KnownRecord { issue: issue.clone(), state });
    let shows = |issue: &KnownIssue| ended.causes.iter().any(|cause| covers(issue, cause));
    match ended.outcome {
        Some(Outcome::Failed) => {
            let known = |cause: &Cause| valid.iter().any(|issue| covers(issue, cause));
            let all = !ended.causes.is_empty() && ended.causes.iter().all(known);
            valid.iter().filter(|issue| shows(issue)).for_each(|issue| add(issue, KnownState::Shown));
            over.iter().filter(|issue| shows(issue)).for_each(|issue| add(issue, KnownState::Expired));
            // Of two checks that are known to fail, the one that holds is news, if the other did not keep it from being asked.
            let to_the_end = ended.causes.iter().all(|cause| matches!(cause.of, KnownPart::Check(_)));
            let news = |issue: &&&KnownIssue| matches!(issue.of, KnownPart::Check(_)) && !shows(issue);
            if all
                && to_the_end
                && let Some(issue) = valid.iter().filter(news).find(|issue| issue.strict)
            {
                add(issue, KnownState::Gone);
            } else if all {
                ended.outcome = Some(Outcome::Known);
            }
        }
        Some(Outcome::Passed) => {
            for issue in &valid {
                add(issue, if issue.strict { KnownState::Gone } else { KnownState::Absent });
            }
            if let Some(issue) = valid.iter().find(|issue| issue.strict) {
                ended.outcome = Some(Outcome::Failed);
                ended.reason = Some(format!("{} passed, and {} says that it fails", part(&issue.of, case), issue.link));
            }
        }
        _ => {}
    }
    (ended, records)
}

fn covers(issue: &KnownIssue, cause: &Cause) -> bool {
    let here = issue.of == KnownPart::Case || issue.of == cause.of;
    let alike = |text: &String| Regex::new(text).is_ok_and(|pattern| pattern.is_match(&cause.message));
    here && issue.text.as_ref().is_none_or(alike)
}

fn part(of: &KnownPart, case: &Case) -> String {
    match of {
        KnownPart::Case => "the case".to_owned(),
        KnownPart::Step(id) => format!("step `{id}`"),
        KnownPart::Check(index) => match case.checks.get(*index) {
            Some(check) => format!("the check `{}`", check.spec.name()),
            None => "the check".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
