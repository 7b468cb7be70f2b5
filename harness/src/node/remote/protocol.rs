//! What the harness asks of the agent on a node that it does not reach otherwise. Each question is a stream of its own; what
//! comes on it after the answer is said here.

use crate::node::wire::Spawn;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a stream is for: its first message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Call {
    /// Who is there. Nothing comes after the answer, which is an [`Agent`].
    Hello,
    /// Beats: each byte that is sent comes back. An agent that gets none for a while ends.
    Pulse,
    /// Run a program. Its streams come as `Data` and `Error`, its input goes as `Data` and `End`, what becomes of it comes as
    /// `Reply`, always after all that it wrote. `files`: how many of output, error and input are passed.
    Program { spawn: Spawn, files: usize },
    /// A connection from the node's own network. Bytes come and go as `Data`, the end of each direction as `End`; a stream
    /// that ends without is a connection that was reset.
    Connect { to: SocketAddr, limit_ms: u64 },
    /// Likewise to a socket of the node's file system.
    ConnectUnix(PathBuf),
    /// Listen; the answer is the address. Each connection comes as a stream of the agent's own, whose call is [`Accepted`].
    /// Listening ends with this stream.
    Listen { number: u64, network: Option<PathBuf>, address: SocketAddr },
    /// What the agent removes when it ends; the stream stays open. Nothing comes after the answer.
    Own(Vec<String>),
    /// The node's files: requests of the kernel's FUSE as they are, each a `Data`, and answers likewise.
    Files,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Agent {
    pub(super) version: String,
}

/// A connection that was accepted, by the number of its listener.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Accepted {
    pub(super) number: u64,
}

/// The answer to a call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer<T> {
    Done(T),
    /// The number of the error, if it has one, and its text.
    Failed(Option<i32>, String),
}

impl<T> Answer<T> {
    pub(super) fn of(done: io::Result<T>) -> Answer<T> {
        match done {
            Ok(value) => Answer::Done(value),
            Err(e) if e.kind() == io::ErrorKind::TimedOut => Answer::Failed(Some(nix::libc::ETIMEDOUT), e.to_string()),
            Err(e) => Answer::Failed(e.raw_os_error(), e.to_string()),
        }
    }

    /// As the agent met it: a refused connection is a refused one here.
    pub(super) fn into_result(self) -> io::Result<T> {
        match self {
            Answer::Done(value) => Ok(value),
            Answer::Failed(Some(number), _) => Err(io::Error::from_raw_os_error(number)),
            Answer::Failed(None, text) => Err(io::Error::other(text)),
        }
    }
}
