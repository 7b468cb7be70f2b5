//! The loop of a client that asks on a schedule.

use super::link::Link;
use super::met::Odd;
use super::pipeline::Pipeline;
use super::watch::{Answer, Watch};
use super::wire::{self, Said};
use super::{ClientConfig, Command, Endpoint, Kind, Mailbox, Vantage};
use crate::clock;
use crate::record::{At, Connection, ConnectionEnd, EndpointChange, History, Op, OpOutcome, quoted};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

/// How long a stopped client waits for answers that are still out.
const LAST_ANSWERS: Duration = Duration::from_millis(100);

/// More than is shown of what came without an end of line.
const BEGIN: usize = 256;

pub(super) fn run(config: &ClientConfig, first: EndpointChange, watch: &Watch, mailbox: &Mailbox) -> History {
    let mut client = OpenLoop::new(config, first, watch);
    if let Err(e) = client.run(mailbox) {
        client.history.ended_early = Some(format!("its loop failed: {e}"));
    }
    client.history
}

/// What is no news any more. It keeps the loop from telling the watch the same a thousand times a second.
#[derive(Default)]
struct Told {
    connected: bool,
    refused: Option<io::ErrorKind>,
    came: bool,
    odd: bool,
}

struct OpenLoop<'a> {
    kind: Kind,
    interval: Duration,
    op_timeout: Option<Duration>,
    max_ops: usize,
    from: Vantage,
    address: SocketAddr,
    link: Link,
    pipeline: Pipeline,
    arrived: Vec<u8>,
    chunk: Box<[u8]>,
    history: History,
    watch: &'a Watch,
    batch: Vec<Answer>,
    /// What the watch was told of this endpoint while it gave no answer.
    told: Told,
    /// When the next operation is due; `None` before the first connection was tried and after the end.
    due: Option<At>,
    stopping: Option<At>,
}

