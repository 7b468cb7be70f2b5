//! The loop of a client that asks on a schedule.

use super::link::Link;
use super::pipeline::Pipeline;
use super::watch::{Answer, Watch};
use super::wire::{self, Said};
use super::{ClientConfig, Command, Endpoint, Kind, Mailbox, Vantage};
use crate::clock;
use crate::record::{At, Connection, ConnectionEnd, EndpointChange, History, Op, OpOutcome};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

/// How long a stopped client waits for answers that are still out.
const LAST_ANSWERS: Duration = Duration::from_millis(100);

pub(super) fn run(config: &ClientConfig, first: EndpointChange, watch: &Watch, mailbox: &Mailbox) -> History {
    let mut client = OpenLoop::new(config, first, watch);
    if let Err(e) = client.run(mailbox) {
        client.history.ended_early = Some(format!("its loop failed: {e}"));
    }
    client.history
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
        let link = std::mem::replace(&mut self.link, Link::Down { retry: now });
        self.link = link.tick(&*self.from, self.address, now);
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
            let endpoint = u32::try_from(self.history.endpoints.len() - 1).unwrap_or(u32::MAX);
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
        let link = std::mem::replace(&mut self.link, Link::Down { retry: now });
        self.link = link.settle(now);
        if matches!(self.link, Link::Up { .. }) {
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
        let endpoint = u32::try_from(self.history.endpoints.len() - 1).unwrap_or(u32::MAX);
        while let Some((length, said)) = wire::decode(self.kind, &self.arrived[taken..]) {
            let Some(index) = self.pipeline.take() else {
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
        }
        self.arrived.drain(..taken);
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
                    self.link = Link::open(&*self.from, self.address, now);
                }
                Command::Moved(at, instance) => {
                    let address = self.address.to_string();
                    self.history.endpoints.push(EndpointChange { at, instance, address });
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
