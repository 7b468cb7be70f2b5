use super::{Fault, blocking};
use crate::node::SharedNode;
use crate::record::Failure;
use async_trait::async_trait;
use std::sync::Arc;

/// A node that stands still.
pub(super) struct Pause(SharedNode);

impl Pause {
    pub(super) fn new(node: SharedNode) -> Self {
        Pause(node)
    }

    async fn set(&self, paused: bool) -> Result<(), Failure> {
        let node = Arc::clone(&self.0);
        let doing = format!("{} node {}", if paused { "pause" } else { "let go on" }, node.name());
        blocking(doing, move || node.set_paused(paused)).await
    }
}

#[async_trait]
impl Fault for Pause {
    async fn strike(&self) -> Result<(), Failure> {
        self.set(true).await
    }

    async fn mend(&self) -> Result<(), Failure> {
        self.set(false).await
    }
}
