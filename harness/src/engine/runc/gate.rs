//! The gate between a page server and who asks it for pages, on the source's node.
//!
//! CRIU's page server takes the end of its connection for success, and kills the source's processes then (criu 4.2.1):
//! a daemon that was killed, or a restore that failed, would cost both. So its port is open to the node alone, the daemon
//! on the target's node talks to this gate, and only the gate says the end: when the copy runs and has asked for
//! everything. In all other cases it says what no page server understands: that one fails then, and its process lives.
//!
//! When pages come no more, the way to the daemon stays open until the copy is dead ([`Broken`]): a daemon that ends
//! closes its userfaultfd, and the kernel gives the process zeros for what is missing.

use super::page_wire::{FAREWELL, HEAD, Request, close, follows, refusal, request};
use crate::node::Node;
use crate::record::ErrorClass;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// What is carried at once.
const CHUNK: usize = 256 << 10;

type Trouble = (ErrorClass, String);

fn no_copy() -> Trouble {
    (ErrorClass::RestoreFailed, "the copy was not restored".to_owned())
}

/// What became of the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copy {
    /// It is being restored.
    Coming,
    /// It runs.
    Runs,
    /// It never came to be.
    Failed,
}

/// What went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// Bytes that the page server sent, heads included.
    pub(super) bytes: u64,
    /// The longest time from a request until its pages began to come.
    pub(super) slowest: Duration,
}

/// Why not all pages went through. It holds the way to the daemon open.
#[derive(Debug)]
pub(super) struct Broken {
    /// What it is while there is no copy yet that could be lost.
    pub(super) class: ErrorClass,
    pub(super) why: String,
    _wire: Option<TcpStream>,
}

impl Broken {
    /// A daemon that had everything before the copy ran: that cannot be.
    pub(super) fn early() -> Self {
        let why = "the gate was through before the copy ran".to_owned();
        Broken { class: ErrorClass::Other, why, _wire: None }
    }
}

/// A gate that is ready.
pub(super) struct Gate {
    listener: TcpListener,
    server: TcpStream,
    address: SocketAddr,
    quiet: Duration,
}

impl Gate {
    /// Opens the gate before a page server of the node that listens on this port of its loopback. `quiet`: how long nothing
    /// may go through, once the copy runs. Blocks for as long as it takes to connect.
    pub(super) fn open(node: &dyn Node, port: u16, quiet: Duration) -> io::Result<Gate> {
        let server = node.connect((Ipv4Addr::LOCALHOST, port).into(), quiet)?;
        let listener = node.listen((node.address(), 0).into())?;
        server.set_nonblocking(true)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (listener, server) = (TcpListener::from_std(listener)?, TcpStream::from_std(server)?);
        Ok(Gate { listener, server, address, quiet })
    }

    /// Where the daemon is to connect to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves one daemon until all is over.
    pub(super) async fn serve(self, mut copy: watch::Receiver<Copy>) -> Result<Passed, Broken> {
        let Gate { listener, mut server, quiet, .. } = self;
        let mut wire = None;
        let done = async {
            tokio::select! {
                biased;
                () = failed(copy.clone()) => return Err(no_copy()),
                accepted = listener.accept() => wire = Some(accepted.map_err(broken("the daemon"))?.0),
            }
            let wire = wire.as_mut().expect("accepted above");
            wire.set_nodelay(true).and(server.set_nodelay(true)).map_err(broken("the daemon"))?;
            // What a cut cable keeps is told by an error then, also while nothing else is to be sent.
            let unheard = u32::try_from(quiet.as_millis()).unwrap_or(u32::MAX);
            setsockopt(&*wire, TcpUserTimeout, &unheard).map_err(|e| broken("the daemon")(e.into()))?;
            let (from_daemon, to_daemon) = wire.split();
            let (from_server, to_server) = server.split();
            let mut way = Way { from_daemon, to_daemon, from_server, to_server, quiet, asked: VecDeque::new() };
            way.serve(&mut copy).await
        }
        .await;
        if done.is_err() {
            give_up(&mut server, quiet).await;
        }
        done.map_err(|(class, why)| Broken { class, why, _wire: wire })
    }
}

/// Until it is certain that there will be no copy.
async fn failed(mut copy: watch::Receiver<Copy>) {
    // An error: who restores it has gone, and nobody says any more that it runs.
    let _ = copy.wait_for(|copy| *copy == Copy::Failed).await;
}

/// Makes the page server fail, and reads what it still sends until it has ended.
async fn give_up(server: &mut TcpStream, limit: Duration) {
    let over = async {
        server.write_all(&refusal()).await?;
        tokio::io::copy(server, &mut tokio::io::sink()).await
    };
    // One that does not end is killed by who started it.
    let _ = timeout(limit, over).await;
}

