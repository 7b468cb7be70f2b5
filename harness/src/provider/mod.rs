//! Providers make nodes.

pub mod existing;
pub mod kind;
pub mod local;

use crate::client::Vantage;
use crate::cluster::Cluster;
use crate::node::SharedNode;
use crate::record::Failure;
use async_trait::async_trait;
use std::sync::Arc;

/// Makes nodes and takes them down.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Makes a node of this name and waits until it can run programs.
    async fn node(&self, name: &str) -> Result<SharedNode, Failure>;

    /// Takes a node down and makes it anew, as a machine that is switched off and on again: what is on its disk (`/data`)
    /// is there, its address is the same, and all else is gone: processes, mounts, network, memory-backed files.
    async fn restart(&self, name: &str) -> Result<SharedNode, Failure>;

    /// Takes a node down with all that it holds; gone already is no error.
    async fn down(&self, name: &str) -> Result<(), Failure>;

    /// Where clients stand.
    fn vantage(&self) -> Vantage;

    /// The cluster that its nodes belong to, once they are made; `None`: they belong to none, and may join one.
    async fn cluster(&self) -> Result<Option<Arc<Cluster>>, Failure> {
        Ok(None)
    }

    /// Why its nodes can't be broken, restarted or given limits, if they can't: somebody else's programs run them.
    fn foreign(&self) -> Option<&'static str> {
        None
    }
}
