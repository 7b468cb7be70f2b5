//! Carrying checkpoints from node to node, and looking at them before anything is restored from them.

use super::case::Held;
use super::world::World;
use crate::archive::{self, ArchiveError};
use crate::engine::Checkpoint;
use crate::record::{Chain, ErrorClass, Failure};
use crate::scenario::plan::Damage;
use std::path::{Path, PathBuf};

/// What a checkpoint is: size and digest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried {
    pub(crate) bytes: u64,
    pub(crate) digest: String,
}

/// Bytes and digest of a checkpoint where it lies.
pub(super) async fn digest(world: &World, node: &str, checkpoint: &Checkpoint) -> Result<Carried, Failure> {
    let path = place(world, node, checkpoint)?;
    let (bytes, digest) = blocking(world, &[node], move || archive::digest(&path)).await?;
    Ok(Carried { bytes, digest })
}

/// Copies a checkpoint to another node, and reads it again there: it must have the digest that it had when it was
/// taken, if that is known, else the one that it has at its source now. Both digests are taken side by side.
pub(crate) async fn carry(world: &World, held: &Held, to: &str) -> Result<Carried, Failure> {
    if held.checkpoint.shared {
        return Ok(Carried { bytes: 0, ..held.known.clone().unwrap_or_default() });
    }
    let from = place(world, &held.nodes[0], &held.checkpoint)?;
    let target = place(world, to, &held.checkpoint)?;
    let source = from.clone();
    let known = held.known.clone();
    let nodes = [held.nodes[0].as_str(), to];
    let at_source = async {
        match known {
            Some(known) => Ok(known.digest),
            None => blocking(world, &nodes, move || archive::digest(&source)).await.map(|(_, digest)| digest),
        }
    };
    let at_target = blocking(world, &nodes, move || {
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(|e| ArchiveError::io("write", parent, e))?;
        }
        archive::copy(&from, &target)?;
        archive::digest(&target)
    });
    let (sent, arrived) = tokio::join!(at_source, at_target);
    let (sent, (bytes, digest)) = (sent?, arrived?);
    if sent != digest {
        return Err(discarded(world, &held.checkpoint, to, &sent, &digest));
    }
    Ok(Carried { bytes, digest })
}

/// Looks at a checkpoint before a restore: its structure, then its digest, where that is known. Structure first, since
/// it says what is wrong where a digest only says that something is.
pub(super) async fn verify(world: &World, held: &Held, node: &str) -> Result<(), Failure> {
    let there = held.at(node);
    verify_structure(world, node, there).await?;
    let Some(Carried { digest: known, .. }) = &held.known else { return Ok(()) };
    let seen = digest(world, node, there).await?.digest;
    if *known != seen {
        return Err(mismatch(there, node, known, &seen));
    }
    Ok(())
}

/// Looks at the structure alone: entries, escaping paths, pages images of the length that their maps tell. CRIU 4.2
/// spins for ever on a pages image that is cut.
pub(super) async fn verify_structure(world: &World, node: &str, checkpoint: &Checkpoint) -> Result<(), Failure> {
    let path = place(world, node, checkpoint)?;
    let form = checkpoint.form();
    blocking(world, &[node], move || archive::verify(&path, form)).await
}

/// Makes a damaged copy beside the checkpoint.
pub(super) async fn tamper(world: &World, held: &Held, bad: &Held, damage: &Damage) -> Result<(), Failure> {
    let from = place(world, &held.nodes[0], &held.checkpoint)?;
    let to = place(world, &bad.nodes[0], &bad.checkpoint)?;
    let damage = damage.clone();
    blocking(world, &[&held.nodes[0]], move || archive::tamper(&from, &to, &damage)).await
}

/// Puts a checkpoint into the store as a checkpoint image, from where every node can pull it; gives its reference.
pub(super) async fn publish(world: &World, held: &Held) -> Result<String, Failure> {
    let path = place(world, &held.nodes[0], &held.checkpoint)?;
    let store = std::sync::Arc::clone(world.store());
    let (container, name) = (held.spec.name.clone(), held.checkpoint.name.clone());
    let made =
        tokio::task::spawn_blocking(move || crate::image::checkpoint_image(&store, &path, &container, &name)).await;
    match made {
        Ok(Ok(image)) => Ok(image.reference),
        Ok(Err(e)) => Err(Failure { class: e.class(), message: Chain(&e).to_string(), hint: None, log: Vec::new() }),
        Err(e) => Err(Failure::surroundings(format!("making a checkpoint image of {}: {e}", held.checkpoint.name))),
    }
}

pub(super) fn place(world: &World, node: &str, checkpoint: &Checkpoint) -> Result<PathBuf, Failure> {
    world.host_path(node, &checkpoint.path).ok_or_else(|| Failure::surroundings(format!("node {node} is gone")))
}

/// Where something lies, as users know it: inside its node. The path on the host names a process that is gone tomorrow.
fn inside(world: &World, node: &str, message: &str) -> String {
    match world.host_path(node, Path::new("/")) {
        Some(root) => message.replace(root.to_string_lossy().trim_end_matches('/'), &format!("{node}:")),
        None => message.to_owned(),
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    world: &World,
    nodes: &[&str],
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(e)) => {
            let message = nodes.iter().fold(Chain(&e).to_string(), |message, node| inside(world, node, &message));
            Err(Failure { class: e.class(), message, hint: None, log: Vec::new() })
        }
        Err(e) => Err(Failure::surroundings(format!("reading a checkpoint: {e}"))),
    }
}

/// What did not arrive whole is removed: nobody may take it for what was sent.
pub(super) fn discarded(world: &World, checkpoint: &Checkpoint, node: &str, sent: &str, seen: &str) -> Failure {
    let mut failure = mismatch(checkpoint, node, sent, seen);
    if let Err(e) = world.remove_path(node, &checkpoint.path, !checkpoint.archive) {
        failure.log.push(format!("what arrived can't be removed: {e}"));
    }
    failure
}

fn mismatch(checkpoint: &Checkpoint, node: &str, sent: &str, seen: &str) -> Failure {
    Failure {
        class: ErrorClass::DigestMismatch,
        message: format!("checkpoint {} on node {node} is not what was taken: {seen}, not {sent}", checkpoint.name),
        hint: Some("it was changed after it was taken, or harmed on the way: carry it again".to_owned()),
        log: Vec::new(),
    }
}
