//! What is changed in a case.

use podferry::record::{CheckSpec, ErrorClass, InstanceExpectation, TcpChoice};
use podferry::scenario::plan::{Action, Case, Fault, FaultKind, Given, Migrate, Role, Step};
use regex::Regex;
use std::collections::BTreeMap;

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
    changed |= !renamed.is_empty() || as_before(&mut case) || guarded(&mut case) || as_root(&mut case);
    // A node with memory for all, and a program that needs nothing which a checkpoint does not carry.
    changed |= !std::mem::take(&mut case.allocatable).is_empty() || without_volumes(&mut case);
    changed |= free(&mut case) | unconnected(&mut case);
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

/// Whether some workload had a volume. What it wrote there it writes into its own root then.
fn without_volumes(case: &mut Case) -> bool {
    let with_some = case.workloads.values_mut().filter(|w| !w.volumes.is_empty());
    let without = with_some.map(|w| (std::mem::take(&mut w.volumes), w.with.remove("file")));
    without.count() > 0
}

/// The case on a stack that restores nothing: each copy is started afresh, of the same program and where the copy was to
/// be. Every check that looks for what a restore must bring has to see it, in the order in which they stand there.
pub(crate) fn cold(mut case: Case) -> Option<Mutant> {
    let mut workload_of: BTreeMap<String, String> = BTreeMap::new();
    let mut of_checkpoint: BTreeMap<String, String> = BTreeMap::new();
    let mut steps: Vec<Step> = Vec::new();
    let mut changed = false;
    for step in std::mem::take(&mut case.steps) {
        let start = |workload: &str, node: &str, instance: &str, given: &Given| Action::Deploy {
            workload: workload.to_owned(),
            node: node.to_owned(),
            instance: instance.to_owned(),
            given: given.clone(),
            start: true,
        };
        match step.action.clone() {
            Action::Deploy { workload, instance, .. } => drop(workload_of.insert(instance, workload)),
            Action::Checkpoint { instance, name, .. } => {
                drop(of_checkpoint.insert(name, workload_of[&instance].clone()))
            }
            _ => {}
        }
        match &step.action {
            Action::Restore { checkpoint, node, instance, given, .. } if step.expect_error.is_none() => {
                changed = true;
                let workload = of_checkpoint[checkpoint].clone();
                steps.push(Step { action: start(&workload, node, instance, given), ..step.clone() });
                workload_of.insert(instance.clone(), workload);
            }
            Action::Migrate(Migrate { instance, to, into, given, .. }) if step.expect_error.is_none() => {
                changed = true;
                let workload = workload_of[instance].clone();
                let action = Action::Remove { instance: instance.clone() };
                steps.push(Step { id: format!("end-{}", step.id), action, ..step.clone() });
                steps.push(Step { action: start(&workload, to, into, given), ..step.clone() });
                workload_of.insert(into.clone(), workload);
            }
            // Clients do not follow to what is no copy, and nobody answers them.
            Action::AwaitAnswers { .. } if changed => {}
            _ => steps.push(step),
        }
    }
    case.steps = steps;
    let looks = |c: &&CheckSpec| {
        matches!(c, CheckSpec::Counter(_) | CheckSpec::SameProcess(_) | CheckSpec::Faster(_) | CheckSpec::WorkLost(_))
    };
    let names = case.checks.iter().map(|c| &c.spec).filter(looks).map(|c| format!("{}: ", c.name()));
    let all = names.collect::<Vec<_>>().join(".*");
    let says = Regex::new(&format!("(?s){all}")).expect("a pattern");
    changed.then_some(Mutant { case, says })
}

/// What stands in the way of the failing step is taken out of it: a container that is not started or was removed, a name
/// that is taken, memory that is too little. Whether there was such a thing.
fn free(case: &mut Case) -> bool {
    let mut changed = false;
    let failing = |s: &Step, class| s.expect_error.as_ref().is_some_and(|e| e.class == class);
    let unknown: Vec<String> = case
        .steps
        .iter()
        .filter(|s| failing(s, ErrorClass::UnknownContainer))
        .filter_map(|s| if let Action::Checkpoint { instance, .. } = &s.action { Some(instance.clone()) } else { None })
        .collect();
    case.steps.retain(|step| match &step.action {
        Action::Remove { instance } if unknown.contains(instance) => {
            changed = true;
            false
        }
        _ => true,
    });
    for step in &mut case.steps {
        let (taken, short) = (failing(step, ErrorClass::NameTaken), failing(step, ErrorClass::NoMemory));
        match &mut step.action {
            Action::Deploy { start, .. } => changed |= !std::mem::replace(start, true),
            Action::Restore { instance, .. } if taken => {
                *instance += "-else";
                changed = true;
            }
            Action::Restore { given, .. } if short => changed |= given.memory.take().is_some(),
            _ => {}
        }
    }
    changed
}

