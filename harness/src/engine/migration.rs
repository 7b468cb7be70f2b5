//! Migrations that are an engine's own: no checkpoint, transfer and restore one after the other.

use super::{Checkpoint, Container, Engine, EngineError, Restored, Slot};
use crate::clock;
use crate::record::{At, Phase, Strategy};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// Strategies that an engine has of its own, each with whether it can do it on this node, or why not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strategies(BTreeMap<Strategy, Result<(), String>>);

impl Strategies {
    /// The same, with what was found out of one strategy.
    #[must_use]
    pub fn with(mut self, strategy: Strategy, able: Result<(), String>) -> Self {
        self.0.insert(strategy, able);
        self
    }

    /// Whether it can, or why not.
    ///
    /// # Errors
    /// The reason why it cannot.
    pub fn of(&self, strategy: Strategy) -> Result<(), String> {
        // Composed of a checkpoint and a restore, which are asked for by themselves.
        let none = || if strategy.composed() { Ok(()) } else { Err("it has no migration of this kind".to_owned()) };
        self.0.get(&strategy).cloned().unwrap_or_else(none)
    }
}

/// A container that is to move, for [`Engine::migrate_to`].
#[derive(Clone)]
pub struct Migration {
    /// How.
    pub strategy: Strategy,
    /// Unique on both nodes: what is written on the way is named so.
    pub name: String,
    /// The container, on the engine's own node. It runs.
    pub container: Container,
    /// The engine of the same kind on the other node; [`target_of`] gives it by its type.
    pub target: Arc<dyn Engine>,
    /// Where it is to live there.
    pub slot: Slot,
    /// Takes what is timed.
    pub timed: Timed,
}

/// What came of it: the copy runs, and the source never goes on.
pub struct Moved {
    /// The copy.
    pub restored: Restored,
    /// Bytes of state that were copied or sent from node to node up to here; 0 if they were written where they are read.
    pub moved: u64,
    /// Images that were left on the target's node, or where both see them: they are digested, and removed with the case.
    pub images: Option<Checkpoint>,
    /// Memory that comes after the restore. The task ends by itself, whether or not anybody waits for it.
    pub pages: Option<JoinHandle<Result<Arrived, EngineError>>>,
}

/// All memory of the copy is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Since when.
    pub at: At,
    /// Bytes that were sent after the restore.
    pub moved: u64,
}

/// A phase on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedPhase {
    /// Which.
    pub phase: Phase,
    /// Where.
    pub node: String,
    /// From.
    pub from: At,
    /// To.
    pub to: At,
}

/// The phases of a migration as they end; its clones write to the same list.
#[derive(Clone, Debug, Default)]
pub struct Timed(Arc<Mutex<Vec<TimedPhase>>>);

impl Timed {
    /// A phase that ends now.
    pub fn ends(&self, phase: Phase, node: &str, from: At) {
        self.span(phase, node, from, clock::now());
    }

    /// A phase that has ended.
    pub fn span(&self, phase: Phase, node: &str, from: At, to: At) {
        let timed = TimedPhase { phase, node: node.to_owned(), from, to };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(timed);
    }

    /// What has ended so far, once.
    pub fn take(&self) -> Vec<TimedPhase> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The engine on the other node, by its own type. `None`: it is of another kind, or wrapped.
pub fn target_of<E: Engine>(migration: &Migration) -> Option<&E> {
    let target: &dyn std::any::Any = &*migration.target;
    target.downcast_ref()
}
