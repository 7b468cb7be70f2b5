//! What a comparison of figures found: which are slower, and how sure that is.

use super::{CaseId, HostRecord, RunId};
use serde::{Deserialize, Serialize};

/// The word on a figure of which less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PerfVerdict {
    /// Less, for certain.
    Improved,
    /// No change that is worth finding, and one would have been found.
    Unchanged,
    /// Too few samples, too much noise, or two rounds that do not agree.
    Inconclusive,
    /// The samples say nothing: some are missing or impossible, or the case did not pass.
    Invalid,
    /// More, for certain.
    Regressed,
}

impl PerfVerdict {
    /// All of them, the one that most calls for action last.
    pub const ALL: [PerfVerdict; 5] = [
        PerfVerdict::Improved,
        PerfVerdict::Unchanged,
        PerfVerdict::Inconclusive,
        PerfVerdict::Invalid,
        PerfVerdict::Regressed,
    ];

    /// One word for people.
    pub fn name(self) -> &'static str {
        match self {
            PerfVerdict::Improved => "improved",
            PerfVerdict::Unchanged => "unchanged",
            PerfVerdict::Inconclusive => "inconclusive",
            PerfVerdict::Invalid => "invalid",
            PerfVerdict::Regressed => "regressed",
        }
    }
}

/// A comparison: `comparison.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Version of this form; 1.
    pub schema: u32,
    /// The run that the candidate's figures are of.
    pub id: RunId,
    /// podferry's version.
    pub podferry: String,
    /// The command line.
    pub command: Vec<String>,
    /// Wall time of the start, RFC 3339.
    pub started: String,
    /// The machine.
    pub host: HostRecord,
    /// Its fingerprint: figures of another machine are not comparable.
    pub machine: String,
    /// How the sides were measured.
    pub way: Way,
    /// The rule.
    pub rule: RuleRecord,
    /// What differs between the sides: `runc: 1.3.5 -> 1.3.6`.
    pub differences: Vec<String>,
    /// What the machine did while figures were taken; `None` of figures that were not taken in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_use: Option<MachineUse>,
    /// What a reader must know before believing anything.
    pub warnings: Vec<String>,
    /// The cases.
    pub cases: Vec<ComparedCase>,
}

/// How the sides were measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// In turn, in one run.
    Interleaved {
        /// Repetitions of each side, in each round.
        pairs: usize,
        /// What drew their order.
        seed: u64,
    },
    /// One after the other: the baseline was stored.
    Stored {
        /// The run that it was made of.
        baseline: RunId,
        /// The fingerprint of the machine that it was made on.
        machine: String,
    },
}

/// By which rule figures were judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// Of the interval of each round: 0.99.
    pub confidence: f64,
    /// A change of less than this is nobody's matter: 0.05.
    pub margin: f64,
    /// A change of a time by less than this is nobody's matter either, in ms.
    pub least_ms: f64,
    /// A change that is to be told: 0.2.
    pub find: f64,
    /// How often the smallest visible change is found: 0.95.
    pub power: f64,
    /// Beyond this share of the processors' time that went to other machines, figures with noise are invalid: 0.1.
    #[serde(default = "unbounded")]
    pub most_stolen: f64,
    /// Beyond this load for each processor while they were taken, too: 4.
    #[serde(default = "unbounded")]
    pub most_load: f64,
}

/// Of comparisons that were stored before there was a bound.
fn unbounded() -> f64 {
    f64::MAX
}

/// What a machine did while figures were taken. What cannot be read is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineUse {
    /// How many processors it has.
    pub processors: u32,
    /// The load average when it began, before anything was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_at_begin: Option<f64>,
    /// The mean of the load averages meanwhile; what is measured is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// The share of the processors' time that was wanted here and given to other machines on the same host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stolen: Option<f64>,
}

/// A case of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparedCase {
    /// Its name, without side and round.
    pub case: CaseId,
    /// The command that compares it again.
    pub again: String,
    /// Why there is nothing to compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Whether that is a skip: the engine or host lacks something.
    #[serde(default)]
    pub skipped: bool,
    /// Its figures.
    pub figures: Vec<ComparedFigure>,
}

/// A figure of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparedFigure {
    /// Its name: `checkpoint`.
    pub name: String,
    /// `ms`, `bytes`, or nothing for counts.
    pub unit: String,
    /// Whether it has no noise, so that any difference is one.
    pub exact: bool,
    /// Whether a regression of it counts for the exit code.
    pub gates: bool,
    /// The word.
    pub verdict: PerfVerdict,
    /// Why, in one sentence.
    pub why: String,
    /// The baseline.
    pub baseline: Samples,
    /// The candidate.
    pub candidate: Samples,
    /// What each round saw; none of an exact figure.
    pub rounds: Vec<RoundRecord>,
    /// Set when someone has said that this regression is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<Ack>,
}

impl ComparedFigure {
    /// Whether it is a reason for exit code 12.
    pub fn stops(&self) -> bool {
        self.verdict == PerfVerdict::Regressed && self.gates && self.ack.is_none()
    }
}

/// One side of a figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// The median; `None` without samples.
    pub median: Option<f64>,
    /// Every value, in order.
    pub all: Vec<f64>,
}

/// What one round saw of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundRecord {
    /// Candidate over baseline; 1.2 is 20 % more.
    pub ratio: f64,
    /// The interval of that.
    pub low: f64,
    /// See `low`.
    pub high: f64,
    /// The smallest slowdown, as a ratio, that could have been seen.
    pub smallest: f64,
}

/// Someone's word that a regression is known: it is told and does not stop anybody, until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The case.
    pub case: CaseId,
    /// The figure.
    pub figure: String,
    /// Why it is accepted.
    pub reason: String,
    /// A link to what will end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
    /// The last day on which it counts: `2027-01-31`.
    pub expires: String,
    /// The day on which it was said.
    pub since: String,
}

/// A figure of a case over the runs of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// The case.
    pub case: CaseId,
    /// The figure.
    pub figure: String,
    /// How many runs have it.
    pub runs: usize,
    /// The median of the runs since the last change.
    pub level: f64,
    /// Where its level changed.
    pub shifts: Vec<Shift>,
}

/// A change of level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// The first run of the new level.
    pub run: RunId,
    /// When it began.
    pub started: String,
    /// The level before.
    pub before: f64,
    /// The level after.
    pub after: f64,
    /// Components that were new in that run.
    pub components: Vec<String>,
}
