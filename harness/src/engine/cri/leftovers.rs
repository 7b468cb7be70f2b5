//! What is still there of sandboxes and containers.

use super::Inner;
use crate::engine::EngineError;
use crate::engine::cri_api::Served;

impl Inner {
    pub(super) async fn left(&self) -> Result<Vec<String>, EngineError> {
        let mut left = self.listed().await?;
        left.extend(self.containerd.left().await?);
        Ok(left)
    }
}
