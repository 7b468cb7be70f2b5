use super::{Address, Given, Medium, Over};
use crate::record::{SourceFate, Strategy};

/// A migration: an instance moves to another node, and its clients with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Migrate {
    /// The instance.
    pub instance: String,
    /// Where to.
    pub to: String,
    /// The new instance's name; `NAME-moved` if none is given.
    pub into: String,
    /// How its state gets there. `None`: checkpoint, transfer and restore, with a source of [`Migrate::source`].
    pub strategy: Option<Strategy>,
    /// What becomes of the source.
    pub source: SourceFate,
    /// How the checkpoint is kept.
    pub medium: Medium,
    /// What the new container is given.
    pub given: Given,
    /// By which way it is carried.
    pub over: Over,
    /// What becomes of its address.
    pub address: Address,
}

impl Migrate {
    /// The strategy, if it is an engine's own.
    pub fn of_engine(&self) -> Option<Strategy> {
        self.strategy.filter(|s| !s.composed())
    }
}
