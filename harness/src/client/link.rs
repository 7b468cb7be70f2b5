//! One connection at a time, never waited for.

use crate::record::At;
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

/// How long a connection may take to come about. While CRIU dumps or restores with established connections, it locks
/// the network and drops SYNs; the kernel would send the next only after 1 s.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(30);

/// How long after a failed attempt the next is made.
const RETRY: Duration = Duration::from_millis(1);

/// The connection.
#[derive(Debug)]
pub(super) enum Link {
    /// There is none; the next attempt is due then.
    Down { retry: At },
    /// One is being made; it is given up then.
    Connecting { stream: TcpStream, until: At },
    /// There is one.
    Up { stream: TcpStream },
}

impl Link {
    /// Begins to connect.
    pub(super) fn open(address: SocketAddr, now: At) -> Link {
        match begin(address) {
            Ok(stream) => Link::Connecting { stream, until: now + CONNECT_TIMEOUT },
            Err(_) => Link::lost(now),
        }
    }

    /// No connection, and one more attempt soon.
    pub(super) fn lost(now: At) -> Link {
        Link::Down { retry: now + RETRY }
    }

    /// What to poll.
    pub(super) fn interest(&self, has_pending: bool) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match self {
            Link::Down { .. } => None,
            Link::Connecting { stream, .. } => Some((stream.as_fd(), PollFlags::POLLOUT)),
            Link::Up { stream } if has_pending => Some((stream.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT)),
            Link::Up { stream } => Some((stream.as_fd(), PollFlags::POLLIN)),
        }
    }

    /// When it wants to be looked at even if nothing happens.
    pub(super) fn deadline(&self) -> Option<At> {
        match self {
            Link::Down { retry } => Some(*retry),
            Link::Connecting { until, .. } => Some(*until),
            Link::Up { .. } => None,
        }
    }

    /// Takes what time alone changes one step further.
    pub(super) fn tick(self, address: SocketAddr, now: At) -> Link {
        match self {
            Link::Down { retry } if retry <= now => Link::open(address, now),
            Link::Connecting { until, .. } if until <= now => Link::lost(now),
            same => same,
        }
    }

    /// The socket of a connection being made became writable, or failed.
    pub(super) fn settle(self, now: At) -> Link {
        match self {
            Link::Connecting { stream, .. } => match stream.take_error() {
                Ok(None) => Link::Up { stream },
                _ => Link::lost(now),
            },
            same => same,
        }
    }
}

fn begin(address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let stream = TcpStream::from(socket(family, SockType::Stream, flags, None)?);
    stream.set_nodelay(true)?;
    match connect(stream.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(stream),
        Err(e) => Err(e.into()),
    }
}
