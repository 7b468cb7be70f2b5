//! What can be broken on a node, and its mending. One file a kind, and one line in [`of`].
//!
//! A fault is put among those in force before it strikes, so that it is mended whatever happens to who laid it; mending
//! what did not strike is no error. What is broken lies inside of the node (its mounts, its control groups, its end of a
//! cable), so that it is gone with the node when the harness dies; the folder that the nodes share goes with the run.

mod call;
mod corrupt;
mod criu;
mod disk;
mod image;
mod kill;
mod link;
mod memory;
mod pause;
mod port;
mod stage;
mod wrapper;

pub(crate) use image::Shelf;
pub(crate) use stage::{Gate, Moment};
pub(crate) use wrapper::Wrapper;

use crate::engine::Engine;
use crate::record::Failure;
use crate::scenario::plan::{self, FaultKind, Role};
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// Something that can be broken and mended.
#[async_trait]
pub(crate) trait Fault: Send + Sync {
    /// Breaks it. What was done is known to [`Fault::mend`] also when this is given up in its middle.
    async fn strike(&self) -> Result<(), Failure>;

    /// Mends it; again, or unbroken, is no error.
    async fn mend(&self) -> Result<(), Failure>;

    /// That it had an effect, for faults that wait for something to happen to: `Err` says what did not happen.
    async fn effect(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// What a fault is laid on.
pub(crate) struct Ground {
    /// The engine of the fault's node.
    pub(crate) engine: Arc<dyn Engine>,
    /// All engines of that node.
    pub(crate) engines: Vec<Arc<dyn Engine>>,
    /// The first process of the instance that it is about, by its id in the node. Asked for before anything is broken or
    /// held: an engine that is in the middle of a call may not answer.
    pub(crate) victim: Option<u32>,
    /// The checkpoint that it is about, on the host.
    pub(crate) checkpoint: Option<PathBuf>,
    /// The name of the container that the fault's step makes.
    pub(crate) newcomer: Option<String>,
    /// What the node's registry serves, for a fault in that.
    pub(crate) shelf: Option<Shelf>,
    /// The node's wrapper of the OCI runtime, for a fault in one of its calls.
    pub(crate) wrapper: Option<Arc<Wrapper>>,
    /// Whether the stage that the fault is tied to is held until the fault is there.
    pub(crate) held: bool,
    /// Turns true when the step that the fault is tied to is over: nothing more will come that it could wait for.
    pub(crate) over: watch::Receiver<bool>,
}

/// Whether this fault needs [`Ground::wrapper`].
pub(crate) fn needs_wrapper(fault: &plan::Fault) -> bool {
    matches!(fault.kind, FaultKind::RuntimeCall { .. })
}

/// The fault of a kind.
pub(crate) fn of(kind: &FaultKind, ground: Ground) -> Result<Arc<dyn Fault>, Failure> {
    let lacks = |what: &str| Failure::surroundings(format!("a fault was laid without {what}"));
    let node = Arc::clone(ground.engine.node());
    Ok(match kind {
        // A CRIU that dumps can't be caught at work each time: it has its parasite in the process 3 ms after it has seized
        // it, and the process does not survive CRIU's death then (criu 4.2.1).
        FaultKind::Kill { role: Role::Criu, .. } if ground.held && ground.victim.is_some() => {
            Arc::new(criu::Criu::dying(node))
        }
        FaultKind::Kill { role, bare, .. } => Arc::new(kill::Kill::new(*role, *bare, ground)),
        FaultKind::Pause => Arc::new(pause::Pause::new(node)),
        FaultKind::Link(how) => Arc::new(link::LinkState::new(node, *how)),
        FaultKind::Disk { of, leave } => Arc::new(disk::Disk::new(&ground.engine, *of, *leave)),
        FaultKind::Corrupt { .. } => {
            Arc::new(corrupt::Corrupt::new(ground.checkpoint.ok_or_else(|| lacks("its checkpoint"))?))
        }
        FaultKind::Memory { leave } => Arc::new(memory::Memory::new(node, ground.engines, *leave)),
        FaultKind::Criu(how) => Arc::new(criu::Criu::new(node, *how)),
        FaultKind::Port(port) => {
            let newcomer = ground.newcomer.ok_or_else(|| lacks("a step that makes a container"))?;
            Arc::new(port::Port::new(ground.engine, *port, newcomer))
        }
        FaultKind::Image { how, .. } => {
            let shelf = ground.shelf.ok_or_else(|| lacks("the registry's images"))?;
            Arc::new(image::BaseImage::new(ground.engine, shelf, *how))
        }
        FaultKind::RuntimeCall { call, how } => {
            let wrapper = ground.wrapper.ok_or_else(|| lacks("the wrapper of the runtime"))?;
            Arc::new(call::Call::new(wrapper, *call, *how))
        }
    })
}

/// The error of a fault that found nothing to break.
pub(crate) fn never_struck(why: impl std::fmt::Display) -> Failure {
    Failure::surroundings(format!("the fault never struck: {why}"))
}

/// A fault that could not be laid or mended.
fn failed(doing: impl std::fmt::Display, why: impl std::fmt::Display) -> Failure {
    Failure::surroundings(format!("can't {doing}: {why}"))
}

/// Runs what blocks off the async threads.
async fn blocking<T: Send + 'static>(
    doing: String,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|e| failed(doing, e)),
        Err(e) => Err(failed(doing, e)),
    }
}
