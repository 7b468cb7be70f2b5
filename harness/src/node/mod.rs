//! What a node is to everyone above: a place that runs commands, holds files and opens sockets. Providers make nodes.

mod control;
pub(crate) mod fabric;
mod guest;
mod init;
mod memory;
mod pause;
mod processes;
mod programs;
mod reach;
mod remote;
mod running;
mod sandbox;
mod talk;
mod wire;

pub(crate) use guest::{Guest, Place};
pub(crate) use memory::MemoryGroup;
pub(crate) use processes::{Process, host_id, processes};
pub(crate) use remote::mounted;
pub(crate) use remote::{Remote, Way};
pub(crate) use sandbox::Sandbox;
pub(crate) use wire::{CgroupMounts, Cgroups, Setup};

pub use programs::Programs;

use crate::process::{Exec, ExecError, Output};
use crate::record::NodeRecord;
use async_trait::async_trait;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use wire::Streams;

/// The control group that all containers of a node are in, of whichever engine, as the node sees it.
pub(crate) const CONTAINERS: &str = "/podferry";

/// The node's own network namespace, as the node sees it.
const OWN_NETWORK: &str = "/proc/1/ns/net";

/// A node. All paths are paths inside the node unless a method says otherwise.
#[async_trait]
pub trait Node: Send + Sync {
    /// What starts programs in it.
    fn programs(&self) -> &Programs;

    /// Its name (`a`).
    fn name(&self) -> &str {
        self.programs().name()
    }

    /// The name that its cluster knows it by, where that is another.
    fn known_as(&self) -> &str {
        self.name()
    }

    /// Its address on the run's network.
    fn address(&self) -> Ipv4Addr;

    /// The /24 that its containers get their addresses from; routed from everywhere on the run's network.
    fn pod_network(&self) -> Ipv4Addr;

    /// What is recorded of it: components with versions and digests.
    fn record(&self) -> &NodeRecord;

    /// Runs a program in the node and waits for its end; any exit code is an `Ok`.
    async fn output(&self, exec: Exec) -> Result<Output, ExecError> {
        self.programs().output(exec).await
    }

    /// Runs a program in the node; another exit code than 0 is an error that shows the end of its output.
    async fn run(&self, exec: Exec) -> Result<Output, ExecError> {
        self.programs().run(exec).await
    }

    /// Starts a program in the node that goes on; its output is appended to the file `log` (inside the node). It ends
    /// with the node at the latest. `exec.timeout` and `exec.stdin` do not apply.
    async fn spawn(&self, exec: Exec, log: &Path) -> Result<Box<dyn Program>, ExecError> {
        self.programs().go_on(exec, Streams::Log(log.to_owned()), &[]).await
    }

    /// Like [`Node::spawn`], with anonymous pipes as standard output and error and `/dev/null` as input. CRIU can only
    /// dump a container whose standard streams are pipes (or `/dev/null`): a file outside the container's root fails
    /// with `Can't lookup mount` (criu 4.2.1). What comes through the pipes is appended to `log` by PID 1 of the node,
    /// which outlives the program; the program's own children (the container) keep the pipes.
    async fn spawn_piped(&self, exec: Exec, log: &Path) -> Result<Box<dyn Program>, ExecError> {
        self.programs().go_on(exec, Streams::Piped(log.to_owned()), &[]).await
    }

    /// Like [`Node::spawn`], with a file of the harness's own as its standard output; the log gets its standard error. It
    /// is how a program is given a descriptor on which it says that it is ready (CRIU's and runc's `--status-fd 1`).
    async fn spawn_telling(&self, exec: Exec, out: OwnedFd, log: &Path) -> Result<Box<dyn Program>, ExecError> {
        self.programs().telling(exec, out, &self.host_path(log)).await
    }

    /// The path on the host at which a path inside the node can be read and written. Absolute links inside the node
    /// are not followed right from there: name files by their real place.
    fn host_path(&self, inside: &Path) -> PathBuf;

