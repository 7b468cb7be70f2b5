//! Cases side by side: each lane has nodes of its own, and what is timed has the machine for itself.

use super::world::World;
use super::{Recorder, case, conclude, given_up, patience, raze};
use crate::record::{EngineKind, Event};
use crate::scenario::plan::{Case, Weight};
use futures_util::future::join_all;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Semaphore;

/// A case, with its number in the run.
type Numbered<'a> = (usize, &'a Case);

/// Runs all cases of one node image. With several lanes, first those that may have others beside them, as many at a time as
/// their weights leave room for; then, when the nodes of the other lanes are gone, one after the other those that may not.
pub(super) async fn run(lanes: &[World], planned: &[&Case], recorder: &Recorder) {
    let Some((first, others)) = lanes.split_first() else { return };
    let numbered = planned.iter().copied().enumerate();
    let (beside, alone): (Vec<Numbered<'_>>, Vec<Numbered<'_>>) =
        numbered.partition(|(_, case)| !others.is_empty() && case.weight != Weight::Exclusive);
    if !beside.is_empty() {
        let lanes = &lanes[..lanes.len().min(beside.len())];
        let road =
            Road { slots: Semaphore::new(lanes.len()), room: lanes.len(), queue: Mutex::new(beside.into()), recorder };
        join_all(lanes.iter().map(|world| road.drive(world))).await;
        for world in others {
            raze(world, recorder).await;
        }
    }
    if !alone.is_empty() {
        let road = Road { slots: Semaphore::new(1), room: 1, queue: Mutex::new(alone.into()), recorder };
        road.drive(first).await;
    }
}

/// What the lanes share.
struct Road<'a> {
    /// How much more may run now.
    slots: Semaphore,
    room: usize,
    /// What has not begun.
    queue: Mutex<VecDeque<Numbered<'a>>>,
    recorder: &'a Recorder,
}

impl<'a> Road<'a> {
    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<Numbered<'a>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the nodes of a lane, then takes one case after the other.
    async fn drive(&self, world: &World) {
        world.share(self.room > 1);
        let (kinds, nodes): (BTreeSet<EngineKind>, BTreeSet<String>) = {
            let waiting = self.waiting();
            let nodes = waiting.iter().flat_map(|(_, case)| case.nodes.iter().cloned());
            (waiting.iter().map(|(_, case)| case.engine).collect(), nodes.collect())
        };
        let (kinds, nodes): (Vec<_>, Vec<_>) = (kinds.into_iter().collect(), nodes.into_iter().collect());
        if let Err(failure) = world.raise(&kinds, &nodes).await {
            self.recorder.error(failure);
            return;
        }
        loop {
            let next = self.waiting().pop_front();
            let Some((number, case)) = next else { return };
            let weight = self.weight(case);
            // Whoever waits longest goes first, so that a heavy case is not passed by light ones for ever.
            let Ok(_slots) = self.slots.acquire_many(weight).await else { return };
            self.recorder.case(&case.id, Event::CaseStarted);
            let work = Box::pin(case::run(world, case, number, self.recorder));
            let ended = tokio::time::timeout(patience(case), work).await.unwrap_or_else(|_| given_up(case));
            conclude(world, case, ended, self.recorder).await;
        }
    }

    /// How much of the room a case takes: no more than there is.
    fn weight(&self, case: &Case) -> u32 {
        let room = u32::try_from(self.room).unwrap_or(u32::MAX);
        match case.weight {
            Weight::Exclusive => room,
            Weight::Of(slots) => slots.clamp(1, room),
        }
    }
}
