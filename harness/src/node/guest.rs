use super::control::Control;
use super::init::GUEST;
use super::programs::Programs;
use super::reach;
use super::sandbox::{PATIENCE, SandboxError, Unready, expect};
use super::wire::{Channel, Reply, Streams};
use super::{Link, Node, Program};
use crate::process::{Exec, ExecError, Output, guest_in_pid_namespace};
use crate::record::NodeRecord;
use async_trait::async_trait;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A node of somebody else's that is a container on this machine: an agent of podferry's is a guest in its namespaces. It
/// ends with the harness; the node does not.
#[derive(Debug)]
pub(crate) struct Guest {
    place: Place,
    pid: u32,
    record: NodeRecord,
    programs: Programs,
}

/// Which node it is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Its name in scenarios.
    pub(crate) name: String,
    /// Its name in its cluster.
    pub(crate) known_as: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) pod_network: Ipv4Addr,
    /// The namespaces of its first process, `/proc/PID/ns`, as a path on the host.
    pub(crate) namespaces: PathBuf,
}

impl Guest {
    /// Joins it. Blocks.
    pub(crate) fn new(podferry: &Path, place: Place) -> Result<Guest, SandboxError> {
        let io = |doing| move |source| SandboxError::Io { doing, source };
        let (channel, theirs) = Channel::pair().map_err(io("can't make a socket pair"))?;
        let agent = guest_in_pid_namespace(podferry, GUEST, &place.namespaces, theirs);
        let mut agent = Unready::of(agent.map_err(io("can't start an agent"))?);
        channel.set_patience(Some(PATIENCE)).map_err(io("can't set a time limit"))?;
        expect(&channel, |reply| matches!(reply, Reply::Ready))?;
        channel.set_patience(None).map_err(io("can't lift the time limit"))?;
        let pid = agent.id();
        let control = Control::new(channel, Some(agent.done()), &place.name).map_err(io("can't start a thread"))?;
        let (name, address) = (place.name.clone(), place.address.to_string());
        let record = NodeRecord { name: name.clone(), address, ..NodeRecord::default() };
        Ok(Guest { place, pid, record, programs: Programs::new(name, control) })
    }

    /// Completes what is recorded of it.
    pub(crate) fn record_mut(&mut self) -> &mut NodeRecord {
        &mut self.record
    }

    /// The node's own network namespace.
    pub(crate) fn network(&self) -> io::Result<File> {
        File::open(format!("/proc/{}/ns/net", self.pid))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.programs.control().hang_up();
    }
}

fn not_ours<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "the node is not podferry's own"))
}

#[async_trait]
impl Node for Guest {
    fn name(&self) -> &str {
        &self.place.name
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

    async fn output(&self, exec: Exec) -> Result<Output, ExecError> {
        self.programs.output(exec).await
    }

    async fn run(&self, exec: Exec) -> Result<Output, ExecError> {
        self.programs.run(exec).await
    }

    async fn spawn(&self, exec: Exec, log: &Path) -> Result<Box<dyn Program>, ExecError> {
        self.programs.go_on(exec, Streams::Log(log.to_owned()), &[]).await
    }

    async fn spawn_piped(&self, exec: Exec, log: &Path) -> Result<Box<dyn Program>, ExecError> {
        self.programs.go_on(exec, Streams::Piped(log.to_owned()), &[]).await
    }

    async fn spawn_telling(&self, exec: Exec, out: OwnedFd, log: &Path) -> Result<Box<dyn Program>, ExecError> {
        self.programs.telling(exec, out, &self.host_path(log)).await
    }

    fn host_path(&self, inside: &Path) -> PathBuf {
        reach::host_path(self.pid, (!self.alive()).then(|| self.name()), inside)
    }

    fn shared_dir(&self) -> Option<&Path> {
        None
    }

    /// Orphans are the node's own PID 1's.
    fn orphan_exit(&self, _pid: u32) -> Option<i32> {
        None
    }

    fn set_link(&self, _link: Link) -> io::Result<()> {
        not_ours()
    }

    fn lead(&self, _to: Ipv4Addr, _here: bool) -> io::Result<()> {
        not_ours()
    }

    fn set_paused(&self, _paused: bool) -> io::Result<()> {
        not_ours()
    }

    fn memory_refusals(&self) -> Option<u64> {
        None
    }

    fn alive(&self) -> bool {
        self.programs.control().alive()
    }
}
