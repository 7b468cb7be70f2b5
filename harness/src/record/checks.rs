use super::{ErrorClass, Origin};
use serde::{Deserialize, Serialize};

/// A check as a case carries it: what to look at, and where in the scenario it stands. Plain data, recorded with the
/// run so that a stored run can be judged again; the judging is in the room `check`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Check {
    /// Where it stands in the scenario.
    pub origin: Origin,
    /// What it asks.
    pub spec: CheckSpec,
    /// It must come out violated, and what it saw must match this regular expression: pins what the stack does wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<String>,
}

/// What a check asks. Values are resolved: no expression is left in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckSpec {
    /// A counter goes on from its checkpoint, each value once.
    Counter(CounterCheck),
    /// What was acknowledged to a writer is there, once.
    AckedWrites(AckedWritesCheck),
    /// The restored process is the one that was checkpointed, not a cold start.
    SameProcess(SameProcessCheck),
    /// Two instances never serve at the same time.
    Exclusive(ExclusiveCheck),
    /// An instance is in a given state.
    Instance(InstanceCheck),
    /// What a workload holds was carried, or was not.
    Held(HeldCheck),
    /// What became of a client's connection in a step.
    Connection(ConnectionCheck),
    /// The containers of a restored pod are of one instant.
    Consistent(ConsistentCheck),
    /// The numbers in an instance's log.
    Log(LogCheck),
    /// A checkpoint's archive ends where its entries end.
    Archive(ArchiveCheck),
    /// A step failed in a given way.
    Error(ErrorCheck),
    /// A step took so many times less than another.
    Faster(FasterCheck),
    /// What an instance had done and its copy must do again.
    WorkLost(WorkLostCheck),
    /// A figure stays below a bound.
    Budget(BudgetCheck),
}

impl CheckSpec {
    /// The check's name as users write it.
    pub fn name(&self) -> &'static str {
        match self {
            CheckSpec::Counter(_) => "counter",
            CheckSpec::AckedWrites(_) => "ackedWrites",
            CheckSpec::SameProcess(_) => "sameProcess",
            CheckSpec::Exclusive(_) => "exclusive",
            CheckSpec::Instance(_) => "instance",
            CheckSpec::Held(_) => "held",
            CheckSpec::Connection(_) => "connection",
            CheckSpec::Consistent(_) => "consistent",
            CheckSpec::Log(_) => "log",
            CheckSpec::Archive(_) => "archive",
            CheckSpec::Error(_) => "error",
            CheckSpec::Faster(_) => "faster",
            CheckSpec::WorkLost(_) => "workLost",
            CheckSpec::Budget(_) => "budget",
        }
    }
}

/// The instance `of` (restored) counts on from the capture `resumes_from` (taken of its source before the checkpoint):
/// the first value seen of it is not below that one and not further above it than time allows plus `tolerance`; its
/// later values grow; and where it keeps a journal, each value from the first is there exactly once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CounterCheck {
    /// The restored instance.
    pub of: String,
    /// The capture of the source, before the checkpoint.
    pub resumes_from: String,
    /// Steps of the counter allowed beyond what the time between capture and checkpoint explains.
    pub tolerance: u64,
}

/// What to make of acknowledged writes that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LossPolicy {
    /// None may be lost.
    None,
    /// They are counted and reported, and the count must be possible (the final journal was read). Passing says nothing
    /// about their number.
    Counted,
    /// At least one must be lost: pins that an unfenced migration does lose writes.
    Some,
}

/// Acknowledged writes of a writer, compared with what the last instance holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AckedWritesCheck {
    /// The writer.
    pub client: String,
    /// Acknowledged and not there.
    pub lost: LossPolicy,
    /// How many may be there twice, or have had one place acknowledged to two writes.
    pub duplicated: u64,
    /// Fewest acknowledged writes that make the case worth judging: a writer that did nothing proves nothing.
    pub at_least: u64,
}

