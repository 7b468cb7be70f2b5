use super::{ClientView, ms};
use crate::record::{At, CaseRecord, ErrorClass, Millis, Phase, PhaseSpan, SourceFate};
use crate::report::text;
use serde::Serialize;

/// One migration.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct MigrationView {
    /// The step.
    pub step: String,
    /// The instance that moved.
    pub of: String,
    /// The instance that came of it.
    pub into: String,
    /// From where.
    pub from_node: String,
    /// To where.
    pub to_node: String,
    /// What becomes of the source.
    pub source: SourceFate,
    /// When it was asked for.
    pub from_ms: f64,
    /// Until the copy first answered; `null` if it never did.
    pub total_ms: Option<f64>,
    /// The class of the error that ended it.
    pub error: Option<ErrorClass>,
    /// The outage that the clients saw of it (the longest that overlaps it); `null` if none did.
    pub outage_ms: Option<f64>,
    /// Where that outage went: parts in order of time, that add up to it.
    pub parts: Vec<Part>,
}

/// A part of an outage.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Part {
    /// The phase that ran; `null` for time in which none did.
    pub phase: Option<Phase>,
    /// How long.
    pub ms: f64,
}

impl MigrationView {
    /// Why its outage is no downtime, if it is none: nobody took over.
    pub fn no_downtime(&self) -> Option<String> {
        self.total_ms
            .is_none()
            .then(|| format!("no downtime: {} never answered, so nobody took over from {}", self.into, self.of))
    }
}

impl super::CaseView {
    /// Outages of migrations that came to nothing, which the figure `downtime` does not tell of.
    pub(in crate::report) fn outages(&self) -> Vec<String> {
        let none =
            |m: &MigrationView| Some(format!("{} without an answer; {}", Millis(m.outage_ms?), m.no_downtime()?));
        self.migrations.iter().filter_map(none).collect()
    }
}

impl Part {
    /// The part's name.
    pub fn name(&self) -> &'static str {
        self.phase.map_or("between", Phase::name)
    }
}

/// A timed part of a checkpoint, transfer or restore.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct PhaseView {
    /// Which.
    pub phase: Phase,
    /// Its name for people.
    pub name: &'static str,
    /// Where.
    pub node: String,
    /// The step that it is part of: index into the case's steps.
    pub step: usize,
    /// When it began.
    pub from_ms: f64,
    /// How long it took.
    pub ms: f64,
}

pub(super) fn phases(spans: &[PhaseSpan], epoch: At) -> Vec<PhaseView> {
    let mut views: Vec<PhaseView> = spans
        .iter()
        .map(|s| PhaseView {
            phase: s.phase,
            name: s.phase.name(),
            node: text::line(&s.node),
            step: s.step,
            from_ms: ms(epoch, s.from),
            ms: ms(s.from, s.to),
        })
        .collect();
    views.sort_by(|a, b| a.from_ms.total_cmp(&b.from_ms));
    views
}

pub(super) fn of(case: &CaseRecord, clients: &[ClientView], epoch: At) -> Vec<MigrationView> {
    let e = &case.evidence;
    let spans = phases(&e.phases, epoch);
    e.migrations
        .iter()
        .map(|m| {
            let from_ms = ms(epoch, m.triggered);
            let until = e.steps.iter().find(|s| s.id == m.step).map(|s| s.to).or(m.answered);
            let until_ms = until.map_or(f64::INFINITY, |t| ms(epoch, t));
            let outage = clients
                .iter()
                .flat_map(|c| &c.outages)
                .filter(|o| o.from_ms <= until_ms && o.from_ms + o.ms >= from_ms)
                .max_by(|a, b| a.ms.total_cmp(&b.ms));
            MigrationView {
                step: text::line(&m.step),
                of: text::line(&m.of),
                into: text::line(&m.into),
                from_node: text::line(&m.from_node),
                to_node: text::line(&m.to_node),
                source: m.source,
                from_ms,
                total_ms: m.answered.map(|a| ms(m.triggered, a)),
                error: m.error,
                outage_ms: outage.map(|o| o.ms),
                parts: outage.map(|o| attribute(o.from_ms, o.from_ms + o.ms, &spans)).unwrap_or_default(),
            }
        })
        .collect()
}

