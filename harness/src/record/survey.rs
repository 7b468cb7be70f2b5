//! What a survey found: which kinds of state come through a checkpoint, on which engine.

use super::{EngineKind, ErrorClass, Failure, HostRecord, Leak, NodeRecord, RunId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a workload says of a kind of state that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KindWord {
    /// It is held, and was not looked at yet.
    Held,
    /// All of it is there.
    Kept,
    /// Some of it is not.
    Lost,
    /// It cannot be had in this container.
    Absent,
    /// It could not be taken, for another reason.
    Failed,
}

impl KindWord {
    /// All of them.
    pub const ALL: [KindWord; 5] = [KindWord::Held, KindWord::Kept, KindWord::Lost, KindWord::Absent, KindWord::Failed];

    /// The word as the workload says it.
    pub fn name(self) -> &'static str {
        match self {
            KindWord::Held => "held",
            KindWord::Kept => "kept",
            KindWord::Lost => "lost",
            KindWord::Absent => "absent",
            KindWord::Failed => "failed",
        }
    }
}

/// What the zoo says of one kind of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindReport {
    /// The kind.
    pub kind: String,
    /// What became of it.
    pub word: KindWord,
    /// The process that holds it, by its id in the container.
    pub pid: u32,
    /// Drawn by that process at its start and kept in its memory alone: with another one, it was held anew.
    pub nonce: String,
    /// What was seen.
    pub text: String,
}

/// What became of a kind of state on an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// All of it is in the copy, to the workload and to a witness outside.
    Kept,
    /// The copy lives, and something of it is not there.
    Lost,
    /// With it, the engine took no checkpoint or restored none.
    Refused,
    /// It cannot be had here, so nothing was found out.
    NotApplicable,
    /// The survey failed to find out.
    Errored,
}

impl Fate {
    /// All of them, in the order of a legend.
    pub const ALL: [Fate; 5] = [Fate::Kept, Fate::Lost, Fate::Refused, Fate::NotApplicable, Fate::Errored];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Kept => "kept",
            Fate::Lost => "lost",
            Fate::Refused => "refused",
            Fate::NotApplicable => "n/a",
            Fate::Errored => "errored",
        }
    }
}

/// Where an engine gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SurveyStage {
    /// It took no checkpoint.
    Checkpoint,
    /// It restored none.
    Restore,
}

impl SurveyStage {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            SurveyStage::Checkpoint => "checkpoint",
            SurveyStage::Restore => "restore",
        }
    }
}

/// One cell of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What became of it.
    pub fate: Fate,
    /// What was seen of it when it was kept; how the loss showed; the engine's own words; why it does not apply.
    pub how: String,
    /// Where it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<SurveyStage>,
    /// The class of the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ErrorClass>,
    /// The lines of CRIU's log that matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// What is dangerous in that it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hazard: Option<String>,
}

impl Finding {
    /// A finding of a fate, and how it showed.
    pub fn new(fate: Fate, how: impl Into<String>) -> Self {
        Finding { fate, how: how.into(), stage: None, class: None, log: Vec::new(), hazard: None }
    }
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyRow {
    /// Its name: that of a kind, with what else was set behind a slash: `deleted-large/ghost-limit`.
    pub name: String,
    /// What part of a system it belongs to.
    pub area: String,
    /// What is held.
    pub about: String,
    /// Tests of zdtm that hold the same.
    pub zdtm: Vec<String>,
    /// Why it was tried alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<String>,
}

/// An engine's column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SurveyColumn {
    /// The engine.
    pub engine: EngineKind,
    /// Its own word on its version, and those of what it stands on: `runc 1.3.6`, `criu 4.2.1`.
    pub versions: Vec<String>,
    /// Why it can show nothing on these nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unable: Option<String>,
    /// By the row's name.
    pub findings: BTreeMap<String, Finding>,
    /// How many containers were tried.
    pub trials: u32,
    /// How long all of it took, in seconds.
    pub seconds: f64,
}

/// A whole survey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// Version of this form; 1.
    pub schema: u32,
    /// Its name.
    pub id: RunId,
    /// podferry's version.
    pub podferry: String,
    /// The command line.
    pub command: Vec<String>,
    /// Wall time of the start, RFC 3339.
    pub started: String,
    /// The machine.
    pub host: HostRecord,
    /// The node image: suite, content key.
    pub image: String,
    /// The nodes.
    pub nodes: Vec<NodeRecord>,
    /// Whether nothing was restored and all was started anew: to show that this comes out as lost.
    pub cold: bool,
    /// The table's lines.
    pub rows: Vec<SurveyRow>,
    /// The table's columns.
    pub columns: Vec<SurveyColumn>,
    /// What was left behind.
    pub leaks: Vec<Leak>,
    /// What went wrong beside the findings.
    pub errors: Vec<Failure>,
    /// Set when the user ended it before its end.
    pub interrupted: bool,
    /// Set when its time was up.
    pub timed_out: bool,
}

impl Survey {
    /// How many findings of a column, or of all, are of a fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.columns.iter().flat_map(|c| c.findings.values()).filter(|f| f.fate == fate).count()
    }
}