/// The process of instance `of` is the one that capture `as_of` saw: nonce, boot values, memory digest (where the
/// workload has them; it must have a nonce), and from outside its PID inside, `comm` and arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SameProcessCheck {
    /// The instance.
    pub of: String,
    /// The capture of the source.
    pub as_of: String,
    /// Whether the memory digest must be equal too (for workloads whose memory does not change by itself).
    pub memory: bool,
}

/// The instances never answered clients in the same span of time, but for `overlap_ms`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ExclusiveCheck {
    /// The instances.
    pub between: Vec<String>,
    /// The overlap allowed, in milliseconds.
    pub overlap_ms: f64,
}

/// The state that an instance is expected in at the end of the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceExpectation {
    /// It runs, is not frozen, and its workload answers.
    Running,
    /// Its tasks are frozen.
    Frozen,
    /// It was made and not started.
    Created,
    /// It is there and does not run any more.
    Stopped,
    /// There is no such container.
    Absent,
}

/// An instance is in a given state: in a capture of it, or at the end of the case (the runner's capture `final:NAME`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct InstanceCheck {
    /// The instance.
    pub of: String,
    /// The state.
    pub state: InstanceExpectation,
    /// A capture since which its counter must have grown: running is not enough.
    pub progressed_since: Option<String>,
    /// Why it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// The capture to judge by; `None`: that of the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What the engine's own interface must say of it then, be it true or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_says: Option<EngineWord>,
    /// A folder that must be a mount in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mounted: Option<String>,
}

/// Why the first process of a container has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The kernel killed it for want of memory.
    OomKilled,
    /// By a signal, and not for want of memory as far as anybody says.
    Killed,
    /// By itself, with an exit code.
    Exited,
}

impl EndReason {
    /// The reason as users write it.
    pub fn name(self) -> &'static str {
        match self {
            EndReason::OomKilled => "oom-killed",
            EndReason::Killed => "killed",
            EndReason::Exited => "exited",
        }
    }
}

/// What an engine's own interface says of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EngineWord {
    /// Made and not started.
    Created,
    /// It runs. CRI has no other word for one that is frozen.
    Running,
    /// Frozen (runc, crun).
    Paused,
    /// It has ended.
    Stopped,
    /// The engine does not know.
    Unknown,
}

impl EngineWord {
    /// All words.
    pub const ALL: [EngineWord; 5] =
        [EngineWord::Created, EngineWord::Running, EngineWord::Paused, EngineWord::Stopped, EngineWord::Unknown];

    /// The word as users write it, and as [`super::OutsideReport::engine_says`] has it.
    pub fn name(self) -> &'static str {
        match self {
            EngineWord::Created => "created",
            EngineWord::Running => "running",
            EngineWord::Paused => "paused",
            EngineWord::Stopped => "stopped",
            EngineWord::Unknown => "unknown",
        }
    }
}

/// The step took at most one `times`th of the time that the step `than` took; both succeeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FasterCheck {
    /// The id of the step that is to be faster.
    pub step: String,
    /// The id of the step that it is compared with.
    pub than: String,
    /// How many times at least.
    pub times: f64,
}

/// Counts that `since` had made after the checkpoint that `of` was restored from: they were lost with it, and `of` makes
/// them again. Something must have been seen of `since` after that checkpoint, or nobody knows how much it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WorkLostCheck {
    /// The restored instance.
    pub of: String,
    /// The source.
    pub since: String,
    /// How many at most; `None`: any number.
    pub at_most: Option<u64>,
}

/// The numbers in the log of an instance at the end of the case, or in a capture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogCheck {
    /// The instance.
    pub of: String,
    /// The capture to judge by; `None`: that of the end.
    pub at: Option<String>,
    /// Each number is there once, one after the other.
    pub each_once: bool,
    /// A capture of its source: all numbers that its log held then are in this one.
    pub keeps: Option<String>,
}

/// A checkpoint's archive has no bytes behind the end of its tar file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ArchiveCheck {
    /// The checkpoint.
    pub of: String,
}

/// What became of a thing of the kernel that a workload holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeldExpectation {
    /// It works as before.
    Kept,
    /// It is gone, or does not work any more.
    Lost,
}

