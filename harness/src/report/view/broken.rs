use super::{PhaseView, ms};
use crate::record::{At, CaseRecord, ErrorClass, MigrationRecord, Phase, StepRecord};
use crate::report::text;
use serde::Serialize;

/// Where a step with timed parts failed: the span after the last of them that came to its end.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct BreakView {
    /// The class of the error.
    pub class: ErrorClass,
    /// The node that was at work.
    pub node: String,
    /// The step: index into the case's steps.
    pub step: usize,
    /// When the last part that ended did, or when the step began.
    pub from_ms: f64,
    /// From then to the end of the step.
    pub ms: f64,
}

pub(super) fn of(case: &CaseRecord, phases: &[PhaseView], epoch: At) -> Vec<BreakView> {
    let e = &case.evidence;
    let view = |(index, step): (usize, &StepRecord)| {
        let class = step.failure.as_ref()?.class;
        let own: Vec<&PhaseView> = phases.iter().filter(|p| p.step == index).collect();
        let last = own.last()?;
        let from = own.iter().map(|p| p.from_ms + p.ms).fold(ms(epoch, step.from), f64::max);
        let migration = e.migrations.iter().find(|m| m.step == step.id);
        let node = migration.map_or_else(|| last.node.clone(), |m| text::line(of_migration(m, &own)));
        Some(BreakView { class, node, step: index, from_ms: from, ms: (ms(epoch, step.to) - from).max(0.0) })
    };
    e.steps.iter().enumerate().filter_map(view).collect()
}

/// The source is at work until its checkpoint is there.
fn of_migration<'a>(m: &'a MigrationRecord, ended: &[&PhaseView]) -> &'a str {
    let left = |p: &&PhaseView| !matches!(p.phase, Phase::Prepare | Phase::Freeze);
    if ended.iter().any(left) { &m.to_node } else { &m.from_node }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::SourceFate;

    #[test]
    fn the_source_is_at_work_until_its_checkpoint_is_there() {
        let m = MigrationRecord {
            step: "move".to_owned(),
            of: "redis".to_owned(),
            into: "redis-moved".to_owned(),
            from_node: "a".to_owned(),
            to_node: "b".to_owned(),
            source: SourceFate::Fenced,
            triggered: At(1),
            answered: None,
            error: Some(ErrorClass::DumpFailed),
            strategy: None,
            moved: None,
            sent: None,
            pages_arrived: None,
        };
        let span =
            |phase: Phase| PhaseView { phase, name: phase.name(), node: String::new(), step: 0, from_ms: 0.0, ms: 1.0 };
        let (prepare, freeze, checkpoint) = (span(Phase::Prepare), span(Phase::Freeze), span(Phase::Checkpoint));
        assert_eq!(of_migration(&m, &[&prepare, &freeze]), "a");
        assert_eq!(of_migration(&m, &[&prepare, &freeze, &checkpoint]), "b");
    }
}
