use serde::{Deserialize, Serialize};
use std::fmt;

/// What an engine does to keep a migration short, and can leave out to show what it is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trick {
    /// The runtime freezes the container before its dump: CRIU, which finds it running, freezes it in steps of 100 ms on
    /// control groups of version 1 (criu 4.2.1).
    PauseFirst,
    /// Containers have no more mounts than they need: each tmpfs is written to a tar file in a dump, and read in a restore.
    LeanMounts,
    /// What CRIU finds out about the kernel is kept (`/run/criu.kdat`), and found out before it is needed.
    WarmProbe,
    /// CRIU does not lock the network of connections that are closed anyway.
    SkipNetworkLock,
}

impl Trick {
    /// All of them.
    pub const ALL: [Trick; 4] = [Trick::PauseFirst, Trick::LeanMounts, Trick::WarmProbe, Trick::SkipNetworkLock];

    /// The trick as reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Trick::PauseFirst => "pause-first",
            Trick::LeanMounts => "lean-mounts",
            Trick::WarmProbe => "warm-probe",
            Trick::SkipNetworkLock => "skip-network-lock",
        }
    }
}

impl fmt::Display for Trick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
