//! A comparison in one run: both sides were measured in turn.

use super::acks::{self, Acks};
use super::comparison_of;
use super::figures;
use super::judge::{self, Both};
use super::{unfit, unquiet};
use crate::record::{
    CaseId, CaseRecord, ComparedCase, Comparison, ComponentRecord, MachineUse, NodeRecord, Outcome, PerfVerdict,
    RuleRecord, Run, Way,
};
use crate::run::unpaired;
use crate::stats::Side;
use std::collections::{BTreeMap, BTreeSet};

/// What a case has of each side, by round.
type Rounds<'a> = BTreeMap<u32, [Option<&'a CaseRecord>; 2]>;

/// Cases whose figures point somewhere after the first round: they are to be measured once more, all figures anew.
pub fn suspects(run: &Run, rule: &RuleRecord) -> BTreeSet<CaseId> {
    let asks = |rounds: &Rounds<'_>| {
        let Some([Some(baseline), Some(candidate)]) = rounds.get(&1) else { return false };
        let passed = [baseline, candidate].iter().all(|c| c.outcome == Some(Outcome::Passed));
        passed && figures::all().any(|f| judge::asks_for_more(&f, &both(f.name, baseline, candidate), rule))
    };
    cases(run).into_iter().filter(|(_, rounds)| asks(rounds)).map(|(id, _)| id).collect()
}

/// What the record of a comparison's run comes to, on a machine that was used so meanwhile.
pub fn comparison(
    run: &Run,
    rule: RuleRecord,
    (pairs, seed): (usize, u64),
    used: MachineUse,
    acks: &Acks,
) -> Comparison {
    let mut known: Vec<CaseId> = Vec::new();
    for (id, ..) in run.cases.iter().filter_map(|c| unpaired(&c.id, &c.params)) {
        if !known.contains(&id) {
            known.push(id);
        }
    }
    let mut all = cases(run);
    let compared =
        known.into_iter().filter_map(|id| all.remove(&id).map(|rounds| case(id, &rounds, &rule))).collect::<Vec<_>>();
    let way = Way::Interleaved { pairs, seed };
    let mut comparison =
        Comparison { differences: differences(&run.nodes), cases: compared, ..comparison_of(run, way, rule) };
    comparison.machine_use = Some(used);
    comparison.warnings = unquiet(&used);
    if let Some(why) = unfit(&used, rule.most_stolen, rule.most_load) {
        invalidate(&mut comparison, &why);
    }
    acks::apply(acks, &mut comparison);
    comparison
}

/// Nothing is said by figures of a machine that was not fit. Counts without noise do not depend on it.
fn invalidate(comparison: &mut Comparison, why: &str) {
    comparison.warnings.push(format!("{why}: times are invalid"));
    for figure in comparison.cases.iter_mut().flat_map(|c| &mut c.figures).filter(|f| !f.exact) {
        figure.verdict = PerfVerdict::Invalid;
        why.clone_into(&mut figure.why);
    }
}

fn cases(run: &Run) -> BTreeMap<CaseId, Rounds<'_>> {
    let mut all: BTreeMap<CaseId, Rounds<'_>> = BTreeMap::new();
    for record in &run.cases {
        let Some((id, side, round)) = unpaired(&record.id, &record.params) else { continue };
        let sides = all.entry(id).or_default().entry(round).or_default();
        sides[usize::from(side == Side::Candidate)] = Some(record);
    }
    all
}

fn case(id: CaseId, rounds: &Rounds<'_>, rule: &RuleRecord) -> ComparedCase {
    let records = || rounds.values().flatten().flatten();
    let trouble = records().find(|c| c.outcome != Some(Outcome::Passed));
    let again = records().next().map(|c| c.rerun.clone()).unwrap_or_default();
    if let Some(record) = trouble {
        let word = record.outcome.map_or("did not end", Outcome::name);
        let reason = record.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
        let skipped = records().all(|c| matches!(c.outcome, Some(Outcome::Skipped | Outcome::Passed)));
        let side = record.params.get(crate::record::SIDE).map_or("", String::as_str);
        let trouble = Some(format!("the {side} {word}{reason}"));
        return ComparedCase { case: id, again, trouble, skipped, figures: Vec::new() };
    }
    let judged = |figure: figures::Figure| {
        let samples: Vec<Both> = rounds
            .values()
            .filter_map(|sides| match sides {
                [Some(baseline), Some(candidate)] => Some(both(figure.name, baseline, candidate)),
                _ => None,
            })
            .collect();
        judge::in_turn(&figure, &samples, rule)
    };
    ComparedCase {
        case: id,
        again,
        trouble: None,
        skipped: false,
        figures: figures::all().filter_map(judged).collect(),
    }
}

fn both(figure: &str, baseline: &CaseRecord, candidate: &CaseRecord) -> Both {
    let of = |c: &CaseRecord| c.evidence.metrics.get(figure).cloned().unwrap_or_default();
    Both { baseline: of(baseline), candidate: of(candidate) }
}

/// What differs between nodes of the two sides.
fn differences(nodes: &[NodeRecord]) -> Vec<String> {
    let of = |side: Side| nodes.iter().find(|n| n.image.as_deref() == Some(side.name()));
    let (Some(baseline), Some(candidate)) = (of(Side::Baseline), of(Side::Candidate)) else { return Vec::new() };
    changes(&baseline.components, &candidate.components)
}

/// What is not the same in two lists of components, by digest.
pub(super) fn changes(baseline: &[ComponentRecord], candidate: &[ComponentRecord]) -> Vec<String> {
    let names: BTreeSet<&str> = baseline.iter().chain(candidate).map(|c| c.name.as_str()).collect();
    let told = |name: &&str| {
        let find = |all: &'_ [ComponentRecord]| all.iter().find(|c| c.name == *name).cloned();
        let (b, c) = (find(baseline), find(candidate));
        if b.as_ref().map(|b| &b.digest) == c.as_ref().map(|c| &c.digest) {
            return None;
        }
        let say = |c: Option<ComponentRecord>| {
            c.map_or_else(|| "absent".to_owned(), |c| format!("{} ({})", c.version, c.source))
        };
        Some(format!("{name}: {} -> {}", say(b), say(c)))
    };
    names.iter().filter_map(told).collect()
}

#[cfg(test)]
#[path = "ab/tests.rs"]
mod tests;
