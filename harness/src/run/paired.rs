//! Two sides of a comparison in turn: the same cases on the same kind of nodes, which are there side by side and differ in
//! their components alone. One record: each side of a case is a case of it, with a figure a repetition.

use super::case::{CaseRun, Ended};
use super::duel::{self, Duel, Pairing};
use super::world::World;
use super::{Ground, Recorder, Stores, conclude, given_up, patience, to_its_end};
use crate::record::{CaseId, CheckSpec, EngineKind, Outcome, ROUND, Run, SIDE};
use crate::scenario::plan::Case;
use crate::stats::Side;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

/// What a comparison of stacks is made of.
pub struct Paired {
    /// How they are compared.
    pub pairing: Pairing,
    /// What the sides run on.
    pub sides: Sides,
    /// Images on the host.
    pub stores: Stores,
}

/// The grounds of both sides.
pub struct Sides {
    /// What is known.
    pub baseline: Ground,
    /// What is to be judged.
    pub candidate: Ground,
}

/// Runs a comparison to its end, as [`super::execute`] does: a round of all cases, then a second one of those that `confirm`
/// names by what has been recorded.
pub async fn execute_paired(
    paired: Paired,
    confirm: impl Fn(&Run) -> BTreeSet<CaseId>,
    mut stop: watch::Receiver<bool>,
) -> Run {
    let Paired { pairing, sides, stores } = paired;
    let (cases, recorder) = (pairing.cases(), &pairing.recorder);
    let world = |ground: Ground, side: Side| {
        World::new(Ground { image: Some(side.name().to_owned()), ..ground }, stores.clone(), Arc::clone(recorder))
    };
    let worlds = Worlds([world(sides.baseline, Side::Baseline), world(sides.candidate, Side::Candidate)]);
    let mut duel = Duel::new(&pairing);
    let work = async {
        duel.plan(&cases, 1);
        if worlds.raise(&cases, recorder).await {
            duel.rounds(&worlds, &cases, confirm).await;
        }
    };
    to_its_end(work, pairing.timeout, &mut stop, recorder).await;
    super::end(&worlds.0, recorder, false).await
}

/// Bounds on figures are no matter of a comparison.
pub(super) fn unbounded(mut case: Case) -> Case {
    case.checks.retain(|c| !matches!(c.spec, CheckSpec::Budget(_)));
    case
}

/// The name of a case, the side, and the round, of a case of a comparison's record.
pub fn unpaired(id: &CaseId, params: &BTreeMap<String, String>) -> Option<(CaseId, Side, u32)> {
    let side = Side::BOTH.into_iter().find(|s| params.get(SIDE).is_some_and(|side| side == s.name()))?;
    let round = params.get(ROUND).map_or(Some(1), |round| round.parse().ok())?;
    let name = id.0.strip_suffix(&suffix(side, round))?;
    Some((CaseId(format!("{name}]")), side, round))
}

fn suffix(side: Side, round: u32) -> String {
    let round = if round > 1 { format!(",{ROUND}={round}") } else { String::new() };
    format!(",{SIDE}={}{round}]", side.name())
}

/// A case as it is recorded.
pub(super) fn named(case: &Case, side: Side, round: u32) -> Case {
    let mut case = case.clone();
    case.id.0 = format!("{}{}", case.id.0.trim_end_matches(']'), suffix(side, round));
    case.params.insert(SIDE.to_owned(), side.name().to_owned());
    if round > 1 {
        case.params.insert(ROUND.to_owned(), round.to_string());
    }
    case
}

/// Nodes of both sides.
struct Worlds([World; 2]);

impl Worlds {
    /// All of them; `false` if one does not come up.
    async fn raise(&self, cases: &[Case], recorder: &Recorder) -> bool {
        let kinds: BTreeSet<EngineKind> = cases.iter().map(|c| c.engine).collect();
        let nodes: BTreeSet<String> = cases.iter().flat_map(|c| c.nodes.iter().cloned()).collect();
        let (kinds, nodes): (Vec<_>, Vec<_>) = (kinds.into_iter().collect(), nodes.into_iter().collect());
        for world in &self.0 {
            if let Err(failure) = Box::pin(world.raise(&kinds, &nodes)).await {
                recorder.error(failure);
                return false;
            }
        }
        true
    }

    /// The first repetition that does not pass ends the case on both sides: what is left of the other says nothing.
    async fn pairs(&self, duel: &Duel<'_>, both: &[Case; 2], round: u32) -> [Option<Ended>; 2] {
        let mut last = [None, None];
        for turn in duel.turns(round) {
            let (index, case) = (turn.index(), &both[turn.index()]);
            duel.begins(turn, both);
            let tag = format!("c{}r{}", duel.number, turn.pair);
            let mut run = CaseRun::new(&self.0[index], case, duel.recorder, tag);
            let done = tokio::time::timeout(patience(case), Box::pin(run.repetition(!turn.warm))).await;
            let ended = done.unwrap_or_else(|_| given_up(case));
            let passed = ended.passed();
            last[index] = Some(ended);
            if !passed {
                return last;
            }
        }
        last
    }
}

impl duel::Sides for Worlds {
    async fn round(&self, duel: &Duel<'_>, _case: &Case, both: &[Case; 2], round: u32) {
        let mut ended = [None, None];
        for (world, (case, ended)) in self.0.iter().zip(both.iter().zip(&mut ended)) {
            *ended = match Box::pin(super::requirements::unmet(world, case)).await {
                Ok(None) => None,
                Ok(Some(reason)) => Some(Ended::new(Outcome::Skipped, Some(reason))),
                Err(failure) => Some(Ended::new(Outcome::Errored, Some(failure.message))),
            };
        }
        if ended.iter().all(Option::is_none) {
            ended = self.pairs(duel, both, round).await;
        }
        for (world, (case, ended)) in self.0.iter().zip(both.iter().zip(ended)) {
            let ended = ended.unwrap_or_else(|| Ended::new(Outcome::Passed, None));
            conclude(world, case, ended, duel.recorder).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_of_a_side_tells_which_it_is() {
        let text = include_str!("../../../scenarios/counter-migrates.yaml");
        let (scenario, _) = crate::scenario::load(text, "scenarios/counter-migrates.yaml", crate::workload::KINDS);
        let selection = crate::scenario::Selection { engines: vec![EngineKind::Runc], ..Default::default() };
        let plan = crate::scenario::plan(&[scenario.expect("a sound scenario")], &selection).expect("a plan");
        let case = &plan.cases[0];
        for (side, round, id) in [
            (Side::Baseline, 1, "counter-migrates[engine=runc,side=baseline]"),
            (Side::Candidate, 2, "counter-migrates[engine=runc,side=candidate,round=2]"),
        ] {
            let named = named(case, side, round);
            assert_eq!(named.id.0, id);
            assert_eq!(unpaired(&named.id, &named.params), Some((case.id.clone(), side, round)));
        }
        assert_eq!(unpaired(&case.id, &case.params), None);
        assert!(unbounded(case.clone()).checks.iter().all(|c| !matches!(c.spec, CheckSpec::Budget(_))));
    }
}
