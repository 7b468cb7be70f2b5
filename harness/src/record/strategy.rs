use super::SourceFate;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How the state of an instance gets from its node to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Freeze, dump, move, restore: the source never goes on.
    StopCopy,
    /// The source goes on after the dump, as with a kubelet's checkpoint, and is stopped when the copy answers. What it
    /// acknowledges in between is lost.
    LiveCopy,
    /// Images go through the network while they are dumped, and are unpacked where they are restored.
    Stream,
    /// The copy answers before its memory is there: pages come as they are asked for, and the others behind them.
    PostCopy,
    /// The target's container is made before the dump, and the images are put where its start looks for them.
    Placed,
    /// Memory is copied while the source runs, and what it wrote meanwhile once more.
    PreCopy,
}

impl Strategy {
    /// All strategies, in the order in which reports list them.
    pub const ALL: [Strategy; 6] = [
        Strategy::StopCopy,
        Strategy::LiveCopy,
        Strategy::Stream,
        Strategy::PostCopy,
        Strategy::Placed,
        Strategy::PreCopy,
    ];

    /// The strategy as users write it.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::StopCopy => "stop-copy",
            Strategy::LiveCopy => "live-copy",
            Strategy::Stream => "stream",
            Strategy::PostCopy => "post-copy",
            Strategy::Placed => "placed",
            Strategy::PreCopy => "pre-copy",
        }
    }

    /// What becomes of the source.
    pub fn source(self) -> SourceFate {
        if self == Strategy::LiveCopy { SourceFate::Stopped } else { SourceFate::Fenced }
    }

    /// Whether it is a checkpoint, a transfer and a restore, one after the other: what every engine is called for alike.
    /// The others are an engine's own.
    pub fn composed(self) -> bool {
        matches!(self, Strategy::StopCopy | Strategy::LiveCopy)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
