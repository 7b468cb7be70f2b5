use super::At;
use serde::{Deserialize, Serialize};

/// The parts of a checkpoint, transfer and restore that are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Making what the target needs before the freeze: sandbox, network, image.
    Prepare,
    /// From the call that freezes until the freezer says frozen.
    Freeze,
    /// Closing the port of an address that moves and leading the way to its new node; there, letting go what was held.
    Address,
    /// The engine's checkpoint call, whole.
    Checkpoint,
    /// Digesting what was written.
    Digest,
    /// Copying memory of a source that runs.
    PreDump,
    /// Carrying it.
    Transfer,
    /// The engine's create call of a restore, where it is one of its own (CRI).
    Create,
    /// The engine's restore (CRI: start) call.
    Restore,
    /// From the restore's end until the first answer.
    FirstAnswer,
    /// Memory that comes after the restore, from its end until all of it is there.
    Pages,
    /// Stopping the source.
    StopSource,
}

impl Phase {
    /// The phase's name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Prepare => "prepare",
            Phase::Freeze => "freeze",
            Phase::Address => "address",
            Phase::Checkpoint => "checkpoint",
            Phase::Digest => "digest",
            Phase::PreDump => "pre-dump",
            Phase::Transfer => "transfer",
            Phase::Create => "create",
            Phase::Restore => "restore",
            Phase::FirstAnswer => "first answer",
            Phase::Pages => "pages",
            Phase::StopSource => "stop source",
        }
    }
}

/// A phase on a node's lane of the timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PhaseSpan {
    /// Which.
    pub phase: Phase,
    /// Where.
    pub node: String,
    /// Which step it is part of (index into the case's steps).
    pub step: usize,
    /// From.
    pub from: At,
    /// To.
    pub to: At,
}