struct Way<'a> {
    from_daemon: ReadHalf<'a>,
    to_daemon: WriteHalf<'a>,
    from_server: ReadHalf<'a>,
    to_server: WriteHalf<'a>,
    quiet: Duration,
    /// When requests came that have no answer yet.
    asked: VecDeque<Instant>,
}

impl Way<'_> {
    async fn serve(&mut self, copy: &mut watch::Receiver<Copy>) -> Result<Passed, Trouble> {
        let mut passed = Passed::default();
        let mut buffer = vec![0; CHUNK];
        let (mut asking, mut answer) = (Head::default(), Head::default());
        loop {
            // A restore has a watchdog of its own, and asks for what it needs alone.
            let quiet = match *copy.borrow_and_update() {
                Copy::Coming => Duration::MAX,
                Copy::Runs => self.quiet,
                Copy::Failed => return Err(no_copy()),
            };
            tokio::select! {
                biased;
                read = asking.fill(&mut self.from_daemon) => match read.map_err(broken("the daemon"))? {
                    Some(head) if request(&head) == Request::Close => break,
                    Some(head) => {
                        self.asked.push_back(Instant::now());
                        self.to_server.write_all(&head).await.map_err(broken("the page server"))?;
                    }
                    None => {
                        let why = "the lazy-pages daemon went away before it had all pages".to_owned();
                        return Err((ErrorClass::RestoreFailed, why));
                    }
                },
                read = answer.fill(&mut self.from_server) => match read.map_err(broken("the page server"))? {
                    Some(head) => {
                        let asked = self.asked.pop_front().map_or(Duration::ZERO, |asked| asked.elapsed());
                        passed.slowest = passed.slowest.max(asked);
                        passed.bytes += self.answer(&head, &mut buffer).await?;
                    }
                    None => return Err(server_gone()),
                },
                () = tokio::time::sleep(quiet) => return Err(silent(quiet)),
                changed = copy.changed(), if quiet == Duration::MAX => changed.map_err(|_| no_copy())?,
            }
        }
        let decided = timeout(self.quiet * 20, copy.wait_for(|copy| *copy != Copy::Coming)).await;
        match decided.map(|copy| copy.map(|copy| *copy)) {
            Ok(Ok(Copy::Runs)) => self.farewell().await.map(|()| passed),
            _ => Err(no_copy()),
        }
    }

    /// Carries an answer with its pages; as many bytes.
    async fn answer(&mut self, head: &[u8; HEAD], buffer: &mut [u8]) -> Result<u64, Trouble> {
        let pages = follows(head).ok_or_else(|| {
            (ErrorClass::DumpFailed, "the page server does not say what podferry knows of it".to_owned())
        })?;
        self.send(head).await?;
        let mut left = pages;
        while left > 0 {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = timeout(self.quiet, self.from_server.read(&mut buffer[..most])).await;
            let got = read.map_err(|_| silent(self.quiet))?.map_err(broken("the page server"))?;
            if got == 0 {
                return Err(server_gone());
            }
            self.send(&buffer[..got]).await?;
            left -= got as u64;
        }
        Ok(pages + HEAD as u64)
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let sent = timeout(self.quiet, self.to_daemon.write_all(bytes)).await;
        sent.map_err(|_| silent(self.quiet))?.map_err(broken("the daemon"))
    }

    /// The end that both sides wait for.
    async fn farewell(&mut self) -> Result<(), Trouble> {
        let over = async {
            self.to_server.write_all(&close()).await?;
            let mut answer = [0; FAREWELL];
            self.from_server.read_exact(&mut answer).await?;
            self.to_daemon.write_all(&answer).await
        };
        let over = timeout(self.quiet, over).await;
        over.map_err(|_| silent(self.quiet))?.map_err(broken("the page server"))
    }
}

fn broken(with: &'static str) -> impl Fn(io::Error) -> Trouble {
    move |e| (ErrorClass::LinkBroken, format!("the way to {with}: {e}"))
}

fn server_gone() -> Trouble {
    (ErrorClass::DumpFailed, "the page server went away before all pages were over".to_owned())
}

fn silent(quiet: Duration) -> Trouble {
    (ErrorClass::LinkBroken, format!("no page went over for {quiet:?}"))
}

/// A head that is being read; what has come of it outlives a call that is dropped.
struct Head {
    bytes: [u8; HEAD],
    have: usize,
}

impl Default for Head {
    fn default() -> Self {
        Head { bytes: [0; HEAD], have: 0 }
    }
}

impl Head {
    /// The next head; `None` at the end.
    async fn fill(&mut self, from: &mut ReadHalf<'_>) -> io::Result<Option<[u8; HEAD]>> {
        while self.have < HEAD {
            match from.read(&mut self.bytes[self.have..]).await? {
                0 => return Ok(None),
                got => self.have += got,
            }
        }
        self.have = 0;
        Ok(Some(self.bytes))
    }
}
