//! Clients: outside observers with a fixed schedule (open loop), each on a thread of its own.
//!
//! Operation `i` is due at `t0 + i * T` whatever happened before it, and its latency counts from there: a client that
//! waited for each answer would stop asking while the workload stands still, and so hide what it is there to measure.

mod follow;
mod history_file;
mod link;
mod log_line;
mod met;
mod open_loop;
mod pipeline;
mod vantage;
mod watch;
mod wire;

pub use history_file::{HistoryFileError, read_history, write_history};
pub use log_line::LogLine;
pub use met::Seen;
pub use vantage::{Attempt, Stand, Vantage};
pub use watch::{Answer, WaitError, Watch};

use crate::clock;
use crate::record::{At, EndpointChange, History};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// The list that redis writers append to.
pub const JOURNAL: &str = "podferry:journal";

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `RPUSH podferry:journal <key>` to redis; the answer is the length of the list.
    RedisWriter,
    /// `GET` and a newline; the answer is a line with a number.
    CounterReader,
    /// `ECHO <key>` and a newline; the answer is a line with the key.
    TcpEcho,
    /// Reads a log as it grows; the number at the end of each line is the value.
    LogFollower,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 4] = [Kind::RedisWriter, Kind::CounterReader, Kind::TcpEcho, Kind::LogFollower];

    /// The kind as users write it and as [`History::kind`] keeps it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::RedisWriter => "redis-writer",
            Kind::CounterReader => "counter-reader",
            Kind::TcpEcho => "tcp-echo",
            Kind::LogFollower => "log-follower",
        }
    }

    /// What it says and what it takes for an answer, after its name: for people whose server speaks otherwise.
    pub fn protocol(self) -> &'static str {
        match self {
            Kind::RedisWriter => {
                "sends redis `RPUSH podferry:journal N` (RESP) and takes the new length of the list, `:N`"
            }
            Kind::CounterReader => "sends the line `GET` and takes a line that is a number and nothing else",
            Kind::TcpEcho => "sends the line `ECHO N` and takes the line `N`, the same number and nothing else",
            Kind::LogFollower => "takes lines whose last characters are digits",
        }
    }
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|k| k.name() == s).ok_or_else(|| format!("unknown kind of client `{s}`"))
    }
}

