use serde::{Deserialize, Serialize};

/// The annotation of a container that names the file with CRIU's options for it: runc reads it.
pub const CRIU_ANNOTATION: &str = "org.criu.config";

/// What becomes of established TCP connections when a process is dumped and restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TcpChoice {
    /// They are closed in the copy; on the source they go on.
    #[default]
    Close,
    /// They are carried. Both ends must be where they were: the address of the copy has to be that of the source.
    Keep,
    /// A process that has one is not dumped: CRIU's own default.
    Refuse,
}

/// What CRIU is told to do with things that it does not carry unless told to. It is told the same in the dump and in
/// the restore.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CriuChoices {
    /// Established TCP connections.
    pub tcp: TcpChoice,
    /// Whether locks on files are carried.
    pub file_locks: bool,
    /// The largest deleted file, in bytes, that is carried in the images while a process holds it open. `None`: CRIU's
    /// own limit, 1 MiB (criu 4.2.1).
    pub ghost_limit: Option<u64>,
    /// A folder of the container in which watched files are looked for by their inode. `None`: they are found by their
    /// handle or not at all, and an overlay filesystem gives none.
    pub irmap: Option<String>,
    /// Whether CRIU locks the network also where no connection is kept (see [`super::Trick::SkipNetworkLock`]).
    #[serde(default)]
    pub lock_network: bool,
}

impl Default for CriuChoices {
    /// What lets most workloads be carried: connections closed, locks kept.
    fn default() -> Self {
        CriuChoices { tcp: TcpChoice::Close, file_locks: true, ghost_limit: None, irmap: None, lock_network: false }
    }
}
