use super::{At, CaseId, CaseRecord, Event, Evidence, HostRecord, KeptScenario, Line, Run, RunId};
use std::collections::BTreeMap;

/// Makes a [`Run`] of its events, in order. Events of a killed run fold too: what has no end keeps `None`. Client
/// histories are not in the events; the caller adds them from their files.
pub fn fold<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Run {
    let mut run = unbegun();
    for line in lines {
        apply(&mut run, line);
    }
    run
}

/// A run of which nothing is known yet: what [`apply`] begins with.
pub fn unbegun() -> Run {
    Run {
        schema: 1,
        id: RunId(String::new()),
        podferry: String::new(),
        command: Vec::new(),
        started: String::new(),
        epoch: At(0),
        seed: None,
        ended: None,
        host: HostRecord::default(),
        image: String::new(),
        nodes: Vec::new(),
        cases: Vec::new(),
        scenarios: BTreeMap::new(),
        past: BTreeMap::new(),
        leaks: Vec::new(),
        errors: Vec::new(),
        interrupted: false,
        exit_code: None,
    }
}

/// Adds what one event tells.
pub fn apply(run: &mut Run, line: &Line) {
    match &line.case {
        Some(case) => apply_to_case(run, case, line),
        None => apply_to_run(run, line),
    }
}

fn apply_to_run(run: &mut Run, line: &Line) {
    match &line.event {
        Event::RunStarted { id, podferry, command, started, host, image } => {
            run.id = id.clone();
            run.podferry.clone_from(podferry);
            run.command.clone_from(command);
            run.started.clone_from(started);
            run.host = host.clone();
            run.image.clone_from(image);
            run.epoch = line.at;
        }
        Event::Shuffled { seed } => run.seed = Some(*seed),
        Event::NodeUp(node) => {
            let order: Vec<Option<String>> = run.nodes.iter().chain([node]).map(|n| n.image.clone()).collect();
            // A node that was made anew after a failed case takes the place of the one before it.
            run.nodes.retain(|n| (&n.image, &n.name) != (&node.image, &node.name));
            run.nodes.push(node.clone());
            // Those of one image stay together, the images in the order in which they came.
            let first = |image: &Option<String>| order.iter().position(|i| i == image);
            run.nodes.sort_by(|a, b| (first(&a.image), &a.name).cmp(&(first(&b.image), &b.name)));
        }
        Event::ScenarioKept { file, copy } => {
            run.scenarios.insert(file.clone(), KeptScenario { copy: copy.clone(), text: None });
        }
        Event::Leaked(leak) => run.leaks.push(leak.clone()),
        Event::RunError(failure) => run.errors.push(failure.clone()),
        Event::Interrupted => run.interrupted = true,
        Event::RunFinished { exit_code } => {
            run.exit_code = Some(*exit_code);
            run.ended = Some(line.at);
        }
        _ => {}
    }
}

fn apply_to_case(run: &mut Run, id: &CaseId, line: &Line) {
    if let Event::CasePlanned { scenario, title, origin, engine, params, labels, rerun } = &line.event {
        run.cases.push(CaseRecord {
            id: id.clone(),
            scenario: scenario.clone(),
            title: title.clone(),
            origin: origin.clone(),
            engine: *engine,
            params: params.clone(),
            labels: labels.clone(),
            outcome: None,
            reason: None,
            known: Vec::new(),
            started: false,
            in_step: None,
            from: line.at,
            to: None,
            evidence: Evidence::default(),
            asked: Vec::new(),
            checks: Vec::new(),
            files: Vec::new(),
            leaks: Vec::new(),
            rerun: rerun.clone(),
        });
        return;
    }
    if let Event::Leaked(leak) = &line.event {
        run.leaks.push(leak.clone());
    }
    let Some(case) = run.cases.iter_mut().find(|c| c.id == *id) else { return };
    let e = &mut case.evidence;
    match &line.event {
        Event::ChecksPlanned(checks) => case.asked.clone_from(checks),
        Event::CaseStarted => {
            case.started = true;
            case.from = line.at;
        }
        Event::Repetition { .. } => {
            *e = Evidence { metrics: std::mem::take(&mut e.metrics), ..Evidence::default() };
            case.checks.retain(|c| !c.verdict.passed);
        }
        Event::StepStarted { title, .. } => case.in_step = Some(title.clone()),
        Event::StepFinished(step) => {
            case.in_step = None;
            e.steps.push(step.clone());
        }
        Event::Phase(span) => e.phases.push(span.clone()),
        Event::Instance(instance) => e.instances.push(instance.clone()),
        Event::InstanceEnded { name } => {
            if let Some(i) = e.instances.iter_mut().rev().find(|i| i.name == *name) {
                i.ended = Some(line.at);
            }
        }
        Event::Capture(capture) => e.captures.push((**capture).clone()),
        Event::Checkpoint(checkpoint) => e.checkpoints.push(checkpoint.clone()),
        Event::Transfer(transfer) => e.transfers.push(transfer.clone()),
        Event::Migration(migration) => e.migrations.push(migration.clone()),
        Event::Fault(fault) => e.faults.push(fault.clone()),
        Event::FaultMended { id } => {
            if let Some(fault) = e.faults.iter_mut().rev().find(|f| f.id == *id) {
                fault.mended = Some(line.at);
            }
        }
        Event::Metric { name, value } => e.metrics.entry(name.clone()).or_default().push(*value),
        Event::History { file, .. } | Event::File { path: file } => case.files.push(file.clone()),
        Event::Leaked(leak) => case.leaks.push(leak.clone()),
        Event::Checked(check) => case.checks.push(check.clone()),
        Event::Known(known) => case.known.push(known.clone()),
        Event::CaseFinished { outcome, reason } => {
            case.outcome = Some(*outcome);
            case.reason.clone_from(reason);
            case.to = Some(line.at);
            case.in_step = None;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
