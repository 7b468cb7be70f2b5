//! From an engine's kind to the engine, by the table in `record/engines.rs`.

use super::{Engine, EngineError, cri, crio, ctr, docker, podman, runc};
use crate::cluster::Cluster;
use crate::image::Image;
use crate::node::SharedNode;
use crate::record::{EngineKind, ErrorClass, engine_table};
use async_trait::async_trait;
use std::sync::Arc;

/// What engines get from those who have them made, and only if they ask for it.
#[async_trait]
pub trait Supplies: Send + Sync {
    /// The image of a sandbox's own container: any that waits for ever. The node's registry serves it.
    async fn pause(&self) -> Result<Arc<Image>, EngineError>;

    /// The Kubernetes cluster that the nodes are to join. By default there is none.
    async fn cluster(&self) -> Result<Arc<Cluster>, EngineError> {
        Err(no_cluster())
    }
}

/// Supplies that are there already.
pub struct Supplied {
    /// The image of a sandbox's own container.
    pub pause: Arc<Image>,
    /// The cluster that the nodes are to join.
    pub cluster: Arc<Cluster>,
}

#[async_trait]
impl Supplies for Supplied {
    async fn pause(&self) -> Result<Arc<Image>, EngineError> {
        Ok(Arc::clone(&self.pause))
    }

    async fn cluster(&self) -> Result<Arc<Cluster>, EngineError> {
        Ok(Arc::clone(&self.cluster))
    }
}

/// What is said where there is no cluster.
pub fn no_cluster() -> EngineError {
    EngineError::new(ErrorClass::Unsupported, "there is no Kubernetes cluster").hint("make one by `--kubernetes 1.36`")
}

macro_rules! connect_by_kind {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $($connect:ident)::+;)*) => {
        /// Makes an engine ready on a node: its daemon is started, what it can do is asked. The node's registry must be up.
        ///
        /// # Errors
        /// `Unsupported` if the node has no such engine, with a hint how it could come by one; anything else is a failure.
        pub async fn connect(
            kind: EngineKind,
            node: SharedNode,
            supplies: &dyn Supplies,
        ) -> Result<Arc<dyn Engine>, EngineError> {
            match kind {
                $(EngineKind::$kind => $($connect)::+(kind, node, supplies).await,)*
            }
        }
    };
}
engine_table!(connect_by_kind);
