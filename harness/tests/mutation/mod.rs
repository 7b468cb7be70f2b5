//! What is changed in a case.

use podferry::record::{CheckSpec, InstanceExpectation};
use podferry::scenario::plan::{Action, Case, Step};
use regex::Regex;

/// A case that must fail, and what its reason must say.
pub(crate) struct Mutant {
    pub(crate) case: Case,
    pub(crate) says: Regex,
}

/// The case without what it does to the stack: the step that should fail succeeds. `Err` names a case in which nothing
/// of that kind was found.
pub(crate) fn harmless(mut case: Case) -> Result<Mutant, String> {
    let mut changed = false;
    let mut renamed: Vec<(String, String)> = Vec::new();
    case.steps.retain(|step| match &step.action {
        Action::Tamper { checkpoint, name, .. } => {
            renamed.push((name.clone(), checkpoint.clone()));
            false
        }
        Action::Fault(_) => {
            changed = true;
            false
        }
        Action::Mend { .. } => false,
        _ => true,
    });
    changed |= !renamed.is_empty();
    // A counter that holds nothing is one that CRIU takes.
    for workload in case.workloads.values_mut() {
        changed |= workload.with.remove("hold").is_some();
    }
    for step in &mut case.steps {
        changed |= step.during.take().is_some();
        if let Action::Restore { checkpoint, .. } | Action::Transfer { checkpoint, .. } = &mut step.action
            && let Some((_, good)) = renamed.iter().find(|(bad, _)| bad == checkpoint)
        {
            checkpoint.clone_from(good);
        }
    }
    if !changed {
        return Err(case.id.to_string());
    }
    Ok(Mutant { case, says: Regex::new("succeeded, expected ").expect("a pattern") })
}

/// The case with the instance frozen at its end that should go on; `None` if no check looks for one.
pub(crate) fn harmed(mut case: Case) -> Option<Mutant> {
    let goes_on = case.checks.iter().find_map(|c| match &c.spec {
        CheckSpec::Instance(i) if i.state == InstanceExpectation::Running && i.progressed_since.is_some() => {
            Some(i.of.clone())
        }
        _ => None,
    })?;
    let last = case.steps.last()?.clone();
    case.steps.push(Step {
        id: "harm".to_owned(),
        title: format!("freeze {goes_on} for good"),
        expect_error: None,
        during: None,
        action: Action::Freeze { instance: goes_on.clone() },
        ..last
    });
    Some(Mutant { case, says: Regex::new("instance: ").expect("a pattern") })
}
