//! Providers make nodes.

pub mod containers;
pub mod existing;
pub mod hierarchies;
pub mod kind;
pub mod local;
pub mod minikube;
mod together;

use crate::client::Vantage;
use crate::cluster::Cluster;
use crate::node::SharedNode;
use crate::record::{CaseId, Failure};
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;

/// Why nodes are needed no more.
#[derive(Clone, Copy, Debug)]
pub enum Ending<'a> {
    /// This case did not pass on them.
    NotPassed(&'a CaseId),
    /// All cases have ended, and what they made is gone.
    Done,
}

/// Makes nodes and takes them down.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Makes a node of this name and waits until it can run programs.
    async fn node(&self, name: &str) -> Result<SharedNode, Failure>;

    /// Takes a node down and makes it anew, as a machine that is switched off and on again: what is on its disk (`/data`)
    /// is there, its address is the same, and all else is gone: processes, mounts, network, memory-backed files.
    ///
    /// # Errors
    /// It does not come up again, or is not podferry's own.
    async fn restart(&self, name: &str) -> Result<SharedNode, Failure> {
        let why = self.foreign().unwrap_or("what makes it can't");
        Err(Failure::surroundings(format!("can't restart node {name}: {why}")))
    }

    /// Takes a node down with all that it holds; gone already is no error.
    async fn down(&self, name: &str) -> Result<(), Failure>;

    /// Where clients stand.
    fn vantage(&self) -> Vantage;

    /// The cluster that its nodes belong to, once they are made; `None`: they belong to none, and may join one.
    async fn cluster(&self) -> Result<Option<Arc<Cluster>>, Failure> {
        Ok(None)
    }

    /// Leaves all nodes with their cluster as they are, in the place of taking them down, if it was told to: what a person
    /// needs to reach them. `None`: they are to be taken down.
    async fn leave(&self, _ending: Ending<'_>) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    /// Whether it would leave the nodes on which a case did not pass: then what the case made stays too.
    async fn keeps_failed(&self) -> bool {
        false
    }

    /// Keeps what its nodes said beside what engines keep, or those said that could not be made: each in a folder of its own
    /// below `into`, on the host.
    async fn collect_logs(&self, _into: &Path) -> Result<(), Failure> {
        Ok(())
    }

    /// Why its nodes can't be broken, restarted or given limits, if they can't: somebody else's programs run them.
    fn foreign(&self) -> Option<&'static str> {
        None
    }
}
