//! What is still there of sandboxes and containers.

use super::Inner;
use crate::engine::EngineError;
use crate::engine::cri_api::Served;
use crate::engine::group;
use crate::node::CONTAINERS;

impl Inner {
    pub(super) async fn left(&self) -> Result<Vec<String>, EngineError> {
        let mut left = self.listed().await?;
        let groups = group::below(&self.node, CONTAINERS, &format!("{}.", self.kind));
        left.extend(groups.into_iter().map(|name| format!("control group {name}")));
        left.extend(self.containerd.left().await?);
        Ok(left)
    }
}
