//! What comparisons have in common, whatever their two sides are: rounds of cases, in each of them samples of both sides in
//! turn, and one record of both.

use super::paired::{named, unbounded};
use super::{Recorder, note};
use crate::record::{CaseId, Event, Run};
use crate::scenario::plan::{Case, Plan};
use crate::stats::{Side, order};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How two sides are compared.
pub struct Pairing {
    /// What to do. Repetitions, warm-up and budgets of the cases do not matter here.
    pub plan: Plan,
    /// Takes the events.
    pub recorder: Arc<Recorder>,
    /// The command that compares a case again, but for its name: `podferry perf ab --candidate-component runc=...`.
    pub again: String,
    /// How many samples of each side count, in each round.
    pub pairs: usize,
    /// Discarded pairs before those.
    pub warmup: usize,
    /// Draws which side goes first.
    pub seed: u64,
    /// How long all of it may take.
    pub timeout: Duration,
}

impl Pairing {
    /// The cases as they are compared.
    pub(super) fn cases(&self) -> Vec<Case> {
        self.plan.cases.iter().cloned().map(unbounded).collect()
    }
}

/// Two sides that can do a case.
pub(super) trait Sides {
    /// All pairs of a case, and how it ends on both sides; `both`: the case as each side's is recorded.
    async fn round(&self, duel: &Duel<'_>, case: &Case, both: &[Case; 2], round: u32);
}

/// A comparison under way.
pub(super) struct Duel<'a> {
    pairing: &'a Pairing,
    pub(super) recorder: &'a Recorder,
    /// Of cases that began: no two use the same names on a node.
    pub(super) number: usize,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) pair: usize,
    pub(super) side: Side,
    /// It does not count.
    pub(super) warm: bool,
}

impl Turn {
    /// The side's place in a list of both.
    pub(super) fn index(self) -> usize {
        usize::from(self.side == Side::Candidate)
    }
}

impl<'a> Duel<'a> {
    pub(super) fn new(pairing: &'a Pairing) -> Self {
        Duel { pairing, recorder: &pairing.recorder, number: 0 }
    }

    /// Notes both sides of the cases of a round.
    pub(super) fn plan(&self, cases: &[Case], round: u32) {
        for case in cases {
            let given = match case.origin.file.starts_with("scenarios/") {
                true => String::new(),
                false => format!(" --scenario {}", case.origin.file),
            };
            let again = format!("{} --engine {}{given} '{}'", self.pairing.again, case.engine, case.id);
            for side in Side::BOTH {
                note(&named(case, side, round), again.clone(), self.recorder);
            }
        }
    }

    /// A round of all cases, which was noted, then a second one of those that `confirm` names by what has been recorded.
    pub(super) async fn rounds(
        &mut self,
        sides: &impl Sides,
        cases: &[Case],
        confirm: impl Fn(&Run) -> BTreeSet<CaseId>,
    ) {
        self.round(sides, cases, 1).await;
        let wanted = confirm(&self.recorder.fold());
        let again: Vec<Case> = cases.iter().filter(|c| wanted.contains(&c.id)).cloned().collect();
        self.plan(&again, 2);
        self.round(sides, &again, 2).await;
    }

    async fn round(&mut self, sides: &impl Sides, cases: &[Case], round: u32) {
        for case in cases {
            self.number += 1;
            let both = Side::BOTH.map(|side| named(case, side, round));
            for case in &both {
                self.recorder.case(&case.id, Event::CaseStarted);
            }
            sides.round(self, case, &both, round).await;
        }
    }

    /// Whose turn it is, one after the other.
    pub(super) fn turns(&self, round: u32) -> Vec<Turn> {
        // The warm-up is a whole number of blocks, so that what counts begins with one.
        let warmup = self.pairing.warmup.next_multiple_of(2);
        let drawn = self.pairing.seed.wrapping_add((self.number as u64) << 32).wrapping_add(u64::from(round));
        let pairs = order(warmup + self.pairing.pairs, drawn).into_iter().enumerate();
        pairs
            .flat_map(|(pair, first)| [first, first.other()].map(|side| Turn { pair, side, warm: pair < warmup }))
            .collect()
    }

    /// Records that a turn begins.
    pub(super) fn begins(&self, turn: Turn, both: &[Case; 2]) {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let total = self.pairing.warmup.next_multiple_of(2) + self.pairing.pairs;
        let of = Some(number(total));
        let event = Event::Repetition { number: number(turn.pair + 1), of, warmup: turn.warm };
        self.recorder.case(&both[turn.index()].id, event);
    }
}
