//! Sockets of this machine that lead to a node elsewhere.

use super::carry::carry;
use super::frame::{self, Tag};
use super::line::{Opener, Stream};
use super::mount::Folder;
use super::protocol::{Accepted, Call};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tokio::net::{TcpStream as Tcp, UnixListener};
use tokio::runtime::Handle;

/// A port is bound at once, or not; the line may be long.
const LISTEN_LIMIT: Duration = Duration::from_secs(30);

/// Where connections go that were accepted on the node: the sockets here that listen for them, by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Accepting(Arc<Mutex<HashMap<u64, SocketAddr>>>);

impl Accepting {
    /// A stream that the agent has opened. Called where streams are carried.
    pub(super) fn take(&self, stream: Stream) {
        let accepting = self.clone();
        tokio::spawn(async move {
            let mut stream = stream;
            let Accepted { number } = frame::expect(&mut stream, Tag::Call).await?;
            let here = accepting.0.lock().unwrap_or_else(PoisonError::into_inner).get(&number).copied();
            let here = here.ok_or(io::ErrorKind::NotFound)?;
            // Nobody listens here any more: the stream ends, and with it the connection there.
            let socket = Tcp::connect(here).await?;
            socket.set_nodelay(true)?;
            carry(socket, stream).await;
            io::Result::Ok(())
        });
    }
}

/// What leads to one node.
#[derive(Debug)]
pub(super) struct Sockets {
    opener: Opener,
    on: Handle,
    accepting: Accepting,
    /// Streams that the node listens as long as they are there.
    listening: Mutex<Listening>,
    /// Sockets of the node's file system, and the folder that theirs here are in.
    unix: Mutex<HashMap<PathBuf, PathBuf>>,
    folder: Folder,
}

#[derive(Debug, Default)]
struct Listening {
    next: u64,
    streams: HashMap<(Option<PathBuf>, SocketAddr), Stream>,
}

impl Sockets {
    pub(super) fn new(opener: Opener, on: Handle, accepting: Accepting) -> io::Result<Sockets> {
        let (listening, unix) = (Mutex::default(), Mutex::default());
        Ok(Sockets { opener, on, accepting, listening, unix, folder: Folder::new()? })
    }

    /// Listens on the node; what is returned is a socket of this machine's loopback that gets its connections. Blocks.
    pub(super) fn listen(&self, network: Option<PathBuf>, address: SocketAddr) -> io::Result<TcpListener> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        // One that listened there before has gone, if it is asked for anew.
        listening.streams.remove(&(network.clone(), address));
        listening.next += 1;
        let number = listening.next;
        self.accepting.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number, listener.local_addr()?);
        let (tell, told) = mpsc::sync_channel(1);
        let (opener, asked) = (self.opener.clone(), Call::Listen { number, network: network.clone(), address });
        self.on.spawn(async move { drop(tell.send(opener.call::<SocketAddr>(&asked).await)) });
        let answer = told.recv_timeout(LISTEN_LIMIT).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        let (stream, _) = answer?;
        listening.streams.insert((network, address), stream);
        Ok(listener)
    }

    /// A socket of this machine, without a name that others see, that leads to one of the node's file system.
    pub(super) fn lead_unix(&self, inside: &Path) -> io::Result<PathBuf> {
        let mut unix = self.unix.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = unix.get(inside) {
            return Ok(there.clone());
        }
        let path = self.folder.path().join(unix.len().to_string());
        let listener = std::os::unix::net::UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        let (opener, target) = (self.opener.clone(), inside.to_owned());
        self.on.spawn(async move {
            let Ok(listener) = UnixListener::from_std(listener) else { return };
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = opener.ended() => return,
                };
                let Ok((socket, _)) = accepted else { return };
                let (opener, target) = (opener.clone(), target.clone());
                tokio::spawn(async move {
                    let (stream, ()) = opener.call(&Call::ConnectUnix(target)).await?;
                    carry(socket, stream).await;
                    io::Result::Ok(())
                });
            }
        });
        unix.insert(inside.to_owned(), path.clone());
        Ok(path)
    }
}

/// Opens a connection from the node's network.
pub(super) async fn connect(opener: &Opener, to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
    let (stream, ()) = opener.call(&Call::Connect { to, limit_ms }).await?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let ours = Tcp::connect(listener.local_addr()?).await?;
    let (theirs, from) = listener.accept().await?;
    if from != ours.local_addr()? {
        return Err(io::Error::other("another program came first"));
    }
    ours.set_nodelay(true)?;
    theirs.set_nodelay(true)?;
    tokio::spawn(carry(theirs, stream));
    let ours = ours.into_std()?;
    ours.set_nonblocking(false)?;
    Ok(ours)
}
