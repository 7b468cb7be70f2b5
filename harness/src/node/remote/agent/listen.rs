//! Sockets that listen on the node, for who listens at the harness.

use super::{carry, tell};
use crate::node::fabric::on_own_thread;
use crate::node::remote::frame::{self, Tag};
use crate::node::remote::line::{Opener, Stream};
use crate::node::remote::protocol::Accepted;
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// Listens until the stream ends. `network`: another network namespace than the node's own.
pub(super) async fn listen(
    mut stream: Stream,
    opener: Opener,
    number: u64,
    network: Option<PathBuf>,
    address: SocketAddr,
) -> io::Result<()> {
    let bound = tokio::task::spawn_blocking(move || bind(network, address)).await.map_err(io::Error::other)?;
    let listener = match bound.and_then(TcpListener::from_std) {
        Ok(listener) => listener,
        Err(e) => return tell::<SocketAddr>(&mut stream, Err(e)).await,
    };
    tell(&mut stream, listener.local_addr()).await?;
    let mut byte = [0];
    loop {
        tokio::select! {
            // Nothing is said on it: this is its end.
            _ = stream.read(&mut byte) => return Ok(()),
            accepted = listener.accept() => {
                let (socket, _) = accepted?;
                let opener = opener.clone();
                tokio::spawn(async move {
                    socket.set_nodelay(true)?;
                    let mut stream = opener.open().await?;
                    frame::write_json(&mut stream, Tag::Call, &Accepted { number }).await?;
                    carry(socket, stream).await;
                    io::Result::Ok(())
                });
            }
        }
    }
}

fn bind(network: Option<PathBuf>, address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = match network {
        None => std::net::TcpListener::bind(address)?,
        Some(path) => {
            let network = File::open(path)?;
            on_own_thread(|| {
                setns(network, CloneFlags::CLONE_NEWNET)?;
                std::net::TcpListener::bind(address)
            })?
        }
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}
