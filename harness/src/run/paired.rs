//! Two sides of a comparison in turn: the same cases on the same kind of nodes, which are there side by side and differ in
//! their components alone. One record: each side of a case is a case of it, with a figure a repetition.

use super::case::{CaseRun, Ended};
use super::world::World;
use super::{Ground, Recorder, Stores, conclude, given_up, patience, to_its_end};
use crate::record::{CaseId, CheckSpec, EngineKind, Event, Outcome, ROUND, Run, SIDE};
use crate::scenario::plan::{Case, Plan};
use crate::stats::{Side, order};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What a comparison is made of.
pub struct Paired {
    /// What to do. Repetitions, warm-up and budgets of the cases do not matter here.
    pub plan: Plan,
    /// What the sides run on.
    pub sides: Sides,
    /// Images on the host.
    pub stores: Stores,
    /// Takes the events.
    pub recorder: Arc<Recorder>,
    /// The command that compares a case again, but for its name: `podferry perf ab --candidate-component runc=...`.
    pub again: String,
    /// How many repetitions of each side count, in each round.
    pub pairs: usize,
    /// Discarded pairs before those.
    pub warmup: usize,
    /// Draws which side goes first.
    pub seed: u64,
    /// How long all of it may take.
    pub timeout: Duration,
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
    let Paired { plan, sides, stores, recorder, again, pairs, warmup, seed, timeout } = paired;
    let cases: Vec<Case> = plan.cases.into_iter().map(unbounded).collect();
    let world = |ground: Ground, side: Side| {
        World::new(Ground { image: Some(side.name().to_owned()), ..ground }, stores.clone(), Arc::clone(&recorder))
    };
    let worlds = [world(sides.baseline, Side::Baseline), world(sides.candidate, Side::Candidate)];
    let mut duel = Duel { worlds: &worlds, recorder: &recorder, again, pairs, warmup, seed, number: 0 };
    let work = async {
        duel.plan(&cases, 1);
        if !duel.raise(&cases).await {
            return;
        }
        for case in &cases {
            duel.round(case, 1).await;
        }
        let wanted = confirm(&recorder.fold());
        let again: Vec<Case> = cases.iter().filter(|c| wanted.contains(&c.id)).cloned().collect();
        duel.plan(&again, 2);
        for case in &again {
            duel.round(case, 2).await;
        }
    };
    to_its_end(work, timeout, &mut stop, &recorder).await;
    super::end(&worlds, &recorder, false).await
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

struct Duel<'a> {
    worlds: &'a [World; 2],
    recorder: &'a Recorder,
    again: String,
    pairs: usize,
    warmup: usize,
    seed: u64,
    /// Of cases that began: no two use the same names on a node.
    number: usize,
}

impl Duel<'_> {
    /// Notes both sides of the cases.
    fn plan(&self, cases: &[Case], round: u32) {
        for case in cases {
            let given = match case.origin.file.starts_with("scenarios/") {
                true => String::new(),
                false => format!(" --scenario {}", case.origin.file),
            };
            let again = format!("{} --engine {}{given} '{}'", self.again, case.engine, case.id);
            for side in Side::BOTH {
                super::note(&named(case, side, round), again.clone(), self.recorder);
            }
        }
    }

    /// All nodes of both sides; `false` if one does not come up.
    async fn raise(&self, cases: &[Case]) -> bool {
        let kinds: BTreeSet<EngineKind> = cases.iter().map(|c| c.engine).collect();
        let nodes: BTreeSet<String> = cases.iter().flat_map(|c| c.nodes.iter().cloned()).collect();
        let (kinds, nodes): (Vec<_>, Vec<_>) = (kinds.into_iter().collect(), nodes.into_iter().collect());
        for world in self.worlds {
            if let Err(failure) = world.raise(&kinds, &nodes).await {
                self.recorder.error(failure);
                return false;
            }
        }
        true
    }

    /// All pairs of a case. The first repetition that does not pass ends it on both sides: what is left of the other says
    /// nothing.
    async fn round(&mut self, case: &Case, round: u32) {
        self.number += 1;
        let both = Side::BOTH.map(|side| named(case, side, round));
        for case in &both {
            self.recorder.case(&case.id, Event::CaseStarted);
        }
        let mut ended = [None, None];
        for (world, (case, ended)) in self.worlds.iter().zip(both.iter().zip(&mut ended)) {
            *ended = match super::requirements::unmet(world, case).await {
                Ok(None) => None,
                Ok(Some(reason)) => Some(Ended::new(Outcome::Skipped, Some(reason))),
                Err(failure) => Some(Ended::new(Outcome::Errored, Some(failure.message))),
            };
        }
        if ended.iter().all(Option::is_none) {
            ended = self.pairs(&both, round).await;
        }
        for (world, (case, ended)) in self.worlds.iter().zip(both.iter().zip(ended)) {
            let ended = ended.unwrap_or_else(|| Ended::new(Outcome::Passed, None));
            conclude(world, case, ended, self.recorder).await;
        }
    }

    async fn pairs(&self, both: &[Case; 2], round: u32) -> [Option<Ended>; 2] {
        // The warm-up is a whole number of blocks, so that what counts begins with one.
        let warmup = self.warmup.next_multiple_of(2);
        let total = warmup + self.pairs;
        let mut last = [None, None];
        let order = order(total, self.seed.wrapping_add((self.number as u64) << 32).wrapping_add(u64::from(round)));
        for (pair, first) in order.into_iter().enumerate() {
            for side in [first, first.other()] {
                let index = usize::from(side == Side::Candidate);
                let case = &both[index];
                let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                let warm = pair < warmup;
                let event = Event::Repetition { number: number(pair + 1), of: Some(number(total)), warmup: warm };
                self.recorder.case(&case.id, event);
                let tag = format!("c{}r{pair}", self.number);
                let mut run = CaseRun::new(&self.worlds[index], case, self.recorder, tag);
                let done = tokio::time::timeout(patience(case), Box::pin(run.repetition(!warm))).await;
                let ended = done.unwrap_or_else(|_| given_up(case));
                let passed = ended.passed();
                last[index] = Some(ended);
                if !passed {
                    return last;
                }
            }
        }
        last
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
