//! Carrying checkpoints through the network of the nodes.

use super::carry::{Carried, blocking, digest, discarded, place};
use super::case::Held;
use super::world::World;
use crate::archive::{self, ArchiveError, Form};
use crate::engine::Checkpoint;
use crate::node::SharedNode;
use crate::record::Failure;
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::Duration;

/// How long nothing may come or go before the link is taken to be broken. TCP on a slow link sends again after 0.2 s, and
/// after twice that.
const STALL: Duration = Duration::from_secs(2);

/// Carries a checkpoint by TCP from one node's network namespace to the other's, into `folder` there; held to its digest
/// as any other.
pub(super) async fn carry(world: &World, held: &mut Held, to: &str, folder: &Path) -> Result<Carried, Failure> {
    let source = held.nodes[0].clone();
    let node = |name: &str| world.node(name).ok_or_else(|| Failure::surroundings(format!("node {name} is gone")));
    let (sender, receiver) = (node(&source)?, node(to)?);
    let file = held.checkpoint.path.file_name().unwrap_or_default();
    let there = Checkpoint { path: folder.join(file), shared: false, ..held.checkpoint.clone() };
    let (from, target) = (place(world, &source, &held.checkpoint)?, place(world, to, &there)?);
    let form = there.form();
    let sent = match &held.known {
        Some(known) => known.digest.clone(),
        None => digest(world, &source, &held.checkpoint).await?.digest,
    };
    let nodes = [source.as_str(), to];
    let carried = blocking(world, &nodes, move || {
        through((&sender, &from), (&receiver, &target), form)?;
        archive::digest(&target)
    });
    let (bytes, digest) = carried.await?;
    if sent != digest {
        return Err(discarded(world, &there, to, &sent, &digest));
    }
    held.elsewhere.insert(to.to_owned(), there);
    Ok(Carried { bytes, digest })
}

/// Sends what lies at the one place and receives it at the other; on an error nothing is left there.
fn through(source: (&SharedNode, &Path), target: (&SharedNode, &Path), form: Form) -> Result<(), ArchiveError> {
    let ((sender, from), (receiver, to)) = (source, target);
    let link = |e| ArchiveError::of_link("send", from, e);
    let listener = receiver.listen((receiver.address(), 0).into()).map_err(link)?;
    let at = listener.local_addr().map_err(link)?;
    // Not accepted before it is connected: then nobody waits for who never comes.
    let out = sender.connect(at, STALL).and_then(stalls).map_err(link)?;
    let inward = listener.accept().and_then(|(inward, _)| stalls(inward)).map_err(link)?;
    let wake = out.try_clone().map_err(link)?;
    std::thread::scope(|threads| {
        let arriving = threads.spawn(move || {
            // The sender would wait for an answer that cannot come.
            archive::receive(inward, to, form).inspect_err(|_| drop(wake.shutdown(Shutdown::Both)))
        });
        let sent = archive::send(from, &out);
        // Its end; whether that was all, a digest tells. (Not by dropping it: `wake` is the same socket.)
        drop(out.shutdown(Shutdown::Write));
        // The receiver's error is the cause where there are two: a full disk there resets the connection here.
        arriving.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        sent.inspect_err(|_| drop(remove(to)))
    })
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

fn stalls(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_read_timeout(Some(STALL))?;
    stream.set_write_timeout(Some(STALL))?;
    Ok(stream)
}
