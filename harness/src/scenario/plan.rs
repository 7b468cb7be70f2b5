//! What a run executes: scenarios with every expression resolved, one [`Case`] for each cell of the matrix and engine.

mod address;
mod faults;
mod migrate;
mod needs;
mod parts;
mod pods;
mod raw;
mod weight;

pub use address::Address;
pub use faults::{
    CallFault, CriuFault, DiskOf, During, Fault, FaultKind, ImageFault, LinkFault, Over, Role, RuntimeCall, Stage,
};
pub use migrate::Migrate;
pub use needs::Needs;
pub use parts::{Repeat, Shard};
pub use pods::{PodFreeze, container_of};
pub use raw::{RawCheckpoint, RawRestore};
pub use weight::Weight;

use crate::record::{CaseId, Check, CriuChoices, EngineKind, ErrorClass, KnownIssue, Origin, SourceFate, Tier, Trick};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a step may take, if its scenario does not say.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// Everything that a run is to do, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The cases.
    pub cases: Vec<Case>,
    /// How many cases were left out for their tier alone.
    pub beyond: usize,
}

/// One cell of a scenario's matrix, on one engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its name.
    pub id: CaseId,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's title.
    pub title: String,
    /// Where the scenario stands.
    pub origin: Origin,
    /// The engine.
    pub engine: EngineKind,
    /// Its cell of the matrix, as written; and the parameters that were given from outside.
    pub params: BTreeMap<String, String>,
    /// The values of the scenario's parameters.
    pub parameters: BTreeMap<String, String>,
    /// The scenario's tier.
    pub tier: Tier,
    /// The scenario's labels.
    pub labels: BTreeMap<String, String>,
    /// What the host must lack: with it there is nothing to show, and the case is skipped.
    pub host_lacks: Vec<HostTrait>,
    /// The nodes, by name, in order.
    pub nodes: Vec<String>,
    /// The workloads, by name.
    pub workloads: BTreeMap<String, Workload>,
    /// The volumes, by name: whether all nodes see the same folder.
    pub volumes: BTreeMap<String, Volume>,
    /// The pods, by name: the workloads of their containers, in order.
    pub pods: BTreeMap<String, Vec<String>>,
    /// How many bytes of memory all containers of a node may take together, by node; a node that is not here has no such
    /// bound.
    pub allocatable: BTreeMap<String, u64>,
    /// The clients, by name.
    pub clients: BTreeMap<String, Client>,
    /// What CRIU is told in dumps and restores.
    pub criu: CriuChoices,
    /// What engines leave out of what they do to be fast.
    pub without: BTreeSet<Trick>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The steps that are done after those, whatever became of them.
    pub finally: Vec<Step>,
    /// The checks.
    pub checks: Vec<Check>,
    /// Failures that are known, of this case.
    pub known: Vec<KnownIssue>,
    /// How often the steps are done; figures are collected over all, checks judge each.
    pub repetitions: u32,
    /// For how long they are repeated, in place of a number of times.
    pub repeat_for: Option<Duration>,
    /// Discarded repetitions before those.
    pub warmup: u32,
    /// How much of the machine it takes, where cases run side by side.
    pub weight: Weight,
    /// How long the whole case may take.
    pub timeout: Duration,
}

/// Something that a host has or lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostTrait {
    /// The capability `CAP_SYS_RESOURCE`, which a root without it lacks too.
    CapSysResource,
}

/// A program to be run in a container.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Its name in the catalogue (`redis`), or `archive` for an image of the user's own.
    pub kind: String,
    /// Its settings, resolved and not yet interpreted: `data` -> `64Mi`. The catalogue says which there are.
    pub with: BTreeMap<String, String>,
    /// The volumes that its containers get.
    pub volumes: Mounts,
    /// The user that it runs as; 0 is root.
    pub user: u32,
    /// Where it stands.
    pub origin: Origin,
}

/// A folder outside of all containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Whether all nodes see the same folder, or each has one of its own.
    pub shared: bool,
}

