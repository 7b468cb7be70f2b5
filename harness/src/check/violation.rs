use super::judge;
use crate::record::{Check, Evidence, Verdict};
use regex::Regex;

/// Judges a check as it stands in a scenario. One that expects a violation passes when what it asks does not hold and
/// what was seen matches; that it holds all of a sudden fails: what the scenario pins is no longer so.
pub fn verdict(check: &Check, evidence: &Evidence) -> Verdict {
    let found = judge(&check.spec, evidence);
    let Some(pattern) = &check.violation else { return found };
    // The scenario's reader checks the expression; one that came by another way and is none can't match.
    let matches = |seen: &str| Regex::new(pattern).is_ok_and(|r| r.is_match(seen));
    match found {
        Verdict { passed: true, seen, .. } => Verdict {
            passed: false,
            seen: format!("the stack has changed: {seen}"),
            wanted: Some(format!("a violation like /{pattern}/, which this scenario pins")),
        },
        Verdict { seen, .. } if matches(&seen) => {
            Verdict { passed: true, seen: format!("violated, as expected: {seen}"), wanted: None }
        }
        Verdict { seen, .. } => Verdict {
            passed: false,
            seen: format!("violated otherwise than expected: {seen}"),
            wanted: Some(format!("a violation like /{pattern}/")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::sample::evidence;
    use crate::record::{CheckSpec, InstanceCheck, InstanceExpectation, Origin};

    fn state(state: InstanceExpectation, violation: Option<&str>) -> Verdict {
        let instance = InstanceCheck {
            of: "copy".to_owned(),
            state,
            progressed_since: None,
            at: None,
            engine_says: None,
            mounted: None,
            reason: None,
        };
        let check = Check {
            origin: Origin::default(),
            spec: CheckSpec::Instance(instance),
            violation: violation.map(str::to_owned),
        };
        verdict(&check, &evidence())
    }

    #[test]
    fn a_violation_that_is_expected_passes_and_says_what_was_seen() {
        let found = state(InstanceExpectation::Frozen, Some("`copy`, not frozen"));
        assert!(found.passed && found.wanted.is_none(), "{found:?}");
        insta::assert_snapshot!(found.seen, @"violated, as expected: the engine says `running` of `copy`, not frozen, and its workload answers");
    }

    #[test]
    fn what_holds_all_of_a_sudden_fails() {
        let found = state(InstanceExpectation::Running, Some("not frozen"));
        assert!(!found.passed, "{found:?}");
        assert!(found.seen.starts_with("the stack has changed: the engine says `running`"), "{found:?}");
        assert_eq!(found.wanted.as_deref(), Some("a violation like /not frozen/, which this scenario pins"));
    }

    #[test]
    fn another_violation_is_not_the_expected_one() {
        let found = state(InstanceExpectation::Absent, Some("there is no container"));
        assert!(!found.passed && found.seen.starts_with("violated otherwise than expected: "), "{found:?}");
        assert!(!state(InstanceExpectation::Absent, Some("(")).passed, "what is no expression matches nothing");
    }

    #[test]
    fn without_an_expectation_nothing_changes() {
        assert!(state(InstanceExpectation::Running, None).passed);
        assert!(!state(InstanceExpectation::Frozen, None).passed);
    }
}
