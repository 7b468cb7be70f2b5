//! One connection at a time, never waited for.

use super::vantage::{Attempt, Stand};
use crate::record::At;
use nix::poll::PollFlags;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// How long a connection may take to come about. While CRIU dumps or restores with established connections, it locks
/// the network and drops SYNs; the kernel would send the next only after 1 s.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(30);

/// How long after a failed attempt the next is made.
const RETRY: Duration = Duration::from_millis(1);

/// The connection.
#[derive(Debug)]
pub(super) enum Link {
    /// There is none; the next attempt is due then. And why there is none, if an attempt failed.
    Down { retry: At, why: Option<io::ErrorKind> },
    /// One is being made; it is given up then.
    Connecting { attempt: Attempt, until: At },
    /// There is one.
    Up { stream: TcpStream },
}

impl Link {
    /// Begins to connect.
    pub(super) fn open(from: &dyn Stand, address: SocketAddr, now: At) -> Link {
        match from.begin(address) {
            Ok(attempt) => Link::Connecting { attempt, until: now + from.patience() },
            Err(e) => Link::failed(now, e.kind()),
        }
    }

    /// No connection, and one more attempt soon.
    pub(super) fn lost(now: At) -> Link {
        Link::Down { retry: now + RETRY, why: None }
    }

    fn failed(now: At, why: io::ErrorKind) -> Link {
        Link::Down { retry: now + RETRY, why: Some(why) }
    }

    /// What to poll.
    pub(super) fn interest(&self, has_pending: bool) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match self {
            Link::Down { .. } => None,
            Link::Connecting { attempt, .. } => Some(attempt.interest()),
            Link::Up { stream } if has_pending => Some((stream.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT)),
            Link::Up { stream } => Some((stream.as_fd(), PollFlags::POLLIN)),
        }
    }

    /// When it wants to be looked at even if nothing happens.
    pub(super) fn deadline(&self) -> Option<At> {
        match self {
            Link::Down { retry, .. } => Some(*retry),
            Link::Connecting { until, .. } => Some(*until),
            Link::Up { .. } => None,
        }
    }

    /// Takes what time alone changes one step further.
    pub(super) fn tick(self, from: &dyn Stand, address: SocketAddr, now: At) -> Link {
        match self {
            Link::Down { retry, .. } if retry <= now => Link::open(from, address, now),
            Link::Connecting { until, .. } if until <= now => Link::failed(now, io::ErrorKind::TimedOut),
            same => same,
        }
    }

    /// A connection that was being made is there, or failed.
    pub(super) fn settle(self, now: At) -> Link {
        match self {
            Link::Connecting { attempt, .. } => match attempt.settle() {
                Ok(stream) => Link::Up { stream },
                Err(e) => Link::failed(now, e.kind()),
            },
            same => same,
        }
    }
}
