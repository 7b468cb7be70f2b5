//! An address that goes with its container to another node.
//!
//! The order: the source is frozen; its port is closed, so that neither its kernel nor its end says anything more to its
//! clients, whatever CRIU unlocks after the dump; the way is led to the target, which holds what comes; dump; restore,
//! and what was held is let go. A dump that leaves the source running ends CRIU's lock: with the port open, the kernel
//! would acknowledge data for the frozen source that is in no image.

use crate::clock;
use crate::engine::{ContainerSpec, Engine, EngineError, Port, Slot};
use crate::node::SharedNode;
use crate::record::{Failure, Leak, Phase};
use crate::run::case::{CaseRun, Live};
use crate::scenario::plan::Address;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// An address on its way.
pub(in crate::run) struct Moving {
    instance: String,
    into: String,
    from: Port,
    to: Port,
    late: bool,
    /// Whether its source has been cut off.
    left: bool,
    /// The node that it was led to before.
    before: Option<SharedNode>,
}

/// Makes the slot of a copy. With an address that moves, it has that and holds what is sent to it, and both ports are
/// known: none of that is downtime.
pub(super) async fn slot(
    run: &mut CaseRun<'_>,
    choice: Address,
    source: (&str, &Live),
    into: &str,
    engine: &Arc<dyn Engine>,
    spec: &ContainerSpec,
) -> Result<Slot, Failure> {
    let (instance, live) = source;
    if choice == Address::New {
        return run.await_slot(engine, spec).await;
    }
    let address = live.container.slot.address;
    let slot = run.await_slot_at(engine, spec, Some(address)).await?;
    let ports = tokio::try_join!(Port::of(&live.engine, &live.container.slot), Port::of(engine, &slot));
    let held = match ports {
        Ok((from, to)) => to.hold().await.map(|()| (from, to)),
        Err(e) => Err(e),
    };
    match held {
        Ok((from, to)) => {
            let (instance, into) = (instance.to_owned(), into.to_owned());
            let before = run.moved.get(&address).cloned();
            let late = choice == Address::MovedLate;
            run.moving = Some(Moving { instance, into, from, to, late, left: false, before });
            Ok(slot)
        }
        Err(e) => {
            run.discard(engine, &slot).await;
            Err(e.into())
        }
    }
}

/// The source is frozen: nothing comes to it or from it any more, and what is sent to its address is led to the target.
pub(super) async fn leave(run: &mut CaseRun<'_>) -> Result<(), Failure> {
    let Some(moving) = &mut run.moving else { return Ok(()) };
    let from = clock::now();
    moving.left = true;
    let (closing, late, to) = (moving.from.clone(), moving.late, moving.to.clone());
    let node = closing.node().name().to_owned();
    closing.close().await?;
    if !late {
        lead(to.node(), to.address(), true).await?;
    }
    run.tell_of_move()?;
    run.phase(Phase::Address, &node, from);
    Ok(())
}

/// The copy is there.
pub(super) async fn arrive(run: &mut CaseRun<'_>) -> Result<(), Failure> {
    let Some(moving) = &run.moving else { return Ok(()) };
    let from = clock::now();
    let (late, to) = (moving.late, moving.to.clone());
    if late {
        lead(to.node(), to.address(), true).await?;
    }
    to.release().await?;
    let node = to.node().name().to_owned();
    run.moved.insert(to.address(), Arc::clone(to.node()));
    run.moving = None;
    run.phase(Phase::Address, &node, from);
    Ok(())
}

async fn lead(node: &SharedNode, address: Ipv4Addr, here: bool) -> Result<(), Failure> {
    let (of, name) = (Arc::clone(node), node.name().to_owned());
    let led = tokio::task::spawn_blocking(move || of.lead(address, here)).await.map_err(std::io::Error::other);
    led.and_then(|done| done).map_err(|e| Failure::surroundings(format!("can't lead {address} to node {name}: {e}")))
}

impl CaseRun<'_> {
    /// Clients keep their connections; who answers is another one from here on.
    fn tell_of_move(&mut self) -> Result<(), Failure> {
        let Some(moving) = &self.moving else { return Ok(()) };
        self.clients.moved(&moving.instance, &moving.into)
    }

    /// What is on its way goes back: before its source is thawed, after a migration that failed or was given up.
    pub(in crate::run) async fn move_back(&mut self) {
        let Some(moving) = self.moving.take() else { return };
        if !moving.left {
            return;
        }
        let told = self.clients.moved(&moving.into, &moving.instance);
        let address = moving.to.address();
        let led = match &moving.before {
            Some(before) => lead(before, address, true).await,
            // Where it was not led away, there is nothing to take back.
            None => lead(moving.to.node(), address, false).await.or(Ok(())),
        };
        let opened = moving.from.open().await.map_err(|e: EngineError| Failure::from(e));
        for failure in [told, led, opened].into_iter().filter_map(Result::err) {
            self.recorder.error(failure);
        }
    }

    /// Addresses go back to their networks, when nobody has them any more.
    pub(in crate::run) async fn return_addresses(&mut self) -> Vec<Leak> {
        let mut leaks = Vec::new();
        for (address, node) in std::mem::take(&mut self.moved) {
            if let Err(e) = lead(&node, address, false).await {
                leaks.push(Leak { kind: "route".to_owned(), name: address.to_string(), reason: e.message });
            }
        }
        leaks
    }
}
