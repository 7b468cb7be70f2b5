//! A stored run that was judged again.

use super::{CaseId, Check, Outcome, Run, Verdict};
use serde::{Deserialize, Serialize};

/// What came of judging a stored run again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rechecked {
    /// The run as it is judged now.
    pub run: Run,
    /// Its cases, in order.
    pub cases: Vec<RecheckedCase>,
}

/// A case that was judged again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecheckedCase {
    /// Which.
    pub id: CaseId,
    /// How it had ended.
    pub was: Option<Outcome>,
    /// How it ends now.
    pub now: Option<Outcome>,
    /// Its checks that were judged again, in order.
    pub checks: Vec<JudgedAgain>,
    /// What must be known of this judgement: evidence that is not there, checks that are not known.
    pub notes: Vec<String>,
}

/// A check that was judged again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedAgain {
    /// The check.
    pub check: Check,
    /// What it had found; `None`: it was not judged then, or not asked.
    pub was: Option<Verdict>,
    /// What it finds now.
    pub now: Verdict,
}

impl JudgedAgain {
    /// Whether it says another thing than it did.
    pub fn changed(&self) -> bool {
        self.was.as_ref().is_none_or(|was| was.passed != self.now.passed)
    }
}

impl RecheckedCase {
    /// Whether it ends otherwise, or a check of it says another thing.
    pub fn changed(&self) -> bool {
        self.was != self.now || self.checks.iter().any(JudgedAgain::changed)
    }
}
