//! What lies beside a run's events and helps to understand it: the scenarios' text, and how earlier runs went.

use super::{ComponentRecord, Outcome, RunId};
use serde::{Deserialize, Serialize};

/// A file of scenarios that was kept with a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptScenario {
    /// The copy, relative to the run's folder.
    pub copy: String,
    /// Its text; whoever reads a run from its folder adds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// How a case did in an earlier run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastCase {
    /// The run.
    pub run: RunId,
    /// When it began, RFC 3339.
    pub started: String,
    /// How the case ended.
    pub outcome: Outcome,
    /// Why, where it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The downtime in ms, the median of its repetitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downtime: Option<f64>,
    /// What ran on the nodes then, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<ComponentRecord>,
}
