//! What can be broken, as data.

use std::time::Duration;

/// Something that is broken on a node, until it is mended.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The node.
    pub node: String,
    /// The name that it is mended by; `None`: it is mended at the end of the case.
    pub name: Option<String>,
    /// What is broken.
    pub kind: FaultKind,
}

/// What is broken.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// A process gets SIGKILL. A daemon is brought back by the mending.
    Kill {
        /// Which.
        role: Role,
        /// The instance that it belongs to: for a shim or a workload.
        of: Option<String>,
        /// Whether a daemon is only started again by the mending, as a service manager would, and nothing that its death
        /// left is put right before the end of the case.
        bare: bool,
    },
    /// Every process of the node stands still, but for its PID 1.
    Pause,
    /// The node's cable.
    Link(LinkFault),
    /// The file system that something is written to has no more room than this.
    Disk {
        /// What is written there.
        of: DiskOf,
        /// Bytes that are left.
        leave: u64,
    },
    /// The middle of a checkpoint on this node is overwritten.
    Corrupt {
        /// The checkpoint.
        checkpoint: String,
    },
    /// All that the node's processes take together may grow by so much.
    Memory {
        /// Bytes that are left.
        leave: u64,
    },
    /// The node's CRIU.
    Criu(CriuFault),
    /// Something else listens on this TCP port in the network of the container that the step makes.
    Port(u16),
    /// The image of a workload, as the node gets it.
    Image {
        /// The workload.
        workload: String,
        /// What is wrong with it.
        how: ImageFault,
    },
    /// One call of the OCI runtime: the next of this name.
    RuntimeCall {
        /// The call.
        call: RuntimeCall,
        /// What is done to it.
        how: CallFault,
    },
}

/// A process of a node, by what it does there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The daemon.
    Containerd,
    /// containerd's shim of an instance.
    Shim,
    /// CRIU, when it runs.
    Criu,
    /// The OCI runtime, when it runs.
    Runtime,
    /// The first process of an instance.
    Workload,
}

/// What is done to a cable, in both directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LinkFault {
    /// Nothing goes through.
    Cut,
    /// So many bytes a second go through.
    Slow(u64),
}

/// What a file system holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOf {
    /// What CRIU writes.
    Images,
    /// The checkpoint, where it is kept and where a transfer puts it.
    Archives,
}

/// What is wrong with CRIU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CriuFault {
    /// There is none.
    Absent,
    /// Something stands there that calls itself CRIU 2.6, older than any runtime takes.
    Old,
}

/// What is wrong with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFault {
    /// It is not to be had.
    Missing,
    /// Another one has its name.
    Other,
}

/// A call of the OCI runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuntimeCall {
    /// Makes a container (cri).
    Create,
    /// Starts one that was made (cri).
    Start,
    /// Both in one (runc).
    Run,
    /// Dumps one.
    Checkpoint,
    /// Makes one of a dump.
    Restore,
    /// Freezes one.
    Pause,
    /// Thaws one.
    Resume,
    /// Removes one.
    Delete,
}

/// What is done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// It begins so much later.
    Delay(Duration),
    /// It does nothing and fails.
    Fail,
}

/// A fault that is tied to a stage of the step that it stands beside.
#[derive(Clone, Debug, PartialEq)]
pub struct During {
    /// The stage.
    pub stage: Stage,
    /// How long after its begin; at zero the stage is held until the fault is there.
    pub after: Duration,
    /// The fault.
    pub fault: Fault,
}

/// A part of a checkpoint, a transfer or a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The OCI runtime's checkpoint call.
    Dump,
    /// From the end of that to the end of the engine's call (cri).
    Archive,
    /// The way from node to node.
    Transfer,
    /// The OCI runtime's restore call.
    Restore,
}

/// How a checkpoint is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The harness copies it.
    File,
    /// It goes through the network of the nodes.
    Link,
}

macro_rules! names {
    ($($ty:ident { $($variant:ident => $name:literal),* $(,)? })*) => {$(
        impl $ty {
            /// All there are.
            pub const ALL: &[$ty] = &[$($ty::$variant),*];

            /// As users write it.
            pub fn name(self) -> &'static str {
                match self {
                    $($ty::$variant => $name,)*
                }
            }
        }
    )*};
}

names! {
    Role { Containerd => "containerd", Shim => "shim", Criu => "criu", Runtime => "runtime", Workload => "workload" }
    DiskOf { Images => "images", Archives => "archives" }
    CriuFault { Absent => "absent", Old => "old" }
    ImageFault { Missing => "missing", Other => "other" }
    RuntimeCall {
        Create => "create", Start => "start", Run => "run", Checkpoint => "checkpoint", Restore => "restore",
        Pause => "pause", Resume => "resume", Delete => "delete",
    }
    Stage { Dump => "dump", Archive => "archive", Transfer => "transfer", Restore => "restore" }
    Over { File => "file", Link => "link" }
}
