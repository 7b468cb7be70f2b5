//! Where clients stand, and how they connect from there.

use super::link::CONNECT_TIMEOUT;
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A place to connect from: a network namespace that threads enter, or a machine elsewhere that connects for them.
pub trait Stand: Send + Sync {
    /// Takes the calling thread there. Called once, at the start of a client's thread; sockets made there stay there.
    ///
    /// # Errors
    /// There is no such place.
    fn enter(&self) -> io::Result<()>;

    /// Begins to connect, from a thread that has entered.
    ///
    /// # Errors
    /// Not even that is possible.
    fn begin(&self, to: SocketAddr) -> io::Result<Attempt> {
        own(to).map(|stream| Attempt(Under::Own(stream)))
    }

    /// How long what was begun may take.
    fn patience(&self) -> Duration {
        CONNECT_TIMEOUT
    }

    /// Connects within the given time, from any thread; blocks.
    ///
    /// # Errors
    /// Nobody listens, or the time is up.
    fn connect(&self, to: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        // A socket stays in the network namespace that it was made in, so a thread that went there can make it for others.
        let go = || {
            self.enter()?;
            TcpStream::connect_timeout(&to, timeout)
        };
        let ended = std::thread::scope(|scope| scope.spawn(go).join());
        ended.unwrap_or_else(|_| Err(io::Error::other("the connecting thread panicked")))
    }
}

/// Who only has to go there connects by himself.
impl<F: Fn() -> io::Result<()> + Send + Sync> Stand for F {
    fn enter(&self) -> io::Result<()> {
        self()
    }
}

/// A place that many share.
pub type Vantage = Arc<dyn Stand>;

/// A connection that is being made.
#[derive(Debug)]
pub struct Attempt(Under);

#[derive(Debug)]
enum Under {
    Own(TcpStream),
    Led(Arc<Led>),
}

/// What becomes of a connection that somebody else makes.
#[derive(Debug)]
struct Led {
    done: Mutex<Option<io::Result<TcpStream>>>,
    bell: EventFd,
}

impl Attempt {
    /// One that is made elsewhere, and what is to be called with it, on any thread.
    ///
    /// # Errors
    /// There is no descriptor left for it.
    pub fn led() -> io::Result<(Attempt, impl FnOnce(io::Result<TcpStream>) + Send + 'static)> {
        let bell = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let led = Arc::new(Led { done: Mutex::default(), bell });
        let theirs = Arc::clone(&led);
        let done = move |stream| {
            *theirs.done.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
            // It has room for one ring.
            let _ = theirs.bell.write(1);
        };
        Ok((Attempt(Under::Led(led)), done))
    }

    /// What to poll until it has come to an end.
    pub(super) fn interest(&self) -> (BorrowedFd<'_>, PollFlags) {
        match &self.0 {
            Under::Own(stream) => (stream.as_fd(), PollFlags::POLLOUT),
            Under::Led(led) => (led.bell.as_fd(), PollFlags::POLLIN),
        }
    }

    /// Its end, when that was seen.
    pub(super) fn settle(self) -> io::Result<TcpStream> {
        match self.0 {
            Under::Own(stream) => match stream.take_error()? {
                None => Ok(stream),
                Some(e) => Err(e),
            },
            Under::Led(led) => {
                let done = led.done.lock().unwrap_or_else(PoisonError::into_inner).take();
                let stream = done.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))?;
                stream.set_nonblocking(true)?;
                Ok(stream)
            }
        }
    }
}

fn own(address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let stream = TcpStream::from(socket(family, SockType::Stream, flags, None)?);
    stream.set_nodelay(true)?;
    match connect(stream.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(stream),
        Err(e) => Err(e.into()),
    }
}
