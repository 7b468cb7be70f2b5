//! A port of this machine's loopback that leads to a port inside the nodes' network, which has no way out of its own.

use crate::node::SharedNode;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// A connection inside of one machine is there at once, or refused.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// It ends, with its connections, when this is dropped.
pub(super) struct Relay {
    address: SocketAddr,
    task: AbortHandle,
}

impl Relay {
    /// Listens, and leads each connection to `target` as it is seen from `node`. Needs a tokio runtime.
    pub(super) fn to(node: SharedNode, target: SocketAddr) -> io::Result<Relay> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let task = tokio::spawn(serve(listener, node, target)).abort_handle();
        Ok(Relay { address, task })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, node: SharedNode, target: SocketAddr) {
    // Dropped with this task, and its connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let node = Arc::clone(&node);
                // A client sees an end of its connection: it says more than this could.
                connections.spawn(async move { drop(lead(stream, node, target).await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn lead(mut from: TcpStream, node: SharedNode, target: SocketAddr) -> io::Result<()> {
    let to = tokio::task::spawn_blocking(move || node.connect(target, CONNECT)).await.map_err(io::Error::other)??;
    to.set_nonblocking(true)?;
    let mut to = TcpStream::from_std(to)?;
    from.set_nodelay(true)?;
    to.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut from, &mut to).await.map(drop)
}
