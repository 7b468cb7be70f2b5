//! Reaching into a node from outside, by the process of its that podferry knows.

use super::fabric::on_own_thread;
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The path on the host of a path in the node. `ended`: its name, if it has ended.
pub(super) fn host_path(pid: u32, ended: Option<&str>, inside: &Path) -> PathBuf {
    let inside = inside.strip_prefix("/").unwrap_or(inside);
    match ended {
        None => Path::new(&format!("/proc/{pid}/root")).join(inside),
        // The process id may be another's now. Nothing can be below a device.
        Some(name) => Path::new("/dev/null").join(format!("node-{name}-has-ended")).join(inside),
    }
}

/// Listens in a network namespace, by its path on the host.
pub(super) fn listen(network: &Path, address: SocketAddr) -> io::Result<TcpListener> {
    let network = File::open(network)?;
    on_own_thread(|| {
        setns(network, CloneFlags::CLONE_NEWNET)?;
        TcpListener::bind(address)
    })
}

/// Opens a connection from a network namespace. Blocks.
pub(super) fn connect(network: &Path, to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let network = File::open(network)?;
    on_own_thread(|| {
        setns(network, CloneFlags::CLONE_NEWNET)?;
        TcpStream::connect_timeout(&to, limit)
    })
}
