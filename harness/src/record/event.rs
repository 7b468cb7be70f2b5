use super::{
    At, Capture, CaseId, Check, CheckRecord, CheckpointRecord, EngineKind, Failure, FaultRecord, HostRecord,
    InstanceRecord, KnownRecord, Leak, MigrationRecord, NodeRecord, Origin, Outcome, PhaseSpan, RunId, StepRecord,
    TransferRecord,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When.
    pub at: At,
    /// In which case; `None` outside any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseId>,
    /// What.
    pub event: Event,
}

/// Something that happened. Appended and flushed as it happens; everything that is reported comes from these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The run began.
    RunStarted {
        /// Its name.
        id: RunId,
        /// podferry's version.
        podferry: String,
        /// The command line.
        command: Vec<String>,
        /// Wall time, RFC 3339.
        started: String,
        /// The machine.
        host: HostRecord,
        /// The node image: suite and content key.
        image: String,
    },
    /// The cases are in an order that was drawn; with the same seed it is drawn again.
    Shuffled {
        /// What it was drawn with.
        seed: u64,
    },
    /// A file of scenarios that cases come from was copied into the run's folder: what a place in it meant can be read
    /// when the file is another one.
    ScenarioKept {
        /// The file, as origins name it.
        file: String,
        /// The copy, relative to the run's folder.
        copy: String,
    },
    /// A node is up.
    NodeUp(NodeRecord),
    /// A case was planned: every case has this line at the start of the run, so that one that never ran is missed.
    CasePlanned {
        /// The scenario's name.
        scenario: String,
        /// The scenario's title.
        title: String,
        /// Where the scenario stands.
        origin: Origin,
        /// The engine.
        engine: EngineKind,
        /// Its cell of the matrix.
        params: BTreeMap<String, String>,
        /// The scenario's labels.
        labels: BTreeMap<String, String>,
        /// The command that runs it again.
        rerun: String,
    },
    /// What the case will be judged by: those that it never came to are known, too.
    ChecksPlanned(Vec<Check>),
    /// A case began.
    CaseStarted,
    /// A repetition began: evidence of the one before is replaced by its own, figures are kept.
    Repetition {
        /// From 1.
        number: u32,
        /// How many there will be, warm-up included; `None`: as many as there is time for.
        of: Option<u32>,
        /// Whether its figures are discarded.
        warmup: bool,
    },
    /// A step began.
    StepStarted {
        /// Its index in the case.
        index: usize,
        /// What it does.
        title: String,
    },
    /// A step ended.
    StepFinished(StepRecord),
    /// A phase ended.
    Phase(PhaseSpan),
    /// An instance started.
    Instance(InstanceRecord),
    /// An instance ended.
    InstanceEnded {
        /// Its name.
        name: String,
    },
    /// A state was captured.
    Capture(Box<Capture>),
    /// A checkpoint was taken.
    Checkpoint(CheckpointRecord),
    /// A checkpoint was carried.
    Transfer(TransferRecord),
    /// A migration ended.
    Migration(MigrationRecord),
    /// Something was broken on purpose.
    Fault(FaultRecord),
    /// It was mended.
    FaultMended {
        /// Its number in the case.
        id: u32,
    },
    /// A client was stopped; its history is in a file of the run's folder (see `client::history_file`).
    History {
        /// The client.
        client: String,
        /// The file, relative to the run's folder.
        file: String,
    },
    /// A figure.
    Metric {
        /// Its name (`record::Metric::name`, or one of the case's own).
        name: String,
        /// Its value, in the metric's unit.
        value: f64,
    },
    /// A file was kept as evidence.
    File {
        /// Relative to the run's folder.
        path: String,
    },
    /// A check was judged.
    Checked(CheckRecord),
    /// A known issue of the case showed, or did not. Comes before the case's end.
    Known(KnownRecord),
    /// A case ended.
    CaseFinished {
        /// How.
        outcome: Outcome,
        /// Why, for skipped and errored.
        reason: Option<String>,
    },
    /// Something was left behind.
    Leaked(Leak),
    /// Something went wrong outside any case.
    RunError(Failure),
    /// The user interrupted the run.
    Interrupted,
    /// The run ended.
    RunFinished {
        /// The exit code.
        exit_code: u8,
    },
}
