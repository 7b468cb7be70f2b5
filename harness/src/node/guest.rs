use super::Node;
use super::control::Control;
use super::init::GUEST;
use super::programs::Programs;
use super::reach;
use super::sandbox::{PATIENCE, SandboxError, Unready, expect};
use super::wire::{Channel, Reply};
use crate::process::guest_in_pid_namespace;
use crate::record::NodeRecord;
use async_trait::async_trait;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
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
}

impl Guest {
    /// Joins it. `namespaces`: those of its first process, `/proc/PID/ns`, as a path on the host. Blocks.
    pub(crate) fn new(podferry: &Path, place: Place, namespaces: &Path) -> Result<Guest, SandboxError> {
        let io = |doing| move |source| SandboxError::Io { doing, source };
        let (channel, theirs) = Channel::pair().map_err(io("can't make a socket pair"))?;
        let agent = guest_in_pid_namespace(podferry, GUEST, namespaces, theirs);
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

#[async_trait]
impl Node for Guest {
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
        reach::host_path(self.pid, (!self.alive()).then(|| self.name()), inside)
    }
}
