use super::Origin;
use serde::{Deserialize, Serialize};

/// What a scenario says of a failure that is known: it is written down somewhere, and somebody will look at it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KnownIssue {
    /// Where it is written down.
    pub link: String,
    /// Why it fails, in a line.
    pub reason: String,
    /// The last day on which it counts, as `2027-03-31`.
    pub expires: String,
    /// Whether it is a failure that it does not show.
    pub strict: bool,
    /// A regular expression that the failure must match; another failure is none that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What of the case fails.
    pub of: KnownPart,
    /// Where it stands in the scenario.
    pub origin: Origin,
}

/// A part of a case that can fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KnownPart {
    /// Any: a step, a check, or the case by its time.
    Case,
    /// The step of this id.
    Step(String),
    /// The check at this index.
    Check(usize),
}

/// What became of a known issue in a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KnownRecord {
    /// The issue.
    pub issue: KnownIssue,
    /// What became of it.
    pub state: KnownState,
}

/// What became of a known issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KnownState {
    /// It showed: the case failed as it says.
    Shown,
    /// It showed, and its day is over: the failure counts.
    Expired,
    /// It did not show, and was to: the case fails for that.
    Gone,
    /// It did not show, which is allowed.
    Absent,
}
