use super::control::{Control, gone};
use super::fabric::{self, Cable, Fabric, on_own_thread};
use super::init::SUBCOMMAND;
use super::pause;
use super::programs::Programs;
use super::reach;
use super::wire::{Channel, Reply, Request, SHARED_DIR, Setup};
use super::{Link, MemoryGroup, Node};
use crate::process::init_in_new_pid_namespace;
use crate::record::NodeRecord;
use async_trait::async_trait;
use nix::sched::{CloneFlags, setns, unshare};
use rustix::mount::{OpenTreeFlags, open_tree};
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

/// How long each step of making a node may take. It takes milliseconds; this is for a machine that is very busy.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Why a sandbox could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SandboxError {
    /// PID 1 says what it could not do.
    #[error("{0}")]
    Init(String),
    /// PID 1 could not be started, or the line to it broke.
    #[error("{doing}")]
    Io {
        doing: &'static str,
        #[source]
        source: io::Error,
    },
}

/// A node on this machine: namespaces, and PID 1 in them.
#[derive(Debug)]
pub(crate) struct Sandbox {
    number: u8,
    pid: u32,
    record: NodeRecord,
    programs: Programs,
    cable: Cable,
}

impl Sandbox {
    /// Makes the node and waits until it serves; with `disk`, one that [`Sandbox::disk`] gave, it has that for its
    /// `/data`. Blocks.
    pub(crate) fn new(
        podferry: &Path,
        setup: Setup,
        disk: Option<OwnedFd>,
        number: u8,
        fabric: &Fabric,
    ) -> Result<Sandbox, SandboxError> {
        let io = |doing| move |source| SandboxError::Io { doing, source };
        let name = setup.name.clone();
        let shared = fabric.shared().map_err(io("can't take a mount of the shared folder"))?;
        let (channel, theirs) = Channel::pair().map_err(io("can't make a socket pair"))?;
        let init = init_in_new_pid_namespace(podferry, SUBCOMMAND, theirs).map_err(io("can't start PID 1"))?;
        let mut init = Unready::of(init);
        channel.set_patience(Some(PATIENCE)).map_err(io("can't set a time limit"))?;
        let mounts: Vec<OwnedFd> = std::iter::once(shared).chain(disk).collect();
        let beside: Vec<_> = mounts.iter().map(AsFd::as_fd).collect();
        channel.send(&Request::Setup(setup), &beside).map_err(io("can't reach PID 1"))?;
        drop(mounts);
        expect(&channel, |reply| matches!(reply, Reply::Unshared))?;
        let pid = init.id();
        // Plugged in while PID 1 mounts.
        let plugged = File::open(format!("/proc/{pid}/ns/net")).and_then(|net| fabric.plug(number, pid, &net));
        // If PID 1 has given up, that is why it could not be plugged in.
        expect(&channel, |reply| matches!(reply, Reply::Ready))?;
        plugged.map_err(io("can't plug the node into the network"))?;
        channel.set_patience(None).map_err(io("can't lift the time limit"))?;
        let control = Control::new(channel, Some(init.done()), &name).map_err(io("can't start a thread"))?;
        let address = fabric::address(number).to_string();
        let record = NodeRecord { name: name.clone(), address, ..NodeRecord::default() };
        Ok(Sandbox { number, pid, record, programs: Programs::new(name, control), cable: fabric.cable(number) })
    }

    /// Completes what is recorded of it.
    pub(crate) fn record_mut(&mut self) -> &mut NodeRecord {
        &mut self.record
    }

    /// Its number on the network.
    pub(crate) fn number(&self) -> u8 {
        self.number
    }

    /// Another mount of its disk, which is `/data` without what is mounted on it; it outlives the node.
    pub(crate) fn disk(&self) -> io::Result<OwnedFd> {
        let namespace = File::open(self.host_path(Path::new("/proc/1/ns/mnt")))?;
        on_own_thread(|| {
            // A thread that shares its root and working directory with others can't change its mount namespace.
            unshare(CloneFlags::CLONE_FS)?;
            setns(&namespace, CloneFlags::CLONE_NEWNS)?;
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            Ok(open_tree(rustix::fs::CWD, "/data", flags)?)
        })
    }

    /// Makes PID 1 end; does not wait.
    pub(crate) fn hang_up(&self) {
        self.programs.control().hang_up();
    }

    /// Waits until PID 1, and with it every process of the node, is gone.
    pub(crate) async fn ended(&self) {
        self.programs.control().ended().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.programs.control().hang_up();
    }
}

#[async_trait]
impl Node for Sandbox {
    fn programs(&self) -> &Programs {
        &self.programs
    }

    fn address(&self) -> Ipv4Addr {
        fabric::address(self.number)
    }

    fn pod_network(&self) -> Ipv4Addr {
        fabric::pod_network(self.number)
    }

    fn record(&self) -> &NodeRecord {
        &self.record
    }

    fn host_path(&self, inside: &Path) -> PathBuf {
        reach::host_path(self.pid, (!self.alive()).then(|| self.name()), inside)
    }

    fn shared_dir(&self) -> Option<&Path> {
        Some(Path::new(SHARED_DIR))
    }

    fn orphan_exit(&self, pid: u32) -> Option<i32> {
        self.programs.control().orphan_exit(pid)
    }

    fn set_link(&self, link: Link) -> io::Result<()> {
        self.cable.set(link, &File::open(self.host_path(Path::new("/proc/1/ns/net")))?)
    }

    fn lead(&self, to: Ipv4Addr, here: bool) -> io::Result<()> {
        self.cable.lead(to, here)
    }

    fn set_paused(&self, paused: bool) -> io::Result<()> {
        if paused {
            self.programs.set_paused(true);
        }
        let done = pause::set(&self.host_path(Path::new("/sys/fs/cgroup")), self.pid, paused);
        if !paused || done.is_err() {
            self.programs.set_paused(false);
        }
        done
    }

    fn memory_refusals(&self) -> Option<u64> {
        MemoryGroup::of(&self.host_path(Path::new("/sys/fs/cgroup")), "/").refusals()
    }
}

/// PID 1 before it serves: it is ended if the node does not come to be. (The line to it may be closed after that, which
/// would end it too; this waits for it.)
pub(super) struct Unready(Option<Child>);

impl Unready {
    pub(super) fn of(init: Child) -> Unready {
        Unready(Some(init))
    }

    pub(super) fn id(&self) -> u32 {
        self.0.as_ref().map_or(0, Child::id)
    }

    pub(super) fn done(&mut self) -> Child {
        self.0.take().expect("taken once")
    }
}

impl Drop for Unready {
    fn drop(&mut self) {
        if let Some(init) = &mut self.0 {
            let _ = init.kill();
            let _ = init.wait();
        }
    }
}

pub(super) fn expect(channel: &Channel, wanted: impl Fn(&Reply) -> bool) -> Result<(), SandboxError> {
    let io = |source| SandboxError::Io { doing: "no answer from PID 1", source };
    match channel.recv().map_err(io)? {
        Some((reply, _)) if wanted(&reply) => Ok(()),
        Some((Reply::Broken(why), _)) => Err(SandboxError::Init(why)),
        Some((other, _)) => Err(SandboxError::Init(format!("PID 1 said {other:?} out of turn"))),
        None => Err(io(gone())),
    }
}
