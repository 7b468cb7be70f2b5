use serde::{Deserialize, Serialize};
use std::fmt;

/// Names one run: folder under `target/e2e/`, ledger, cgroups and namespaces all carry it. Sortable by start time and
/// unique on the machine: `20261122-165301-4f2a`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one case: the scenario, then its cell of the matrix: `redis-migrates[engine=cri,data=64Mi]`. Stable from run
/// to run, so histories can be compared by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct CaseId(pub String);

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The cell of a case in a run on several node images: the image, as the user named it.
pub const NODE_IMAGE: &str = "node-image";

/// The cell of a case in a comparison: `baseline` or `candidate`.
pub const SIDE: &str = "side";

/// The cell of a case that a comparison does once more, to confirm what it found: `2`.
pub const ROUND: &str = "round";

/// Name of a figure: how many programs podferry started in a repetition, on the host and in nodes.
pub const SPAWNS: &str = "spawns";

/// Name of a figure: how many calls of a daemon's interface podferry made in a repetition.
pub const RPCS: &str = "rpcs";

/// Name of a figure: the worst latency of an answered operation, counted from when it was due, in ms.
pub const WORST_LATENCY: &str = "worst-latency";

/// Name of a figure: the worst lateness of a client's own timer, in ms: how far off the client's figures may be.
pub const MEASUREMENT_ERROR: &str = "measurement-error";

/// Name of a figure: how many pages of memory CRIU wrote in a repetition, by its own count.
pub const PAGES_WRITTEN: &str = "pages-written";

/// How far down the suite a scenario stands.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Runs when nothing is asked for: what everyone should know of their stack, in less than 90 s.
    #[default]
    Core,
    /// Runs when it is asked for, by `--tier` or by name.
    Full,
}

impl Tier {
    /// All tiers, the first to run first.
    pub const ALL: [Tier; 2] = [Tier::Core, Tier::Full];

    /// The tier as users write it.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Core => "core",
            Tier::Full => "full",
        }
    }
}

/// The place in a scenario file that a step or check came from. Line and column count from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Origin {
    /// The file as the user named it.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
