//! The trace of one case.

use super::span::{Ids, Wall, event, failed, fine, link, number, text, truth};
use crate::record::{At, CaseRecord, Failure, Origin, Outcome, Phase, PhaseSpan, Run, StepRecord};
use crate::report::view::ClientView;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;

/// The spans of a case, its own first.
pub(super) fn spans(case: &CaseRecord, run: &Run, wall: &Wall, root: &Span) -> Vec<Span> {
    let ids = Ids::of(&run.id.0, &case.id.0);
    let end = case.to.unwrap_or(wall.end);
    let mut whole = ids.root(&case.id.0, (case.from, end), wall);
    whole.links = vec![link(root)];
    whole.attributes = attributes(case, run);
    whole.events = checks(case, end, wall);
    whole.status = match case.outcome {
        Some(Outcome::Passed) => fine(),
        Some(Outcome::Skipped) => None,
        Some(outcome) => failed(case.reason.as_deref().unwrap_or(outcome.name())),
        None => failed("the run ended in it"),
    };
    let mut all = vec![whole.clone()];
    let steps: Vec<Span> = case.evidence.steps.iter().map(|s| step(s, &ids, &whole, wall)).collect();
    // A phase of a step that never ended hangs on the case.
    let phases = case.evidence.phases.iter().map(|p| phase(p, case, &ids, steps.get(p.step).unwrap_or(&whole), wall));
    let phases: Vec<Span> = phases.collect();
    all.extend(steps);
    all.extend(phases);
    all.extend(outages(case, run.epoch, &ids, &whole, wall));
    for fault in &case.evidence.faults {
        let mut span =
            ids.child(&whole, &format!("fault: {}", fault.title), (fault.from, fault.mended.unwrap_or(end)), wall);
        span.attributes = vec![text("podferry.node", &fault.node), truth("podferry.mended", fault.mended.is_some())];
        all.push(span);
    }
    all
}

fn attributes(case: &CaseRecord, run: &Run) -> Vec<KeyValue> {
    let outcome = case.outcome.map_or("unfinished", Outcome::name);
    let mut all = vec![
        text("test.suite.name", &case.scenario),
        text("test.case.name", &case.id.0),
        text("podferry.run", &run.id.0),
        text("podferry.engine", case.engine.name()),
        text("podferry.outcome", outcome),
        text("podferry.rerun", &case.rerun),
    ];
    match case.outcome {
        Some(Outcome::Passed) => all.push(text("test.case.result.status", "pass")),
        Some(Outcome::Failed) => all.push(text("test.case.result.status", "fail")),
        _ => {}
    }
    all.extend(place(&case.origin));
    all.extend(case.params.iter().map(|(k, v)| text(&format!("podferry.param.{k}"), v)));
    all.extend(case.labels.iter().map(|(k, v)| text(&format!("podferry.label.{k}"), v)));
    all
}

fn place(origin: &Origin) -> [KeyValue; 2] {
    [text("code.file.path", &origin.file), number("code.line.number", i64::from(origin.line))]
}

/// What the checks found, at the end: they are judged by all that was recorded.
fn checks(case: &CaseRecord, end: At, wall: &Wall) -> Vec<opentelemetry_proto::tonic::trace::v1::span::Event> {
    let told = |c: &crate::record::CheckRecord| {
        let mut attributes =
            vec![truth("podferry.check.passed", c.verdict.passed), text("podferry.check.seen", &c.verdict.seen)];
        attributes.extend(c.verdict.wanted.iter().map(|w| text("podferry.check.wanted", w)));
        attributes.extend(place(&c.check.origin));
        event(&format!("check {}", c.check.spec.name()), end, wall, attributes)
    };
    case.checks.iter().map(told).collect()
}

fn step(step: &StepRecord, ids: &Ids, whole: &Span, wall: &Wall) -> Span {
    let mut span = ids.child(whole, &step.title, (step.from, step.to), wall);
    span.attributes = vec![text("podferry.step", &step.id)];
    span.attributes.extend(place(&step.origin));
    if let Some(failure) = &step.failure {
        span.events.push(event("exception", step.to, wall, exception(failure)));
    }
    if !step.as_expected() {
        let message = step.failure.as_ref().map_or("succeeded, and an error was expected", |f| f.message.as_str());
        span.status = failed(message);
    }
    span
}

fn exception(failure: &Failure) -> Vec<KeyValue> {
    let mut all = vec![text("exception.type", failure.class.name()), text("exception.message", &failure.message)];
    if !failure.log.is_empty() {
        all.push(text("podferry.log", &failure.log.join("\n")));
    }
    all
}

fn phase(phase: &PhaseSpan, case: &CaseRecord, ids: &Ids, of: &Span, wall: &Wall) -> Span {
    let mut span = ids.child(of, phase.phase.name(), (phase.from, phase.to), wall);
    span.attributes = vec![text("podferry.node", &phase.node)];
    let within = |from: At, to: At| from <= phase.to && to >= phase.from;
    let bytes = match phase.phase {
        Phase::Checkpoint => {
            case.evidence.checkpoints.iter().find(|c| c.node == phase.node && within(c.from, c.to)).map(|c| c.bytes)
        }
        Phase::Transfer => case.evidence.transfers.iter().find(|t| within(t.from, t.to)).map(|t| t.bytes),
        _ => None,
    };
    span.attributes.extend(bytes.map(|b| number("podferry.bytes", i64::try_from(b).unwrap_or(i64::MAX))));
    span
}

/// Times in which a client had no answer.
fn outages<'a>(
    case: &'a CaseRecord,
    epoch: At,
    ids: &'a Ids,
    whole: &'a Span,
    wall: &'a Wall,
) -> impl Iterator<Item = Span> + 'a {
    let at = move |ms: f64| At(epoch.0.saturating_add((ms.max(0.0) * 1e6) as u64));
    case.evidence.histories.iter().flat_map(move |(name, history)| {
        let client = ClientView::of(name, history, epoch);
        let told = move |o: crate::report::view::Outage| {
            let mut span = ids.child(whole, &format!("{name}: no answer"), (at(o.from_ms), at(o.from_ms + o.ms)), wall);
            span.attributes = vec![text("podferry.client", name)];
            span
        };
        client.outages.into_iter().map(told).collect::<Vec<_>>()
    })
}
