//! What happened, as plain data: the bottom room. It knows nothing of any other room and does no I/O.
//!
//! A run appends [`Event`]s; [`fold`] makes a [`Run`] of them; checks and reports read only what is here. That is why
//! a killed run still has a report, and a stored run can be judged and rendered again without root.

mod checks;
mod criu;
mod engines;
mod event;
mod evidence;
mod failure;
mod fold;
mod give_up;
mod history;
mod known;
mod names;
mod past;
mod perf;
mod phase;
mod quote;
mod recheck;
mod run;
mod strategy;
mod survey;
mod time;
mod trick;

pub use checks::{
    AckedWritesCheck, ArchiveCheck, BudgetCheck, Check, CheckSpec, ConnectionCheck, ConnectionExpectation,
    ConsistentCheck, CounterCheck, EndReason, EngineWord, ErrorCheck, ExclusiveCheck, FasterCheck, HeldCheck,
    HeldExpectation, InstanceCheck, InstanceExpectation, LogCheck, LossPolicy, Metric, SameProcessCheck, WorkLostCheck,
};
pub use criu::{CRIU_ANNOTATION, CriuChoices, TcpChoice};
pub(crate) use engines::engine_table;
pub use engines::{EngineKind, Given};
pub use event::{Event, Line};
pub use evidence::{
    ArchivePart, Capture, CheckpointRecord, EndReport, Evidence, FaultRecord, InstanceRecord, LogReport, MemoryReport,
    MigrationRecord, OutsideReport, PartKind, SelfReport, SourceFate, TransferRecord,
};
pub use failure::{Chain, ErrorClass, Failure};
pub use fold::{apply, fold, unbegun};
pub use give_up::GiveUp;
pub use history::{Connection, ConnectionEnd, EndpointChange, History, Op, OpOutcome};
pub use known::{KnownIssue, KnownPart, KnownRecord, KnownState};
pub use names::{
    CaseId, MEASUREMENT_ERROR, NODE_IMAGE, Origin, PAGES_WRITTEN, ROUND, RPCS, RunId, SIDE, SPAWNS, Tier, WORST_LATENCY,
};
pub use past::{KeptScenario, PastCase};
pub use perf::{
    Ack, ComparedCase, ComparedFigure, Comparison, MachineUse, PerfVerdict, RoundRecord, RuleRecord, Samples, Shift,
    Trend, Way,
};
pub use phase::{Phase, PhaseSpan};
pub use quote::quoted;
pub use recheck::{JudgedAgain, Rechecked, RecheckedCase};
pub use run::{
    CaseRecord, CheckRecord, ComponentRecord, HostRecord, Leak, MachineRecord, NodeRecord, Outcome, Run, StepRecord,
    Verdict,
};
pub use strategy::Strategy;
pub use survey::{Fate, Finding, KindReport, KindWord, Survey, SurveyColumn, SurveyRow, SurveyStage};
pub use time::{At, Millis};
pub use trick::Trick;
