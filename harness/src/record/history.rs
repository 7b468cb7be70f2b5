//! What a client did and saw.

use super::At;
use serde::{Deserialize, Serialize};

/// How one client operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpOutcome {
    /// The answer came: for a write, it is acknowledged.
    Ok,
    /// The workload answered with an error.
    Error,
    /// It was sent, and no answer came: a write may or may not have been done.
    Unknown,
    /// It could not be sent: nothing was done.
    NotSent,
}

/// One operation of a client.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Op {
    /// When the fixed schedule wanted it. Latency counts from here: a stalled client would otherwise hide the stall.
    pub intended: At,
    /// When it was sent; zero if it was not.
    pub sent: At,
    /// When its answer had arrived; zero if none did.
    pub done: At,
    /// How it ended.
    pub outcome: OpOutcome,
    /// What was asked: for writers the sequence number that was written, from 0, each once.
    pub key: u64,
    /// What was answered: the list length after a write (redis writer), the counter (counter reader), the echo (echo).
    pub value: u64,
    /// Index into [`History::endpoints`]: which instance it was sent to.
    pub endpoint: u32,
}

/// From `at` on, the client talked to this instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointChange {
    /// When the client was told.
    pub at: At,
    /// The instance.
    pub instance: String,
    /// `address:port`, or the log's path.
    pub address: String,
}

/// Everything that one client did and saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The kind of client: `redis-writer`, `counter-reader`, `tcp-echo`, `log-follower`.
    pub kind: String,
    /// The interval of its schedule, in nanoseconds.
    pub interval_ns: u64,
    /// Whom it talked to, in order.
    pub endpoints: Vec<EndpointChange>,
    /// Its operations, in the order of their intended times.
    pub ops: Vec<Op>,
    /// For writers: the sequence numbers that the last instance holds at the end, in its order; `None` if not read.
    pub final_journal: Option<Vec<u64>>,
    /// The worst lateness of the client's own timer, in nanoseconds: its measurement error.
    pub worst_lateness_ns: u64,
    /// Why the client ended before it was stopped (its memory was full, its socket could not be made); `None`: it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_early: Option<String>,
    /// Its connections, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<Connection>,
}

/// A TCP connection of a client, from when it was there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// When it had come about.
    pub from: At,
    /// When it was seen to have ended, and how; `None`: it was there when the client stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<(At, ConnectionEnd)>,
}

/// How a client's connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionEnd {
    /// The other end closed it (FIN).
    Closed,
    /// It was reset, or the kernel gave it up.
    Reset,
    /// An operation on it went unanswered for too long, and the client gave it up.
    Unanswered,
    /// What came on it was no answer to what was asked.
    Nonsense,
    /// The client was sent to another instance.
    Left,
}