/// Whom a client talks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP server.
    Tcp(SocketAddr),
    /// A log, for [`Kind::LogFollower`].
    Log {
        /// The file, by a path on the host. It need not be there yet.
        path: PathBuf,
        /// Lines that carry an older time stamp (CRI logs do) belong to another life of the container: containerd
        /// copies the source's log to the restored container. They are left out. `None`: from the switch on.
        not_before: Option<At>,
    },
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(address) => write!(f, "{address}"),
            Endpoint::Log { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

/// A client that is to be started.
#[derive(Clone)]
pub struct ClientConfig {
    /// Its name; its thread bears it too.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// The interval of its schedule; [`DEFAULT_INTERVAL`] if nothing else is asked for. Log followers have none.
    pub interval: Duration,
    /// How long an operation may go unanswered before the client gives the connection up. `None`: as long as it lives.
    pub op_timeout: Option<Duration>,
    /// The instance that it talks to at first.
    pub instance: String,
    /// Where that is.
    pub endpoint: Endpoint,
    /// Where the client stands.
    pub vantage: Vantage,
    /// The most operations that it keeps (48 bytes each); it ends itself there and says so. [`DEFAULT_MAX_OPS`].
    pub max_ops: usize,
}

/// One operation a millisecond: fine enough for outages of 20 ms, and light enough not to be the load (0.1 % of a CPU).
pub const DEFAULT_INTERVAL: Duration = Duration::from_millis(1);

/// 33 minutes at the default interval, 96 MB.
pub const DEFAULT_MAX_OPS: usize = 2_000_000;

/// A running client. Dropping it ends its thread.
pub struct Client {
    watch: Watch,
    mailbox: Arc<Mailbox>,
    kind: Kind,
    thread: Option<JoinHandle<History>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Client {
    /// Starts a client. Returns when its thread stands at its vantage; its first connection may still be under way.
    ///
    /// # Errors
    /// When the endpoint does not suit the kind, the thread cannot be made, or the vantage cannot be reached.
    pub fn start(config: ClientConfig) -> io::Result<Client> {
        check_endpoint(config.kind, &config.endpoint)?;
        let first = EndpointChange {
            at: clock::now(),
            instance: config.instance.clone(),
            address: config.endpoint.to_string(),
        };
        let watch = Watch::new(&config.name, config.kind, &config.instance);
        let mailbox = Arc::new(Mailbox::new()?);
        let kind = config.kind;
        let (ready, at_vantage) = mpsc::sync_channel(1);
        let (their_watch, their_mailbox) = (watch.clone(), Arc::clone(&mailbox));
        let thread = std::thread::Builder::new().name(format!("client {}", config.name)).spawn(move || {
            let _closed = their_watch.close_on_drop();
            hurry();
            let arrived = config.vantage.enter().and_then(|()| Ok(nix::sys::prctl::set_timerslack(1)?));
            let go_on = arrived.is_ok();
            // The other end is gone only when the caller is: then there is nobody to tell.
            let _ = ready.send(arrived);
            if !go_on {
                return History::default();
            }
            match config.kind {
                Kind::LogFollower => follow::run(&config, first, &their_watch, &their_mailbox),
                _ => open_loop::run(&config, first, &their_watch, &their_mailbox),
            }
        })?;
        let client = Client { watch, mailbox, kind, thread: Some(thread) };
        match at_vantage.recv() {
            Ok(Ok(())) => Ok(client),
            Ok(Err(e)) => Err(e),
            Err(_) => Err(io::Error::other("the client's thread ended before it began")),
        }
    }

    /// Sends the client to another instance, at once: the old connection is closed, and what was asked on it and not
    /// answered stays unknown.
    ///
    /// # Errors
    /// When the endpoint does not suit the client's kind.
    pub fn switch(&self, instance: &str, endpoint: Endpoint) -> io::Result<()> {
        check_endpoint(self.kind, &endpoint)?;
        let change = EndpointChange { at: clock::now(), instance: instance.to_owned(), address: endpoint.to_string() };
        self.watch.switched(instance);
        self.mailbox.post(Command::Switch(change, endpoint))
    }

    /// Tells the client that its instance is another one now, at the same address: its connection, if that is kept, is
    /// one to the new instance, and answers from now on count as the new one's. False: it has no address, and must be
    /// switched.
    ///
    /// # Errors
    /// When the client cannot be told.
    pub fn moved(&self, instance: &str) -> io::Result<bool> {
        if self.kind == Kind::LogFollower {
            return Ok(false);
        }
        self.watch.switched(instance);
        self.mailbox.post(Command::Moved(clock::now(), instance.to_owned())).map(|()| true)
    }

    /// What others may wait on while the client runs; cheap to clone and to send to other threads.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Number of operations answered so far, by all instances.
    pub fn answered(&self) -> u64 {
        self.watch.answered()
    }

    /// The latest answer.
    pub fn last_answer(&self) -> Option<Answer> {
        self.watch.last_answer()
    }

    /// See [`Watch::wait_answers`].
    ///
    /// # Errors
    /// Likewise.
    pub fn wait_answers(&self, count: u64, deadline: At) -> Result<At, WaitError> {
        self.watch.wait_answers(count, deadline)
    }

    /// See [`Watch::first_answer_from`].
    ///
    /// # Errors
    /// Likewise.
    pub fn first_answer_from(&self, instance: &str, deadline: At) -> Result<At, WaitError> {
        self.watch.first_answer_from(instance, deadline)
    }

    /// Ends the schedule, waits up to 100 ms for answers that are still out, and gives what was recorded.
    pub fn stop(mut self) -> History {
        self.end().unwrap_or_default()
    }

    fn end(&mut self) -> Option<History> {
        let thread = self.thread.take()?;
        // Posting fails only when the counter of the event descriptor is full: then it wakes the thread all the same.
        let _ = self.mailbox.post(Command::Stop);
        Some(thread.join().unwrap_or_else(|_| History {
            ended_early: Some("the client's thread panicked".to_owned()),
            ..History::default()
        }))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.end();
    }
}

/// Lets the calling thread go before others when the machine is busy: an observer that waits for its turn measures that
/// wait. It takes a thousandth of a processor. Without the right to do so nothing changes but the client's lateness,
/// which is recorded ([`History::worst_lateness_ns`]).
fn hurry() {
    // On Linux a nice value belongs to the thread, although the call speaks of processes.
    let thread = rustix::process::Pid::from_raw(nix::unistd::gettid().as_raw());
    let _ = rustix::process::setpriority_process(thread, -19);
}

fn check_endpoint(kind: Kind, endpoint: &Endpoint) -> io::Result<()> {
    if (kind == Kind::LogFollower) == matches!(endpoint, Endpoint::Log { .. }) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a {} can't use the endpoint {endpoint}", kind.name())))
}

/// What a client's thread is told.
enum Command {
    Switch(EndpointChange, Endpoint),
    Moved(At, String),
    Stop,
}

/// Commands, with a descriptor that the thread can poll beside its socket.
struct Mailbox {
    commands: Mutex<VecDeque<Command>>,
    bell: EventFd,
}

impl Mailbox {
    fn new() -> io::Result<Self> {
        let bell = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Mailbox { commands: Mutex::default(), bell })
    }

    fn commands(&self) -> MutexGuard<'_, VecDeque<Command>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, command: Command) -> io::Result<()> {
        self.commands().push_back(command);
        self.bell.write(1)?;
        Ok(())
    }

    fn take(&self) -> VecDeque<Command> {
        // Nothing to read means that the bell did not ring; the commands say the truth either way.
        let _ = self.bell.read();
        std::mem::take(&mut *self.commands())
    }
}