/// Volumes of a container: where in it each is mounted, by the volume's name.
pub type Mounts = BTreeMap<String, String>;

/// What a container is given beside its image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// Memory limit in bytes. `None`: that of the checkpointed container for a restore, else none.
    pub memory: Option<u64>,
    /// Volumes. `None`: those of the workload.
    pub volumes: Option<Mounts>,
}

/// An outside observer.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// What it does.
    pub kind: ClientKind,
    /// The instance that it talks to at first. It follows a migration of it; restored copies of other names it leaves.
    pub target: String,
    /// Operations a second, on a fixed schedule.
    pub rate: f64,
    /// How long an operation may go unanswered before the client reconnects. `None`: as long as the connection lives.
    pub op_timeout: Option<Duration>,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientKind {
    /// Appends sequence numbers to a list in redis (`RPUSH`) and keeps what was acknowledged.
    RedisWriter,
    /// Asks the counter for its value.
    CounterReader,
    /// Sends a line and expects it back.
    TcpEcho,
    /// Follows the container's log and takes the number at the end of each line.
    LogFollower,
}

impl ClientKind {
    /// The kind as users write it.
    pub fn name(self) -> &'static str {
        match self {
            ClientKind::RedisWriter => "redis-writer",
            ClientKind::CounterReader => "counter-reader",
            ClientKind::TcpEcho => "tcp-echo",
            ClientKind::LogFollower => "log-follower",
        }
    }
}

/// One action, with what is expected of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Given in the scenario, or made (`step-3`).
    pub id: String,
    /// What it does, for people.
    pub title: String,
    /// Where it stands.
    pub origin: Origin,
    /// Where the group of steps is used that it is of.
    pub used_at: Option<Origin>,
    /// How long it may take.
    pub timeout: Duration,
    /// The error that it must end with; `None`: it must succeed.
    pub expect_error: Option<ExpectedError>,
    /// What is broken while it is done.
    pub during: Option<During>,
    /// What to do.
    pub action: Action,
}

/// An error that a step must end with.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedError {
    /// Its class.
    pub class: ErrorClass,
    /// A regular expression that its message must match.
    pub text: Option<String>,
}

/// How a checkpoint is kept and handed to a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Medium {
    /// What the engine writes by itself: an archive (cri), a folder of images (runc).
    Native,
    /// A checkpoint OCI image, pulled by the target from the harness's registry (cri only).
    Image,
}

