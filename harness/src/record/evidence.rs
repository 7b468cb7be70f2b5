use super::{At, EngineKind, ErrorClass, History, PhaseSpan, StepRecord, Strategy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All that was recorded of one case and that its checks may rest on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Instances that lived during the case, in order of creation.
    pub instances: Vec<InstanceRecord>,
    /// States captured of instances, in order of time.
    pub captures: Vec<Capture>,
    /// What the clients saw, by client name.
    pub histories: BTreeMap<String, History>,
    /// Checkpoints taken.
    pub checkpoints: Vec<CheckpointRecord>,
    /// Checkpoints carried.
    pub transfers: Vec<TransferRecord>,
    /// Migrations done.
    pub migrations: Vec<MigrationRecord>,
    /// Time spans on nodes, for the timeline and for attribution.
    pub phases: Vec<PhaseSpan>,
    /// What was broken on purpose, in order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultRecord>,
    /// Steps with their outcomes.
    pub steps: Vec<StepRecord>,
    /// Figures by metric name, one value a repetition, in the metric's unit (`downtime` ms, `archive-size` bytes, ...).
    pub metrics: BTreeMap<String, Vec<f64>>,
}

/// One life of a container: a cold start, or a restore.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// The name that the scenario gave it.
    pub name: String,
    /// The workload that it runs.
    pub workload: String,
    /// The node that it is on.
    pub node: String,
    /// The engine's own id.
    pub container_id: String,
    /// The checkpoint that it was restored from; `None` for a cold start.
    pub restored_from: Option<String>,
    /// When it was started.
    pub started: At,
    /// When it ended, if it did during the case.
    pub ended: Option<At>,
}

/// The state of one instance at one time, by two witnesses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capture {
    /// The name that the scenario gave it (`before`), or one made by the runner (`final:redis-moved`).
    pub name: String,
    /// The instance.
    pub instance: String,
    /// When the answer of the workload had arrived.
    pub at: At,
    /// What the workload says of itself; `None` if it was not asked or did not answer.
    pub inside: Option<SelfReport>,
    /// What the node's kernel and the engine say of it; `None` if there is no such container.
    pub outside: Option<OutsideReport>,
    /// The numbers in its log; `None` if it has no log or no number is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogReport>,
}

/// What a workload says of itself. Each value that a workload does not know is absent; a check that needs an absent
/// value fails, it does not pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SelfReport {
    /// Random, drawn at start, kept only in memory: equal before and after means the same process went on.
    pub nonce: Option<String>,
    /// A number that only grows, one at a time.
    pub counter: Option<u64>,
    /// How long one step of the counter takes, in milliseconds, if it counts by itself.
    pub counter_interval_ms: Option<f64>,
    /// Every value that the counter had, as kept by the workload, if it keeps a journal.
    pub journal: Option<Vec<u64>>,
    /// What became of a thing of the kernel that it holds (a lock, a connection): `kept`, or `lost: ` and how that
    /// showed. Found by using it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// What one of two that exchange numbers found of the other: `in step`, or `out of step: ` and how that showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<String>,
    /// A digest over the memory that must survive.
    pub memory_hash: Option<String>,
    /// What the workload found wrong with its own memory, if it looked and did: `bad 2050`, the first page that is not as
    /// it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
    /// Values fixed when the process started (`pid`, `started`, ...), which a restore must keep.
    pub boot: BTreeMap<String, String>,
}

/// The numbers at the ends of a log's lines, in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReport {
    /// How many there are.
    pub numbers: u64,
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// Where a number does not follow the one before it, in order: (the one before, the number). At most 8.
    pub breaks: Vec<(u64, u64)>,
    /// How many numbers are there that were there before.
    pub repeated: u64,
}

impl LogReport {
    /// Of numbers in the order of the log; `None` of none.
    pub fn of(numbers: &[u64]) -> Option<LogReport> {
        let (first, last) = (*numbers.first()?, *numbers.last()?);
        let breaks = numbers.windows(2).filter(|p| p[0].checked_add(1) != Some(p[1])).map(|p| (p[0], p[1]));
        let different: std::collections::BTreeSet<&u64> = numbers.iter().collect();
        Some(LogReport {
            numbers: numbers.len() as u64,
            first,
            last,
            breaks: breaks.take(8).collect(),
            repeated: (numbers.len() - different.len()) as u64,
        })
    }
}

/// What is seen of an instance from outside the container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutsideReport {
    /// The engine's word: `running`, `paused`, `created`, `stopped`, `unknown`.
    pub engine_state: String,
    /// What the engine's own interface says, where it may be another thing: CRI calls a frozen container `running`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_says: Option<String>,
    /// Whether the container's tasks are frozen, read from its freezer cgroup; `None` if it could not be read.
    pub frozen: Option<bool>,
    /// The id of its first process inside the container's PID namespace.
    pub pid_inside: Option<u32>,
    /// `/proc/PID/comm` of that process.
    pub comm: Option<String>,
    /// `/proc/PID/cmdline` of that process.
    pub argv: Vec<String>,
    /// What is mounted in it, but for what every container has (`/`, and what is below `/proc`, `/sys` and `/dev`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<String>,
    /// Number of processes in the container.
    pub processes: Option<u32>,
    /// The container's address.
    pub address: Option<String>,
    /// What the kernel says of its memory, while its control group is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryReport>,
    /// How its first process ended; `None` while it lives, or if nobody knows any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<EndReport>,
}