/// Parts that are shorter would be told as `0.0 ms`.
const LEAST_PART_MS: f64 = 0.05;

/// Cuts the span into parts: each moment belongs to the phase that began last of those that run then, for a phase
/// within another one explains more. The parts add up to the span.
fn attribute(from: f64, to: f64, spans: &[PhaseView]) -> Vec<Part> {
    let mut cuts: Vec<f64> = spans.iter().flat_map(|s| [s.from_ms, s.from_ms + s.ms]).collect();
    cuts.extend([from, to]);
    cuts.retain(|t| (from..=to).contains(t));
    cuts.sort_by(f64::total_cmp);
    let mut parts: Vec<Part> = Vec::new();
    for w in cuts.windows(2).filter(|w| w[1] > w[0]) {
        let running = spans.iter().filter(|s| s.from_ms <= w[0] && s.from_ms + s.ms >= w[1]);
        let phase = running.max_by(|a, b| a.from_ms.total_cmp(&b.from_ms)).map(|s| s.phase);
        match parts.last_mut() {
            // A gap between two clock readings is no part: it goes to the phase before it.
            Some(last) if last.phase == phase || w[1] - w[0] < LEAST_PART_MS => last.ms += w[1] - w[0],
            _ => parts.push(Part { phase, ms: w[1] - w[0] }),
        }
    }
    parts
}

/// The timed parts of a case, a line a step: `on a: freeze 12 ms  checkpoint 131 ms  on b: restore 88 ms`.
pub(in crate::report) fn timeline(case: &super::CaseView) -> Vec<String> {
    let step = |(index, step): (usize, &super::StepView)| {
        let phases = case.phases.iter().filter(|p| p.step == index);
        let mut parts: Vec<(&str, String)> =
            phases.map(|p| (p.node.as_str(), format!("{} {}", p.name, Millis(p.ms)))).collect();
        let failed = case.breaks.iter().filter(|b| b.step == index);
        parts.extend(failed.map(|b| (b.node.as_str(), format!("x {} after {}", b.class, Millis(step.ms)))));
        let mut at = "";
        let told = parts.iter().map(|(node, part)| match std::mem::replace(&mut at, node) == *node {
            true => part.clone(),
            false => format!("on {node}: {part}"),
        });
        let told = told.collect::<Vec<_>>().join("  ");
        (!told.is_empty()).then_some(told)
    };
    case.steps.iter().enumerate().filter_map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(phase: Phase, from_ms: f64, ms: f64) -> PhaseView {
        PhaseView { phase, name: phase.name(), node: "a".to_owned(), step: 0, from_ms, ms }
    }

    #[test]
    fn the_phase_within_explains_more_than_the_one_around_it() {
        let spans = [span(Phase::Checkpoint, 10.0, 100.0), span(Phase::Digest, 30.0, 20.0)];
        let parts = attribute(0.0, 120.0, &spans);
        let told: Vec<(&str, f64)> = parts.iter().map(|p| (p.name(), p.ms)).collect();
        assert_eq!(
            told,
            [("between", 10.0), ("checkpoint", 20.0), ("digest", 20.0), ("checkpoint", 60.0), ("between", 10.0)]
        );
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_outage(
            from in 0.0..500.0f64, len in 0.0..1000.0f64,
            spans in prop::collection::vec((0.0..1000.0f64, 0.0..400.0f64), 0..12),
        ) {
            let spans: Vec<PhaseView> = spans.into_iter().map(|(f, l)| span(Phase::Checkpoint, f, l)).collect();
            let sum: f64 = attribute(from, from + len, &spans).iter().map(|p| p.ms).sum();
            prop_assert!((sum - len).abs() < 1e-6, "{sum} for {len}");
        }
    }
}