/// What a step does. Instance and checkpoint names are those of the scenario.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Starts a workload on a node and waits until it answers (and holds its data). The instance is named `instance`.
    Deploy {
        /// Key of [`Case::workloads`].
        workload: String,
        /// Where.
        node: String,
        /// The instance's name; the workload's name if none is given.
        instance: String,
        /// Whether its container is started, or only made.
        start: bool,
        /// What its container is given.
        given: Given,
    },
    /// Starts a client; it goes on until it is stopped.
    StartClient {
        /// Key of [`Case::clients`].
        client: String,
    },
    /// Stops a client and keeps its history; a writer's final journal is read.
    StopClient {
        /// Key of [`Case::clients`].
        client: String,
    },
    /// Waits until a client has so many more answers than when the step began.
    AwaitAnswers {
        /// The client.
        client: String,
        /// How many.
        count: u64,
    },
    /// Waits until the instance's own counter (log number, for the looper) is at least this.
    AwaitCounter {
        /// The instance.
        instance: String,
        /// The value.
        at_least: u64,
    },
    /// Waits until the kernel charges the instance with so many bytes of memory.
    AwaitMemory {
        /// The instance.
        instance: String,
        /// Bytes.
        at_least: u64,
    },
    /// Waits until the instance has ended by itself.
    AwaitEnd {
        /// The instance.
        instance: String,
    },
    /// Waits a fixed time; only where time itself is the subject.
    Pause {
        /// How long.
        time: Duration,
    },
    /// Captures an instance's state.
    Capture {
        /// The instance.
        instance: String,
        /// The capture's name.
        name: String,
    },
    /// Freezes an instance's tasks by the engine.
    Freeze {
        /// The instance.
        instance: String,
    },
    /// Thaws them.
    Thaw {
        /// The instance.
        instance: String,
    },
    /// Takes a checkpoint.
    Checkpoint {
        /// The instance.
        instance: String,
        /// The checkpoint's name.
        name: String,
        /// What becomes of the source: `Running` goes on; `Stopped` and `Fenced` leave it frozen, then remove it.
        source: SourceFate,
        /// How it is kept.
        medium: Medium,
        /// How many are taken at once. The first is `name`, the others `name-2` and so on.
        times: u32,
        /// Set for a call without the harness's guard.
        raw: Option<RawCheckpoint>,
    },
    /// Carries a checkpoint to a node and verifies it there.
    Transfer {
        /// The checkpoint.
        checkpoint: String,
        /// Where to.
        to: String,
        /// By which way.
        over: Over,
    },
    /// Makes a damaged copy of a checkpoint.
    Tamper {
        /// The checkpoint.
        checkpoint: String,
        /// The copy's name.
        name: String,
        /// The damage.
        damage: Damage,
    },
    /// Restores a checkpoint that is on the node.
    Restore {
        /// The checkpoint.
        checkpoint: String,
        /// Where.
        node: String,
        /// The new instance's name.
        instance: String,
        /// Whether the harness first verifies the archive (its default, and what makes it immune to damage); `false`
        /// hands it to the engine as it is, to see what the engine says.
        verify: bool,
        /// What the new container is given.
        given: Given,
        /// Set for a call without the harness's guard.
        raw: Option<RawRestore>,
    },
    /// Checkpoint, transfer and restore in one, with clients following.
    Migrate(Migrate),
    /// Starts a pod and waits until all its containers answer.
    StartPod {
        /// Key of [`Case::pods`].
        pod: String,
        /// Where.
        node: String,
    },
    /// Moves a pod with all its containers, which are restored as one pod.
    MigratePod {
        /// The pod.
        pod: String,
        /// Where to.
        to: String,
        /// The new pod's name.
        into: String,
        /// How its containers are frozen.
        freeze: PodFreeze,
    },
    /// Stops and removes an instance.
    Remove {
        /// The instance.
        instance: String,
    },
    /// Takes a node down whole and brings it back with what is on its disk.
    Restart {
        /// The node.
        node: String,
    },
    /// Copies what is in a volume of one node into that of another.
    CopyVolume {
        /// Key of [`Case::volumes`].
        volume: String,
        /// The node that has it.
        from: String,
        /// The node that gets it.
        to: String,
    },
    /// Breaks something.
    Fault(Fault),
    /// Mends what a fault of this name broke.
    Mend {
        /// The fault's name.
        name: String,
    },
}

/// What is done to an archive or image set.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Damage {
    /// Cut to so many bytes (the archive, or the largest pages image of an image set).
    Truncate {
        /// Bytes that remain.
        keep: u64,
    },
    /// Emptied.
    Empty,
    /// Overwritten with random bytes of the same length.
    Random,
    /// One entry left out.
    DropEntry {
        /// Its path in the archive, e.g. `checkpoint/inventory.img`.
        entry: String,
    },
    /// One entry cut; the archive around it stays whole.
    CutEntry {
        /// Its path in the archive.
        entry: String,
        /// Bytes of it that remain.
        keep: u64,
    },
    /// One bit turned.
    FlipBit {
        /// The entry in whose middle; `None`: in the first header of the tar file.
        entry: Option<String>,
    },
    /// An entry added whose path escapes the folder that it is unpacked to.
    EscapingEntry,
    /// A link added that leads out of that folder, and a file behind it.
    EscapingLink,
}

impl Damage {
    /// The entry that is changed or left out, in an archive that is whole otherwise.
    pub(crate) fn entry(&self) -> Option<&str> {
        match self {
            Damage::DropEntry { entry } | Damage::CutEntry { entry, .. } => Some(entry),
            Damage::FlipBit { entry } => entry.as_deref(),
            _ => None,
        }
    }
}