/// The memory of a container's control group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryReport {
    /// Bytes that it is charged with now: its processes' own, and files of memory-backed file systems that it wrote.
    pub bytes: u64,
    /// Its limit in bytes; `None`: it has none.
    pub limit: Option<u64>,
    /// How many of its processes the kernel killed for want of memory.
    pub oom_kills: u64,
}

/// How the first process of a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndReport {
    /// Its exit code; `128 + signal` for a signal.
    pub exit_code: Option<i32>,
    /// The engine's own word, if it has one: `OOMKilled`, `Error`, `Completed`.
    pub engine_reason: Option<String>,
    /// Processes of its control group that the kernel killed for want of memory, if the group was still there to be
    /// asked.
    pub oom_kills: Option<u64>,
}

impl EndReport {
    /// Why it ended, as far as it is known: by the kernel's count of kills, else by the engine's word with the exit
    /// code of a kill (containerd 2.1 gives that word to other containers too, when they share a limit).
    pub fn reason(&self) -> Option<super::EndReason> {
        use super::EndReason as R;
        let killed = self.exit_code == Some(137);
        let word = self.engine_reason.as_deref() == Some("OOMKilled") && killed;
        match self.exit_code {
            _ if self.oom_kills.is_some_and(|n| n > 0) || word => Some(R::OomKilled),
            Some(code) if code > 128 => Some(R::Killed),
            Some(_) => Some(R::Exited),
            None => None,
        }
    }
}

/// A checkpoint as it was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointRecord {
    /// The name that the scenario gave it.
    pub name: String,
    /// The instance that it was taken of.
    pub of: String,
    /// The node.
    pub node: String,
    /// The engine.
    pub engine: EngineKind,
    /// When the engine was called, and when it answered.
    pub from: At,
    /// See `from`.
    pub to: At,
    /// Bytes of the archive, or of all files of the image set.
    pub bytes: u64,
    /// sha256 of the archive, or over the sorted list of files with their digests.
    pub digest: String,
    /// CRIU's own word on how long the tasks stood still, in microseconds (`stats-dump`), if it left one.
    pub criu_frozen_us: Option<u64>,
    /// CRIU's count of pages written, likewise.
    pub criu_pages_written: Option<u64>,
    /// Bytes behind the end of the tar file, from the first that is not zero; `None` of what is no archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trailing_bytes: Option<u64>,
    /// What it is made of, the largest part first; nothing where it cannot be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<ArchivePart>,
}

/// Files of one kind in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ArchivePart {
    /// What they are.
    pub kind: PartKind,
    /// How many there are.
    pub files: u64,
    /// Their bytes, as they are there: packed, where the engine packs them.
    pub bytes: u64,
}

/// What a file of a checkpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PartKind {
    /// The memory: CRIU's `pages-N.img`.
    Memory,
    /// CRIU's other images.
    Images,
    /// Changes of the root file system, and files of memory-backed ones.
    Files,
    /// Logs and figures.
    Logs,
    /// What the engine says of the container.
    Rest,
}

impl PartKind {
    /// What it is, for people.
    pub fn title(self) -> &'static str {
        match self {
            PartKind::Memory => "memory",
            PartKind::Images => "CRIU's other images",
            PartKind::Files => "files",
            PartKind::Logs => "logs",
            PartKind::Rest => "what the container was",
        }
    }
}

/// A checkpoint as it was carried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransferRecord {
    /// The checkpoint.
    pub checkpoint: String,
    /// From where.
    pub from_node: String,
    /// To where.
    pub to_node: String,
    /// `file`, `shared` (written where it is read: nothing was moved), `registry`.
    pub via: String,
    /// Bytes that were moved.
    pub bytes: u64,
    /// When it began and ended.
    pub from: At,
    /// See `from`.
    pub to: At,
}

/// What becomes of the source of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SourceFate {
    /// It goes on after the checkpoint, and is there beside the copy (a kubelet's checkpoint does so).
    Running,
    /// It goes on after the checkpoint, and is stopped when the copy answers.
    Stopped,
    /// It is frozen before the checkpoint and never thawed: nothing that it acknowledged can be missing in the copy.
    Fenced,
}

/// A migration as it was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MigrationRecord {
    /// The step's id.
    pub step: String,
    /// The instance that moved.
    pub of: String,
    /// The instance that came of it.
    pub into: String,
    /// From where to where.
    pub from_node: String,
    /// See `from_node`.
    pub to_node: String,
    /// What became of the source.
    pub source: SourceFate,
    /// When it was asked for.
    pub triggered: At,
    /// When the copy was first seen to answer; `None` if it never did.
    pub answered: Option<At>,
    /// The class of the error that ended it, if one did.
    pub error: Option<ErrorClass>,
    /// The strategy that the scenario asks for, if it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Bytes of state that were copied or sent from node to node; 0 if they were written where they are read. `None`: it
    /// did not come so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<u64>,
    /// Bytes that the network interface of the source's node sent from the trigger until the end, by the kernel's count,
    /// clients' answers included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    /// When all memory of the copy was there, where it came after the restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages_arrived: Option<At>,
}

/// Something that was broken on purpose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Its number in the case.
    pub id: u32,
    /// The name that the scenario gave it, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What was broken, for people: `kill containerd on a`.
    pub title: String,
    /// Where.
    pub node: String,
    /// When its laying began.
    pub from: At,
    /// When it was mended; `None` if it never was.
    pub mended: Option<At>,
}
