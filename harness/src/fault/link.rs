use super::{Fault, blocking};
use crate::node::{Link, SharedNode};
use crate::record::Failure;
use crate::scenario::plan::LinkFault;
use async_trait::async_trait;
use std::sync::Arc;

/// A cable that is cut or slow. Of two faults on one cable the later counts, and the first that is mended mends both.
pub(super) struct LinkState {
    node: SharedNode,
    how: LinkFault,
}

impl LinkState {
    pub(super) fn new(node: SharedNode, how: LinkFault) -> Self {
        LinkState { node, how }
    }

    async fn set(&self, link: Link) -> Result<(), Failure> {
        let node = Arc::clone(&self.node);
        blocking(format!("change the link of node {}", node.name()), move || node.set_link(link)).await
    }
}

#[async_trait]
impl Fault for LinkState {
    async fn strike(&self) -> Result<(), Failure> {
        self.set(match self.how {
            LinkFault::Cut => Link::Cut,
            LinkFault::Slow(rate) => Link::Slow(rate),
        })
        .await
    }

    async fn mend(&self) -> Result<(), Failure> {
        self.set(Link::Whole).await
    }
}