/// What the instance holds was kept or lost, by its own look at it at the end of the case (`final:NAME`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HeldCheck {
    /// The instance.
    pub of: String,
    /// What must have become of it.
    pub state: HeldExpectation,
}

/// The containers of a pod that was restored found each other where they had left each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ConsistentCheck {
    /// The pod.
    pub of: String,
    /// Its containers, as instances.
    pub containers: Vec<String>,
}

/// What became of an established TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionExpectation {
    /// The same connection goes on with the copy.
    Kept,
    /// The other end ended it, and a new one was answered.
    Closed,
    /// The dump was refused for it, and it goes on with the source.
    Refused,
}

/// What became of the connection that a client had when a step began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ConnectionCheck {
    /// The client.
    pub client: String,
    /// The id of the step.
    pub step: String,
    /// What must have become of it.
    pub state: ConnectionExpectation,
    /// For one that is kept: how much longer than the workload stood still, from the call that froze it to the end of the
    /// restore call, an answer may take, in milliseconds.
    pub slack_ms: f64,
}

/// The step failed, with this class and, if given, a message that matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ErrorCheck {
    /// The step's id.
    pub step: String,
    /// The class of its failure.
    pub class: ErrorClass,
    /// A regular expression that its message must match.
    pub text: Option<String>,
}

/// A figure of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// How long the workload did not answer, as the client saw it, in ms.
    Downtime,
    /// The longest wait for an answer on a connection that outlived a migration, in ms.
    Stall,
    /// How long the source's tasks stood still for the checkpoint, in ms.
    Freeze,
    /// The engine's checkpoint call, in ms.
    Checkpoint,
    /// Carrying the checkpoint, in ms.
    Transfer,
    /// The engine's restore calls, in ms.
    Restore,
    /// From the trigger until the restored workload answers, in ms.
    Total,
    /// Bytes of the checkpoint.
    CheckpointSize,
    /// Bytes of state that a migration copied or sent from node to node.
    BytesMoved,
    /// Bytes that the source's node sent during a migration, by the kernel's count.
    BytesSent,
    /// From the first answer of the copy until all of its memory was there, in ms: of post-copy.
    Pages,
    /// The worst latency of an answered operation that was due in that time, in ms.
    PagesLatency,
}

impl Metric {
    /// All metrics, in the order in which reports list them.
    pub const ALL: [Metric; 12] = [
        Metric::Downtime,
        Metric::Stall,
        Metric::Freeze,
        Metric::Checkpoint,
        Metric::Transfer,
        Metric::Restore,
        Metric::Total,
        Metric::CheckpointSize,
        Metric::BytesMoved,
        Metric::BytesSent,
        Metric::Pages,
        Metric::PagesLatency,
    ];

    /// The metric's name as users write it.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Downtime => "downtime",
            Metric::Stall => "stall",
            Metric::Freeze => "freeze",
            Metric::Checkpoint => "checkpoint",
            Metric::Transfer => "transfer",
            Metric::Restore => "restore",
            Metric::Total => "total",
            Metric::CheckpointSize => "checkpoint-size",
            Metric::BytesMoved => "bytes-moved",
            Metric::BytesSent => "bytes-sent",
            Metric::Pages => "pages",
            Metric::PagesLatency => "pages-latency",
        }
    }

    /// Its unit: `ms` or `bytes`.
    pub fn unit(self) -> &'static str {
        match self {
            Metric::CheckpointSize | Metric::BytesMoved | Metric::BytesSent => "bytes",
            _ => "ms",
        }
    }
}

/// Bounds on a metric over the repetitions of a case; in the metric's unit (ms or bytes). A missing sample fails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BudgetCheck {
    /// The figure.
    pub metric: Metric,
    /// Bounds as (percentile, bound): `(50.0, 2000.0)`; 100 is the maximum. At 0, the minimum, the bound is the least that
    /// may be.
    pub bounds: Vec<(f64, f64)>,
}