/// The case on a stack that does not have the trap which it shows: the harness's own way is put in place of the bare
/// calls, a container is frozen around its checkpoint, and nobody is another user than root. A scenario that still
/// passes pins nothing.
pub(crate) fn sound(mut case: Case) -> Mutant {
    if !(guarded(&mut case) || as_root(&mut case)) {
        frozen_around(&mut case);
    }
    let says = "the stack has changed|succeeded, expected|failed with .*, expected|it is missing|is not what was taken|without its mount";
    Mutant { case, says: Regex::new(says).expect("a pattern") }
}

/// Makes every bare call a guarded one; whether there was one.
fn guarded(case: &mut Case) -> bool {
    let mut changed = false;
    for step in &mut case.steps {
        match &mut step.action {
            Action::Checkpoint { raw, .. } => changed |= raw.take().is_some(),
            Action::Restore { raw, .. } => changed |= raw.take().is_some(),
            Action::Fault(fault) => tend(fault),
            _ => {}
        }
        if let Some(during) = &mut step.during {
            tend(&mut during.fault);
        }
    }
    changed
}

/// A daemon that is brought back by the harness's way, too.
fn tend(fault: &mut Fault) {
    if let FaultKind::Kill { bare, .. } = &mut fault.kind {
        *bare = false;
    }
}

/// Asks for no other mounts than the checkpointed container had; whether some were asked for.
fn as_before(case: &mut Case) -> bool {
    let mut changed = false;
    for step in &mut case.steps {
        if let Action::Restore { given, .. } = &mut step.action
            && given.volumes.as_ref().is_some_and(|v| !v.is_empty())
        {
            given.volumes = None;
            changed = true;
        }
    }
    changed
}

/// Whether established connections stood in the way of a step; now they are closed in the copy.
fn unconnected(case: &mut Case) -> bool {
    let classes = [ErrorClass::ConnectedTcp, ErrorClass::AddressMissing];
    let expected = case.steps.iter().filter_map(|s| s.expect_error.as_ref()).any(|e| classes.contains(&e.class));
    expected && std::mem::take(&mut case.criu.tcp) != TcpChoice::Close
}

/// Whether some workload ran as another user.
fn as_root(case: &mut Case) -> bool {
    let others = case.workloads.values_mut().filter(|w| w.user != 0);
    others.map(|w| w.user = 0).count() > 0
}

fn frozen_around(case: &mut Case) {
    let mut steps: Vec<Step> = Vec::new();
    for step in std::mem::take(&mut case.steps) {
        let Action::Checkpoint { instance, .. } = &step.action else {
            steps.push(step);
            continue;
        };
        let around = |id: &str, action| Step { id: format!("{id}-{}", step.id), action, ..step.clone() };
        let before = around("freeze", Action::Freeze { instance: instance.clone() });
        let after = around("thaw", Action::Thaw { instance: instance.clone() });
        steps.extend([before, step, after]);
    }
    case.steps = steps;
}

/// The case with the instance killed at its end that should go on; `None` if no check looks for one.
pub(crate) fn harmed(mut case: Case) -> Option<Mutant> {
    let goes_on = case.checks.iter().find_map(|c| match &c.spec {
        CheckSpec::Instance(i) if i.state == InstanceExpectation::Running && i.progressed_since.is_some() => {
            Some(i.of.clone())
        }
        _ => None,
    })?;
    let node = case.steps.iter().find_map(|s| home(&s.action, &goes_on))?;
    let kind = FaultKind::Kill { role: Role::Workload, of: Some(goes_on.clone()), bare: false };
    let last = case.steps.last()?.clone();
    case.steps.push(Step {
        id: "harm".to_owned(),
        title: format!("kill {goes_on} for good"),
        expect_error: None,
        during: None,
        action: Action::Fault(Fault { node, name: None, kind }),
        ..last
    });
    Some(Mutant { case, says: Regex::new("instance: ").expect("a pattern") })
}

/// The node on which an action makes the instance.
fn home(action: &Action, instance: &str) -> Option<String> {
    match action {
        Action::Deploy { node, instance: made, .. } | Action::Restore { node, instance: made, .. }
            if made == instance =>
        {
            Some(node.clone())
        }
        Action::Migrate(Migrate { to, into, .. }) if into == instance => Some(to.clone()),
        _ => None,
    }
}
