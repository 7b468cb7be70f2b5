//! A node that the harness does not reach but by one stream of bytes, which an agent of podferry's is at the other end of: a
//! node of a cluster elsewhere. What the trait asks for of local reach is made of it: files by a FUSE mount that has no
//! name, whose requests the agent answers; sockets by relays; programs by a guest on the node.

mod agent;
mod carry;
mod frame;
mod line;
mod mount;
mod protocol;
mod pump;
mod sockets;
mod starts;

pub(super) use agent::serve as serve_agent;
pub(crate) use mount::mounted;
pub(super) use pump::serve as pump;

use super::Node;
use super::control::Control;
use super::guest::Place;
use super::programs::Programs;
use super::wire::Channel;
use crate::record::NodeRecord;
use async_trait::async_trait;
use line::{Opener, Stream, line};
use mount::Files;
use protocol::{Agent, Call};
use sockets::Sockets;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, timeout};
use yamux::Mode;

/// How often the agent is told that the harness is there, and how long it may take to say that it heard.
const BEAT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(60);
/// An agent answers at once; its stream may come by a busy API server.
const HELLO: Duration = Duration::from_secs(30);
const ROUNDS: usize = 5;

/// The node. Its agent, with all that was started by it, ends when this does, and at the latest a minute after the harness.
#[derive(Debug)]
pub(crate) struct Remote {
    place: Place,
    record: NodeRecord,
    opener: Opener,
    files: Files,
    sockets: Sockets,
    programs: Programs,
    on: Handle,
    /// The line ends when this is dropped, whoever else would still open streams on it.
    _end: oneshot::Sender<()>,
}

impl Remote {
    /// Greets the agent at the other end of `io`. What carries its streams runs on `on`, which must be no runtime that waits
    /// for files: it is what answers them.
    ///
    /// # Errors
    /// It does not answer, is of another version, or this machine makes no FUSE mount.
    pub(crate) async fn new<T>(place: Place, io: T, on: &Handle) -> io::Result<Remote>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let accepted = sockets::Accepting::default();
        let come = accepted.clone();
        let (heard, silent) = oneshot::channel();
        let (end, told) = oneshot::channel::<()>();
        // An error: its sender was dropped, which is the sign.
        let close = async { drop(told.await) };
        let (opener, drive) = line(io, Mode::Client, close, move |stream| come.take(stream));
        on.spawn(async move {
            tokio::select! {
                () = drive => {}
                _ = silent => {}
            }
        });
        let greeted = timeout(HELLO, opener.call::<Agent>(&Call::Hello)).await;
        let (_, agent) =
            greeted.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "its agent does not answer"))??;
        let own = env!("CARGO_PKG_VERSION");
        if agent.version != own {
            return Err(io::Error::other(format!("its agent is podferry {}, and this is {own}", agent.version)));
        }
        let (pulse, ()) = opener.call(&Call::Pulse).await?;
        on.spawn(beat(pulse, heard));
        let files = Files::mount(&opener, on).await?;
        let (channel, theirs) = Channel::pair()?;
        let control = Control::new(channel, None, &place.name)?;
        starts::serve(Channel::new(theirs), opener.clone(), on.clone(), &place.name)?;
        let (name, address) = (place.name.clone(), place.address.to_string());
        let record = NodeRecord { name: name.clone(), address, ..NodeRecord::default() };
        let sockets = Sockets::new(opener.clone(), on.clone(), accepted)?;
        let (programs, on) = (Programs::new(name, control), on.clone());
        Ok(Remote { place, record, opener, files, sockets, programs, on, _end: end })
    }

    /// Completes what is recorded of it.
    pub(crate) fn record_mut(&mut self) -> &mut NodeRecord {
        &mut self.record
    }

    /// How long a question to its agent takes, there and back: the shortest of some.
    pub(crate) async fn round_trip(&self) -> io::Result<Duration> {
        let mut shortest = HELLO;
        for _ in 0..ROUNDS {
            let from = Instant::now();
            self.opener.call::<Agent>(&Call::Hello).await?;
            shortest = shortest.min(from.elapsed());
        }
        Ok(shortest)
    }

    /// What opens connections from it.
    pub(crate) fn way(&self) -> Way {
        Way { opener: self.opener.clone(), on: self.on.clone() }
    }
}

/// Opens connections from a node's network.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    opener: Opener,
    on: Handle,
}

impl Way {
    /// Begins to connect; `done` is called, on another thread, with the connection or the error that the node met.
    pub(crate) fn begin(
        &self,
        to: SocketAddr,
        limit: Duration,
        done: impl FnOnce(io::Result<TcpStream>) + Send + 'static,
    ) {
        let opener = self.opener.clone();
        self.on.spawn(async move { done(sockets::connect(&opener, to, limit).await) });
    }

    /// Connects, and waits for it.
    pub(crate) fn connect(&self, to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.begin(to, limit, move |done| drop(tell.send(done)));
        told.recv_timeout(limit + SILENCE).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

/// Tells the agent that the harness is there, until nothing is heard of it any more: then `heard` is dropped, and the line
/// ended.
async fn beat(mut pulse: Stream, heard: oneshot::Sender<()>) {
    let mut ticks = interval(BEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut byte = [0];
    loop {
        ticks.tick().await;
        let there_and_back = async {
            pulse.write_all(&byte).await?;
            pulse.flush().await?;
            pulse.read_exact(&mut byte).await
        };
        match timeout(SILENCE, there_and_back).await {
            Ok(Ok(_)) => {}
            _ => return drop(heard),
        }
    }
}

#[async_trait]
impl Node for Remote {
    fn programs(&self) -> &Programs {
        &self.programs
    }

    fn known_as(&self) -> &str {
        &self.place.known_as
    }

    fn address(&self) -> Ipv4Addr {
        self.place.address
    }

    fn pod_network(&self) -> Ipv4Addr {
        self.place.pod_network
    }

    fn record(&self) -> &NodeRecord {
        &self.record
    }

    fn host_path(&self, inside: &Path) -> PathBuf {
        self.files.path(inside)
    }

    fn socket_path(&self, inside: &Path) -> io::Result<PathBuf> {
        self.sockets.lead_unix(inside)
    }

    fn own(&self, paths: Vec<String>) {
        let opener = self.opener.clone();
        // An error: the line has ended, and what was owned went with the agent.
        self.on.spawn(async move { drop(opener.call::<()>(&Call::Own(paths)).await) });
    }

    fn listen_in(&self, network: &Path, address: SocketAddr) -> io::Result<TcpListener> {
        let other = (network != Path::new(super::OWN_NETWORK)).then(|| network.to_owned());
        self.sockets.listen(other, address)
    }

    fn connect(&self, to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
        self.way().connect(to, limit)
    }

    fn alive(&self) -> bool {
        self.opener.end().is_none() && self.programs.control().alive()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.programs.control().hang_up();
    }
}
