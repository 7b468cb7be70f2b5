use crate::record::{History, OpOutcome};
use crate::report::text::thousands;
use serde::Serialize;
use std::collections::HashMap;

/// What became of a writer's writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct WritesView {
    /// Acknowledged to the writer.
    pub acknowledged: u64,
    /// Sent, and never answered: each may or may not be there.
    pub unknown: u64,
    /// Of those, how many are there; `null` if the last instance was not read.
    pub unknown_there: Option<u64>,
    /// Acknowledged, and not there; `null` if the last instance was not read.
    pub lost: Option<u64>,
    /// There more than once; `null` if the last instance was not read.
    pub duplicated: Option<u64>,
    /// How many the last instance holds; `null` if it was not read.
    pub held: Option<u64>,
    /// The sequence numbers of the first lost ones, at most 20.
    pub first_lost: Vec<u64>,
}

/// How many lost writes are named.
const NAMED: usize = 20;

impl WritesView {
    pub(super) fn of(history: &History) -> Option<WritesView> {
        if !history.kind.ends_with("-writer") {
            return None;
        }
        let keys = |outcome| history.ops.iter().filter(move |op| op.outcome == outcome).map(|op| op.key);
        let mut view = WritesView {
            acknowledged: keys(OpOutcome::Ok).count() as u64,
            unknown: keys(OpOutcome::Unknown).count() as u64,
            unknown_there: None,
            lost: None,
            duplicated: None,
            held: None,
            first_lost: Vec::new(),
        };
        if let Some(journal) = &history.final_journal {
            let mut times: HashMap<u64, u64> = HashMap::with_capacity(journal.len());
            for key in journal {
                *times.entry(*key).or_default() += 1;
            }
            let lost: Vec<u64> = keys(OpOutcome::Ok).filter(|k| !times.contains_key(k)).collect();
            view.held = Some(journal.len() as u64);
            view.unknown_there = Some(keys(OpOutcome::Unknown).filter(|k| times.contains_key(k)).count() as u64);
            view.duplicated = Some(times.values().filter(|n| **n > 1).count() as u64);
            view.lost = Some(lost.len() as u64);
            view.first_lost = lost.into_iter().take(NAMED).collect();
        }
        Some(view)
    }

    /// `1,200 writes acknowledged, none lost`.
    pub fn sentence(&self) -> String {
        let fate = match self.lost {
            None => "not read back".to_owned(),
            Some(0) => "none lost".to_owned(),
            Some(n) => format!("{} lost", thousands(n)),
        };
        let twice = self.duplicated.filter(|n| *n > 0).map(|n| format!(", {} twice", thousands(n))).unwrap_or_default();
        format!("{} writes acknowledged, {fate}{twice}", thousands(self.acknowledged))
    }
}
