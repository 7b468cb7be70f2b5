//! Calls that go on when the step that asked for them is over: a guarded call is never cancelled, so a step whose time is
//! up leaves it to end by itself. What comes of it then belongs to nobody, and is removed.

use super::case::{CaseRun, Live};
use crate::engine::{Arrived, Checkpoint, ContainerSpec, Engine, EngineError, Migration, Moved, Restored, Slot};
use crate::record::{ErrorClass, Failure, Leak};
use crate::run::case::Held;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long such a call may go on after the steps. One that hangs longer is left behind, and said to be.
const END: Duration = Duration::from_secs(60);

/// A call that has not come back yet.
pub(super) struct UnderWay {
    node: String,
    name: String,
    call: Call,
}

enum Call {
    Checkpoint(JoinHandle<Result<Checkpoint, EngineError>>),
    Slot(Arc<dyn Engine>, JoinHandle<Result<Slot, EngineError>>),
    Pod(Arc<dyn Engine>, JoinHandle<Result<Vec<Slot>, EngineError>>),
    Restore(Arc<dyn Engine>, JoinHandle<Result<Restored, EngineError>>),
    Migration(Arc<dyn Engine>, JoinHandle<Result<Moved, EngineError>>),
    Pages(JoinHandle<Result<Arrived, EngineError>>),
}

/// Waits for a call of its own task; the task goes on if this is given up.
macro_rules! own {
    ($run:ident, $node:expr, $name:expr, $task:expr, $call:pat => $handle:ident, $made:expr) => {{
        let task = tokio::spawn($task);
        $run.under_way.push(UnderWay { node: $node, name: $name, call: $made(task) });
        let last = $run.under_way.len() - 1;
        let $call = &mut $run.under_way[last].call else { unreachable!("pushed just now") };
        let ended = $handle.await;
        $run.under_way.truncate(last);
        match ended {
            Ok(made) => Ok(made?),
            Err(e) => Err(Failure::new(ErrorClass::Other, format!("a call of the engine broke off: {e}"))),
        }
    }};
}