impl<'a> OpenLoop<'a> {
    fn new(config: &ClientConfig, first: EndpointChange, watch: &'a Watch) -> Self {
        let address = tcp(&config.endpoint);
        let interval = config.interval.max(Duration::from_micros(1));
        let history = History {
            kind: config.kind.name().to_owned(),
            interval_ns: u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX),
            endpoints: vec![first],
            // Reserved, not touched: pages come as they are used, and nothing is ever copied on growth.
            ops: Vec::with_capacity(config.max_ops),
            ..History::default()
        };
        OpenLoop {
            kind: config.kind,
            interval,
            op_timeout: config.op_timeout,
            max_ops: config.max_ops,
            from: config.vantage.clone(),
            address,
            link: Link::open(&*config.vantage, address, clock::now()),
            pipeline: Pipeline::default(),
            arrived: Vec::with_capacity(wire::LONGEST_LINE),
            chunk: vec![0; wire::LONGEST_LINE].into_boxed_slice(),
            history,
            watch,
            batch: Vec::with_capacity(1024),
            told: Told::default(),
            due: None,
            stopping: None,
        }
    }

    fn run(&mut self, mailbox: &Mailbox) -> io::Result<()> {
        let begin = clock::now() + self.from.patience();
        loop {
            let now = clock::now();
            self.tick_link(now);
            if self.due.is_none() && self.history.ops.is_empty() && self.stopping.is_none() {
                // The first operation falls due once the first connection has been tried, so that a client of a
                // healthy server does not begin with operations that it could not send.
                self.due = (begin <= now || !matches!(self.link, Link::Connecting { .. })).then_some(now);
            }
            self.issue(now);
            self.flush();
            self.give_up_the_unanswered(now);
            if self.stopping.is_some_and(|until| until <= now || self.pipeline.is_empty()) {
                return Ok(());
            }
            let wake = [self.due, self.link.deadline(), self.answer_deadline(), self.stopping];
            let not_begun = self.due.is_none() && self.history.ops.is_empty();
            let wake = wake.into_iter().chain([not_begun.then_some(begin)]).flatten().min();
            let (told, socket) = self.wait(mailbox, wake)?;
            if socket {
                self.link_ready();
            }
            if told {
                self.obey(mailbox);
            }
        }
    }

    /// Waits until the mailbox or the socket is ready or `wake` has come; says which of the two are.
    fn wait(&self, mailbox: &Mailbox, wake: Option<At>) -> io::Result<(bool, bool)> {
        let timeout = wake.map(|at| TimeSpec::from_duration(at.since(clock::now())));
        let bell = PollFd::new(mailbox.bell.as_fd(), PollFlags::POLLIN);
        let ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|r| !r.is_empty());
        let (polled, told, socket) = match self.link.interest(!self.pipeline.pending().is_empty()) {
            Some((fd, flags)) => {
                let mut fds = [bell, PollFd::new(fd, flags)];
                (ppoll(&mut fds, timeout, None), ready(&fds[0]), ready(&fds[1]))
            }
            None => {
                let mut fds = [bell];
                (ppoll(&mut fds, timeout, None), ready(&fds[0]), false)
            }
        };
        match polled {
            Ok(_) => Ok((told, socket)),
            Err(Errno::EINTR) => Ok((false, false)),
            Err(e) => Err(e.into()),
        }
    }

    fn tick_link(&mut self, now: At) {
        let link = std::mem::replace(&mut self.link, Link::lost(now));
        self.link = link.tick(&*self.from, self.address, now);
        self.tell_refused();
    }

    /// The endpoint that the client talks to.
    fn here(&self) -> u32 {
        u32::try_from(self.history.endpoints.len() - 1).unwrap_or(u32::MAX)
    }

    fn tell_refused(&mut self) {
        let Link::Down { why: Some(why), .. } = self.link else { return };
        if !self.told.connected && self.told.refused != Some(why) {
            self.told.refused = Some(why);
            self.watch.met(self.here(), |met| met.refused = Some(why));
        }
    }

    /// What came is not what was asked for; or, as long as nothing else has come, has no end yet.
    fn tell_odd(&mut self, asked: Option<u64>, said: &[u8]) {
        if !std::mem::replace(&mut self.told.odd, true) {
            let asked = asked.map(|key| quoted(wire::question(self.kind, key).as_bytes()));
            self.watch.met(self.here(), |met| met.odd = Some(Odd { asked, said: quoted(said) }));
        }
    }

    fn tell_unfinished(&mut self) {
        if !self.told.came && !self.arrived.is_empty() {
            let begin = &self.arrived[..self.arrived.len().min(BEGIN)];
            self.watch.met(self.here(), |met| met.unfinished = Some(quoted(begin)));
        }
    }

    /// Records and, if there is a connection, queues all operations that are due.
    fn issue(&mut self, now: At) {
        while let Some(due) = self.due.filter(|due| *due <= now) {
            let index = self.history.ops.len();
            if index >= self.max_ops {
                self.history.ended_early = Some(format!("it had made {index} operations, the most that it keeps"));
                self.due = None;
                return;
            }
            let late = u64::try_from(now.since(due).as_nanos()).unwrap_or(u64::MAX);
            self.history.worst_lateness_ns = self.history.worst_lateness_ns.max(late);
            let key = index as u64;
            let endpoint = self.here();
            let (sent, done, value) = (At(0), At(0), 0);
            let op = Op { intended: due, sent, done, outcome: OpOutcome::NotSent, key, value, endpoint };
            self.history.ops.push(op);
            if matches!(self.link, Link::Up { .. }) {
                self.pipeline.push(index, |out| wire::encode(self.kind, key, out));
            }
            self.due = Some(due + self.interval);
        }
    }

    fn flush(&mut self) {
        while !self.pipeline.pending().is_empty() {
            let Link::Up { stream } = &mut self.link else { return };
            let at = clock::now();
            match stream.write(self.pipeline.pending()) {
                Ok(n) => self.pipeline.wrote(n, at, &mut self.history.ops),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.lose_connection(ConnectionEnd::Reset),
            }
        }
    }

    fn link_ready(&mut self) {
        if matches!(self.link, Link::Up { .. }) {
            return self.receive();
        }
        let now = clock::now();
        let link = std::mem::replace(&mut self.link, Link::lost(now));
        self.link = link.settle(now);
        self.tell_refused();
        if matches!(self.link, Link::Up { .. }) {
            if !std::mem::replace(&mut self.told.connected, true) {
                self.watch.met(self.here(), |met| met.connected = true);
            }
            self.history.connections.push(Connection { from: now, ended: None });
        }
    }

    fn receive(&mut self) {
        loop {
            let Link::Up { stream } = &mut self.link else { return };
            let read = stream.read(&mut self.chunk);
            let at = clock::now();
            match read {
                Ok(0) => return self.lose_connection(ConnectionEnd::Closed),
                Ok(n) => {
                    self.arrived.extend_from_slice(&self.chunk[..n]);
                    if !self.settle_answers(at) {
                        return self.lose_connection(ConnectionEnd::Nonsense);
                    }
                    if n < self.chunk.len() {
                        return;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.lose_connection(ConnectionEnd::Reset),
            }
        }
    }

    /// Matches what arrived with what was asked; false if it cannot be an answer to it.
    fn settle_answers(&mut self, at: At) -> bool {
        let mut taken = 0;
        let mut sound = true;
        let endpoint = self.here();
        while let Some((length, said)) = wire::decode(self.kind, &self.arrived[taken..]) {
            let line = taken..taken + length;
            let Some(index) = self.pipeline.take() else {
                let line = self.arrived[line].to_vec();
                self.tell_odd(None, &line);
                sound = false;
                break;
            };
            taken += length;
            let op = &mut self.history.ops[index];
            op.done = at;
            // Who has it now answers it: it may have been sent before the instance moved with its address.
            op.endpoint = endpoint;
            op.outcome = OpOutcome::Error;
            if let Said::Value(value) = said {
                op.value = value;
                if self.kind != Kind::TcpEcho || value == op.key {
                    op.outcome = OpOutcome::Ok;
                    self.batch.push(Answer { at, key: op.key, value });
                }
            }
            if op.outcome == OpOutcome::Error && !self.told.odd {
                let (key, line) = (op.key, self.arrived[line].to_vec());
                self.tell_odd(Some(key), &line);
            }
        }
        self.arrived.drain(..taken);
        self.told.came |= taken > 0;
        self.tell_unfinished();
        self.watch.arrived(endpoint, &self.batch);
        self.batch.clear();
        sound && self.arrived.len() < wire::LONGEST_LINE
    }

    fn answer_deadline(&self) -> Option<At> {
        let oldest = self.pipeline.oldest()?;
        Some(self.history.ops[oldest].sent + self.op_timeout?)
    }

    fn give_up_the_unanswered(&mut self, now: At) {
        if self.answer_deadline().is_some_and(|deadline| deadline <= now) {
            self.lose_connection(ConnectionEnd::Unanswered);
        }
    }

    fn lose_connection(&mut self, how: ConnectionEnd) {
        let now = clock::now();
        self.connection_ended(now, how);
        self.link = Link::lost(now);
    }

    fn connection_ended(&mut self, now: At, how: ConnectionEnd) {
        self.pipeline.clear();
        self.arrived.clear();
        if let (Link::Up { .. }, Some(last)) = (&self.link, self.history.connections.last_mut()) {
            last.ended = Some((now, how));
        }
    }

    fn obey(&mut self, mailbox: &Mailbox) {
        for command in mailbox.take() {
            // Answers that arrived before the command count for whom they came from.
            if matches!(self.link, Link::Up { .. }) {
                self.receive();
            }
            match command {
                Command::Switch(change, endpoint) => {
                    let now = clock::now();
                    self.connection_ended(now, ConnectionEnd::Left);
                    self.address = tcp(&endpoint);
                    self.history.endpoints.push(change);
                    self.told = Told::default();
                    self.link = Link::open(&*self.from, self.address, now);
                }
                Command::Moved(at, instance) => {
                    let address = self.address.to_string();
                    self.history.endpoints.push(EndpointChange { at, instance, address });
                    self.told = Told { connected: matches!(self.link, Link::Up { .. }), ..Told::default() };
                    if self.told.connected {
                        self.watch.met(self.here(), |met| met.connected = true);
                    }
                }
                Command::Stop => {
                    self.due = None;
                    self.stopping = Some(clock::now() + LAST_ANSWERS);
                }
            }
        }
    }
}

fn tcp(endpoint: &Endpoint) -> SocketAddr {
    match endpoint {
        Endpoint::Tcp(address) => *address,
        // Refused by `check_endpoint` before it gets here.
        Endpoint::Log { .. } => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
    }
}