    /// The path on the host at which a socket of the node's file system is connected to.
    ///
    /// # Errors
    /// There can be none.
    fn socket_path(&self, inside: &Path) -> io::Result<PathBuf> {
        Ok(self.host_path(inside))
    }

    /// Says what is to be removed from the node when it is let go of, however that comes: folders and files by their paths; the
    /// last part may have `*` for anything. Of a node that ends itself all goes.
    fn own(&self, _paths: Vec<String>) {}

    /// A folder inside the node that all nodes of the run share (memory-backed): what one writes there, the others
    /// read. `None` if the provider has none.
    fn shared_dir(&self) -> Option<&Path> {
        None
    }

    /// Listens on an address in the node's network namespace.
    fn listen(&self, address: std::net::SocketAddr) -> io::Result<TcpListener> {
        self.listen_in(Path::new(OWN_NETWORK), address)
    }

    /// Listens likewise in another network namespace of the node, by the path that it has there.
    fn listen_in(&self, network: &Path, address: std::net::SocketAddr) -> io::Result<TcpListener> {
        reach::listen(&self.host_path(network), address)
    }

    /// The exit code (`128 + signal` for a signal) of a program that was nobody's child but PID 1's when it ended, by its
    /// process id in the node; the last few hundred are kept. `None` of a node whose PID 1 is not podferry's.
    fn orphan_exit(&self, _pid: u32) -> Option<i32> {
        None
    }

    /// Opens a connection from the node's network namespace. Blocks.
    fn connect(&self, to: std::net::SocketAddr, limit: Duration) -> io::Result<TcpStream> {
        reach::connect(&self.host_path(Path::new(OWN_NETWORK)), to, limit)
    }

    /// Changes the node's cable, in both directions. Blocks.
    ///
    /// # Errors
    /// The kernel refuses it, or the node is not podferry's own.
    fn set_link(&self, _link: Link) -> io::Result<()> {
        not_ours()
    }

    /// Leads what is sent to an address of another node's pods to this node, or no longer. Blocks.
    ///
    /// # Errors
    /// The kernel refuses it, or the node is not podferry's own.
    fn lead(&self, _to: Ipv4Addr, _here: bool) -> io::Result<()> {
        not_ours()
    }

    /// Makes every process of the node but its PID 1 stand still, or go on. While it stands still, no program can be
    /// started in it: who tries waits. Blocks until the kernel has done it.
    ///
    /// # Errors
    /// The kernel refuses it, or the node is not podferry's own.
    fn set_paused(&self, _paused: bool) -> io::Result<()> {
        not_ours()
    }

    /// How often the kernel has refused memory to the node, since what all its processes take had reached its limit.
    /// `None`: it does not count that.
    fn memory_refusals(&self) -> Option<u64> {
        None
    }

    /// Whether the node is still there.
    fn alive(&self) -> bool {
        self.programs().control().alive()
    }
}

fn not_ours<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "the node is not podferry's own"))
}

/// The state of a node's cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// As it was made.
    Whole,
    /// Nothing goes through. The node keeps its addresses and routes, as with a cable that is pulled.
    Cut,
    /// So many bytes a second go through, each way.
    Slow(u64),
}

/// A program that was started in a node and goes on.
#[async_trait]
pub trait Program: Send + Sync {
    /// Its process id inside the node.
    fn pid(&self) -> u32;

    /// Waits for its end and gives its exit code (`128 + signal` for a signal).
    async fn wait(&mut self) -> Result<i32, ExecError>;

    /// Sends it a signal (number). A program that has ended is no error.
    async fn signal(&self, signal: i32) -> Result<(), ExecError>;

    /// SIGTERM, then after `grace` SIGKILL; waits for its end.
    async fn stop(&mut self, grace: Duration) -> Result<i32, ExecError>;
}

/// A node that many hold.
pub type SharedNode = Arc<dyn Node>;