impl CaseRun<'_> {
    /// Takes a checkpoint. Whoever stops waiting for it leaves it among the calls under way; so it is for the others.
    /// `last`: the container ends with it.
    pub(super) async fn await_checkpoint(
        &mut self,
        live: &Live,
        name: String,
        last: bool,
    ) -> Result<Checkpoint, Failure> {
        let (engine, container, called) = (live.engine.clone(), live.container.clone(), name.clone());
        let task = async move {
            match last {
                true => engine.checkpoint_last(&container, &called).await,
                false => engine.checkpoint(&container, &called).await,
            }
        };
        own!(self, live.node.clone(), name, task, Call::Checkpoint(call) => call, Call::Checkpoint)
    }

    /// Makes a slot. It is the case's until a container is adopted in it or it is given back.
    pub(super) async fn await_slot(&mut self, engine: &Arc<dyn Engine>, spec: &ContainerSpec) -> Result<Slot, Failure> {
        self.await_slot_at(engine, spec, None).await
    }

    /// Likewise, with an address that moves there.
    pub(super) async fn await_slot_at(
        &mut self,
        engine: &Arc<dyn Engine>,
        spec: &ContainerSpec,
        at: Option<Ipv4Addr>,
    ) -> Result<Slot, Failure> {
        let (of, wanted) = (Arc::clone(engine), spec.clone());
        let task = async move {
            match at {
                Some(address) => of.prepare_at(&wanted, address).await,
                None => of.prepare(&wanted).await,
            }
        };
        let made = |task| Call::Slot(Arc::clone(engine), task);
        let node = engine.node().name().to_owned();
        let slot: Result<Slot, Failure> = own!(self, node, spec.name.clone(), task, Call::Slot(_, call) => call, made);
        let slot = slot?;
        self.slots.push((Arc::clone(engine), slot.clone()));
        if at.is_none() && self.moved.contains_key(&slot.address) {
            let (address, node) = (slot.address, engine.node().name());
            return Err(Failure::surroundings(format!("{address} is given again on node {node}, and was moved away")));
        }
        Ok(slot)
    }

    /// Makes the slots of a pod; they are the case's likewise.
    pub(super) async fn await_pod(
        &mut self,
        engine: &Arc<dyn Engine>,
        pod: &str,
        specs: &[ContainerSpec],
    ) -> Result<Vec<Slot>, Failure> {
        let (of, name, wanted) = (Arc::clone(engine), pod.to_owned(), specs.to_owned());
        let task = async move { of.prepare_pod(&name, &wanted).await };
        let made = |task| Call::Pod(Arc::clone(engine), task);
        let node = engine.node().name().to_owned();
        let slots: Result<Vec<Slot>, Failure> =
            own!(self, node, pod.to_owned(), task, Call::Pod(_, call) => call, made);
        let slots = slots?;
        self.slots.extend(slots.iter().map(|slot| (Arc::clone(engine), slot.clone())));
        Ok(slots)
    }

    /// Restores into a slot.
    pub(super) async fn await_restore(
        &mut self,
        engine: &Arc<dyn Engine>,
        slot: &Slot,
        held: &Held,
        node: &str,
    ) -> Result<Restored, Failure> {
        let (of, slot) = (Arc::clone(engine), slot.clone());
        let (name, reference, checkpoint) = (slot.spec.name.clone(), held.reference.clone(), held.at(node).clone());
        let task = async move {
            match reference {
                Some(reference) => of.restore_image(&slot, &reference).await,
                None => of.restore(&slot, &checkpoint).await,
            }
        };
        let made = |task| Call::Restore(Arc::clone(engine), task);
        own!(self, node.to_owned(), name, task, Call::Restore(_, call) => call, made)
    }

    /// Moves a container by a strategy of its engine's own.
    pub(super) async fn await_migration(&mut self, live: &Live, what: &Migration) -> Result<Moved, Failure> {
        let (engine, migration) = (Arc::clone(&live.engine), what.clone());
        let (node, name) = (what.target.node().name().to_owned(), what.name.clone());
        let task = async move { engine.migrate_to(&migration).await };
        let made = |task| Call::Migration(Arc::clone(&what.target), task);
        own!(self, node, name, task, Call::Migration(_, call) => call, made)
    }

    /// Waits for the memory that comes after a restore.
    pub(super) async fn await_pages(
        &mut self,
        node: &str,
        name: &str,
        pages: JoinHandle<Result<Arrived, EngineError>>,
    ) -> Result<Arrived, Failure> {
        let task = async move {
            let broke = |e| EngineError::new(ErrorClass::Other, format!("waiting for memory broke off: {e}"));
            pages.await.map_err(broke)?
        };
        own!(self, node.to_owned(), name.to_owned(), task, Call::Pages(call) => call, Call::Pages)
    }

    /// Gives a slot back. What is told is an earlier error; a slot that stays is tried again when the steps are over.
    pub(super) async fn discard(&mut self, engine: &Arc<dyn Engine>, slot: &Slot) {
        if engine.discard(slot).await.is_ok() {
            self.slots.retain(|(_, s)| s.handle != slot.handle || s.spec.name != slot.spec.name);
        }
    }

    /// Puts right what steps left that were given up: waits for the calls under way and removes what they made, which
    /// nobody has; thaws the sources that were to be fenced; gives back slots. To be called when nothing is broken.
    pub(super) async fn settle(&mut self) {
        for UnderWay { node, name, call } in std::mem::take(&mut self.under_way) {
            let reason = match tokio::time::timeout(END, self.end(&node, call)).await {
                Ok(Ok(())) => continue,
                Ok(Err(reason)) => reason,
                Err(_) => format!("its call still went on {END:?} after the steps"),
            };
            self.hanging.push(Leak { kind: "call".to_owned(), name: format!("{name} on {node}"), reason });
        }
        self.move_back().await;
        for live in std::mem::take(&mut self.fenced) {
            let thawed = live.engine.thaw(&live.container).await;
            // One that ended with its dump has nothing to thaw.
            let gone = |e: &EngineError| matches!(e.class, ErrorClass::NotRunning | ErrorClass::UnknownContainer);
            if let Some(e) = thawed.err().filter(|e| !gone(e)).map(Failure::from) {
                let message = format!("can't thaw {} after its step was given up: {}", live.spec.name, e.message);
                self.recorder.error(Failure { message, ..e });
            }
        }
        for (engine, slot) in std::mem::take(&mut self.slots) {
            if let Err(e) = engine.discard(&slot).await {
                let name = format!("{} on {}", slot.spec.name, engine.node().name());
                self.hanging.push(Leak { kind: "slot".to_owned(), name, reason: e.message });
            }
        }
    }

    async fn unwanted(&mut self, engine: &Arc<dyn Engine>, copy: &Restored) -> Result<(), String> {
        let of = &copy.container.slot;
        self.slots.retain(|(_, s)| s.handle != of.handle || s.spec.name != of.spec.name);
        engine.remove(&copy.container).await.map_err(|e| e.message)
    }

    /// Waits for a call, and removes what it made. One that failed has put everything back.
    async fn end(&mut self, node: &str, call: Call) -> Result<(), String> {
        match call {
            Call::Checkpoint(call) => match call.await {
                Ok(Ok(made)) => self.world.remove_path(node, &made.path, !made.archive).map_err(|e| e.to_string()),
                _ => Ok(()),
            },
            Call::Slot(engine, call) => {
                if let Ok(Ok(slot)) = call.await {
                    self.slots.push((engine, slot));
                }
                Ok(())
            }
            Call::Pod(engine, call) => {
                if let Ok(Ok(slots)) = call.await {
                    self.slots.extend(slots.into_iter().map(|slot| (Arc::clone(&engine), slot)));
                }
                Ok(())
            }
            Call::Restore(engine, call) => match call.await {
                Ok(Ok(restored)) => self.unwanted(&engine, &restored).await,
                _ => Ok(()),
            },
            Call::Migration(engine, call) => match call.await {
                Ok(Ok(moved)) => {
                    let removed = self.unwanted(&engine, &moved.restored).await;
                    if let Some(pages) = moved.pages {
                        // Nobody wants them any more; that they ended is all that counts.
                        let _ = pages.await;
                    }
                    let images = moved.images.map(|i| self.world.remove_path(node, &i.path, !i.archive));
                    removed.and(images.unwrap_or(Ok(())).map_err(|e| e.to_string()))
                }
                _ => Ok(()),
            },
            Call::Pages(call) => {
                let _ = call.await;
                Ok(())
            }
        }
    }
}
