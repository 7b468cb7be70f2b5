//! Talking to a workload over TCP, on blocking sockets with an end.

use super::ProbeError;
use crate::client::Vantage;
use crate::record::quoted;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Makes connections from where the workloads can be reached.
pub trait Connect: Send + Sync {
    /// Connects within the given time.
    fn connect(&self, address: SocketAddr, timeout: Duration) -> io::Result<TcpStream>;
}

impl Connect for Vantage {
    fn connect(&self, address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        self.as_ref().connect(address, timeout)
    }
}

/// An instance, as a workload is asked through.
#[derive(Clone)]
pub struct Target {
    /// From where.
    pub connect: Arc<dyn Connect>,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its log on the host: plain lines, or lines as CRI or Docker write them.
    pub log: PathBuf,
}

/// How long a wait pauses between two tries.
pub(super) const PAUSE: Duration = Duration::from_millis(1);

/// How long anything may still take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    end: Instant,
    limit: Duration,
}

impl Deadline {
    pub(super) fn new(limit: Duration) -> Self {
        Deadline { end: Instant::now() + limit, limit }
    }

    /// The time left; `None` when there is none.
    pub(super) fn left(self) -> Option<Duration> {
        self.end.checked_duration_since(Instant::now()).filter(|d| !d.is_zero())
    }

    pub(super) fn missed(self, what: impl Into<String>, last: impl ToString) -> ProbeError {
        ProbeError::Timeout { what: what.into(), limit: self.limit, last: last.to_string() }
    }

    /// Tries until it works or time is up, and says then what the last try met.
    pub(super) fn wait<T>(
        self,
        what: &str,
        mut attempt: impl FnMut(Duration) -> Result<T, String>,
    ) -> Result<T, ProbeError> {
        let mut last = "not tried".to_owned();
        while let Some(left) = self.left() {
            match attempt(left) {
                Ok(done) => return Ok(done),
                Err(why) => last = why,
            }
            std::thread::sleep(PAUSE);
        }
        Err(self.missed(what, last))
    }
}

/// A connection to a workload.
pub(super) struct Talk {
    pub(super) who: String,
    stream: BufReader<TcpStream>,
    deadline: Deadline,
}

/// How long one try to connect may take: a SYN that was lost while the network of a sandbox came up is sent again after
/// a second by the kernel, and a fresh connect is quicker.
const CONNECT: Duration = Duration::from_millis(50);

impl Talk {
    /// Connects as soon as somebody listens.
    pub(super) fn open(target: &Target, port: u16, deadline: Deadline) -> Result<Self, ProbeError> {
        let address = SocketAddr::from((target.address, port));
        let stream = deadline.wait(&format!("{address} to accept a connection"), |left| {
            target.connect.connect(address, left.min(CONNECT)).map_err(|e| e.to_string())
        })?;
        let talk = Talk { who: address.to_string(), stream: BufReader::with_capacity(64 << 10, stream), deadline };
        talk.stream.get_ref().set_nodelay(true).map_err(|e| talk.broke(e))?;
        Ok(talk)
    }

    fn broke(&self, source: io::Error) -> ProbeError {
        let late = matches!(source.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        match late {
            true => self.deadline.missed(format!("an answer of {}", self.who), "no answer"),
            false => ProbeError::Io { what: format!("the connection to {}", self.who), source },
        }
    }

    pub(super) fn nonsense(&self, asked: &str, answer: &str) -> ProbeError {
        let (asked, answer) = (quoted(asked.as_bytes()), quoted(answer.as_bytes()));
        ProbeError::Nonsense { what: self.who.clone(), asked, answer }
    }

    /// No read or write may outlast the deadline.
    fn bound(&self) -> Result<(), ProbeError> {
        let left =
            self.deadline.left().ok_or_else(|| self.deadline.missed(format!("an answer of {}", self.who), "-"))?;
        let stream = self.stream.get_ref();
        stream
            .set_read_timeout(Some(left))
            .and_then(|()| stream.set_write_timeout(Some(left)))
            .map_err(|e| self.broke(e))
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), ProbeError> {
        self.bound()?;
        self.stream.get_mut().write_all(bytes).map_err(|e| self.broke(e))
    }

    /// A line without its end.
    pub(super) fn line(&mut self) -> Result<String, ProbeError> {
        self.bound()?;
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).map_err(|e| self.broke(e))?;
        if line.pop() != Some(b'\n') {
            return Err(self.broke(io::ErrorKind::UnexpectedEof.into()));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// So many bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Result<Vec<u8>, ProbeError> {
        self.bound()?;
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).map_err(|e| self.broke(e))?;
        Ok(bytes)
    }

    /// The same answer so many times, as a pipeline of like commands gets it. Far cheaper than a line at a time.
    pub(super) fn repeated(&mut self, answer: &[u8], times: u64) -> Result<(), ProbeError> {
        let mut left = times * answer.len() as u64;
        let mut expected = answer.iter().cycle();
        while left > 0 {
            self.bound()?;
            let got = match self.stream.fill_buf() {
                Ok(got) => &got[..got.len().min(usize::try_from(left).unwrap_or(usize::MAX))],
                Err(e) => return Err(self.broke(e)),
            };
            if got.is_empty() {
                return Err(self.broke(io::ErrorKind::UnexpectedEof.into()));
            }
            if !got.iter().zip(expected.by_ref()).all(|(a, b)| a == b) {
                let text = String::from_utf8_lossy(got).into_owned();
                let odd =
                    text.lines().find(|l| *l != String::from_utf8_lossy(answer).trim_end()).unwrap_or("").to_owned();
                return Err(self.nonsense("a command", &odd));
            }
            let taken = got.len();
            self.stream.consume(taken);
            left -= taken as u64;
        }
        Ok(())
    }

    /// Everything up to the end of the connection.
    pub(super) fn rest(&mut self) -> Result<String, ProbeError> {
        self.bound()?;
        let mut text = Vec::new();
        self.stream.read_to_end(&mut text).map_err(|e| self.broke(e))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// One line for one line.
    pub(super) fn ask(&mut self, question: &str) -> Result<String, ProbeError> {
        self.send(format!("{question}\n").as_bytes())?;
        self.line()
    }

    /// A second handle on the connection, for a thread that writes while this one reads.
    pub(super) fn writer(&self) -> Result<TcpStream, ProbeError> {
        self.bound()?;
        self.stream.get_ref().try_clone().map_err(|e| self.broke(e))
    }

    /// Ends the connection at once, also for a thread that writes to it.
    pub(super) fn give_up(&self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Both);
    }

    /// Ends the connection and waits until the workload has ended it too: CRIU refuses to dump a process that holds a
    /// connection, also one whose other end is gone.
    pub(super) fn close(mut self) -> Result<(), ProbeError> {
        match self.stream.get_ref().shutdown(Shutdown::Write) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotConnected => return Ok(()),
            Err(e) => return Err(self.broke(e)),
        }
        self.rest().map(drop)
    }
}
