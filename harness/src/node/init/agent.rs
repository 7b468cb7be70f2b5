use super::super::wire::{Channel, Reply, Request, Spawn, Streams};
use super::cgroup;
use super::pump::{Pump, open_log};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use rustix::process::{WaitOptions, wait};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Runs programs for the harness, reaps every orphan of the node, and carries output into logs.
#[derive(Debug)]
pub(super) struct Agent {
    control: Channel,
    signals: SignalFd,
    /// Programs that have not been reaped yet, so that their process ids are surely theirs.
    running: HashMap<u64, Pid>,
    pumps: Vec<Pump>,
    end: AtItsEnd,
}

/// What ends with the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtItsEnd {
    /// All that is in its PID namespace.
    All,
    /// The programs that it started, each with its process group.
    Own,
}

impl Agent {
    pub(super) fn new(control: OwnedFd, end: AtItsEnd) -> io::Result<Agent> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        // Programs do not inherit it: the standard library starts them with an empty mask.
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Agent { control: Channel::new(control), signals, running: HashMap::new(), pumps: Vec::new(), end })
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.control
    }

    /// Serves until the line is closed, which it is at the latest when the harness has died. Then nothing in the node
    /// may live on: the kernel kills all when PID 1 returns.
    pub(super) fn serve(mut self) -> io::Result<()> {
        let served = loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(e) => break Err(e),
            }
        };
        if self.end == AtItsEnd::Own {
            for pid in self.running.values() {
                let _ = kill(Pid::from_raw(-pid.as_raw()), Signal::SIGKILL);
            }
            return served;
        }
        // First those who might freeze something, then the frozen.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        cgroup::thaw_all();
        served
    }

    fn turn(&mut self) -> io::Result<bool> {
        let mut watched = vec![
            PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        watched.extend(self.pumps.iter().map(|p| PollFd::new(p.as_fd(), PollFlags::POLLIN)));
        match poll(&mut watched, PollTimeout::NONE) {
            Err(Errno::EINTR) => return Ok(true),
            polled => polled?,
        };
        let ready: Vec<bool> = watched.iter().map(|w| w.any().unwrap_or(true)).collect();
        if ready[1] {
            self.reap()?;
        }
        let mut at = 2;
        self.pumps.retain_mut(|pump| {
            at += 1;
            !ready[at - 1] || pump.carry()
        });
        if !ready[0] {
            return Ok(true);
        }
        match self.control.recv()? {
            None => return Ok(false),
            Some((Request::Spawn(spawn), files)) => self.spawn(&spawn, files)?,
            Some((Request::Signal { id, signal, group }, _)) => self.signal(id, signal, group),
            Some((Request::Setup(_), _)) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the node is there already"));
            }
        }
        Ok(true)
    }

    fn spawn(&mut self, spawn: &Spawn, files: Vec<OwnedFd>) -> io::Result<()> {
        let id = spawn.id;
        match self.start(spawn, files) {
            Ok(pid) => {
                self.running.insert(id, Pid::from_raw(pid));
                self.control.send(&Reply::Started { id, pid }, &[])
            }
            Err((what, e)) => {
                let message = if what.is_empty() { e.to_string() } else { format!("{what}: {e}") };
                self.control.send(&Reply::Refused { id, errno: e.raw_os_error(), message }, &[])
            }
        }
    }

    fn start(&mut self, spawn: &Spawn, files: Vec<OwnedFd>) -> Result<i32, (String, io::Error)> {
        let plain = |e| (String::new(), e);
        let (program, args) = spawn.argv.split_first().ok_or_else(|| plain(Errno::EINVAL.into()))?;
        let mut command = Command::new(program);
        command.args(args).envs(spawn.env.iter().map(|(k, v)| (k, v))).process_group(0).stdin(Stdio::null());
        if let Some(dir) = &spawn.cwd {
            // Told apart here: the error of the start itself would be the same as for an absent program.
            std::fs::read_dir(dir).map_err(|e| (format!("working directory {}", dir.display()), e))?;
            command.current_dir(dir);
        }
        let pumps = connect(&mut command, &spawn.streams, files)?;
        let child = command.spawn().map_err(plain)?;
        self.pumps.extend(pumps);
        Ok(i32::try_from(child.id()).expect("process ids fit"))
    }

    fn signal(&self, id: u64, signal: i32, group: bool) {
        if let Some(pid) = self.running.get(&id)
            && let Ok(signal) = Signal::try_from(signal)
        {
            let to = if group { Pid::from_raw(-pid.as_raw()) } else { *pid };
            // ESRCH: it is ending just now.
            let _ = kill(to, signal);
        }
    }

    /// Collects all that ended. A program's end is told after what it wrote is in its log.
    fn reap(&mut self) -> io::Result<()> {
        while self.signals.read_signal()?.is_some() {}
        let mut ended = Vec::new();
        loop {
            // Not nix's: that fails on a real-time signal, of which it has no name.
            let (pid, status) = match wait(WaitOptions::NOHANG) {
                Ok(Some(ended)) => ended,
                Ok(None) | Err(rustix::io::Errno::CHILD) => break,
                Err(rustix::io::Errno::INTR) => continue,
                Err(e) => return Err(e.into()),
            };
            let Some(code) = status.exit_status().or_else(|| status.terminating_signal().map(|s| 128 + s)) else {
                continue;
            };
            if let Some(id) = self.running.iter().find_map(|(id, p)| (p.as_raw() == pid.as_raw_pid()).then_some(*id)) {
                self.running.remove(&id);
                ended.push((id, code));
            } else {
                self.control.send(&Reply::Orphan { pid: pid.as_raw_pid(), code }, &[])?;
            }
        }
        if !ended.is_empty() {
            self.pumps.retain_mut(Pump::carry);
        }
        for (id, code) in ended {
            self.control.send(&Reply::Exited { id, code }, &[])?;
        }
        Ok(())
    }
}

fn connect(command: &mut Command, streams: &Streams, files: Vec<OwnedFd>) -> Result<Vec<Pump>, (String, io::Error)> {
    match streams {
        Streams::Passed => {
            let mut files = files.into_iter();
            for give in [Command::stdout, Command::stderr, Command::stdin::<OwnedFd>] {
                if let Some(file) = files.next() {
                    give(command, file);
                }
            }
            Ok(Vec::new())
        }
        Streams::Log(path) => {
            let logs = open_log(path).and_then(|log| Ok((log.try_clone()?, log)));
            let (out, err) = logs.map_err(|e| (format!("open {}", path.display()), e))?;
            command.stdout(out).stderr(err);
            Ok(Vec::new())
        }
        Streams::Piped(path) => {
            let two = || -> io::Result<_> { Ok((Pump::new(open_log(path)?)?, Pump::new(open_log(path)?)?)) };
            let ((out, out_end), (err, err_end)) = two().map_err(|e| (format!("open {}", path.display()), e))?;
            command.stdout(out_end).stderr(err_end);
            Ok(vec![out, err])
        }
    }
}
