//! Images: pulled from the node's registry, by their reference. podman finds the image of a checkpointed container by its id,
//! the digest of its configuration: pulled on both nodes it is the same.

use super::call::Inner;
use super::classify::During;
use crate::engine::EngineError;

impl Inner {
    pub(super) async fn pull(&self, reference: &str) -> Result<(), EngineError> {
        // Held while it pulls: two slots of one image would do it twice.
        let mut there = self.images.lock().await;
        if there.contains(reference) {
            return Ok(());
        }
        let what = format!("can't pull image {reference} on node {}", self.node.name());
        let pull = self.podman(None).args(["pull", "--quiet", "--policy", "missing", "--retry", "0", reference]);
        self.call(pull.timeout(self.limits.pull), During::Start, &what).await?;
        there.insert(reference.to_owned());
        Ok(())
    }

    pub(super) async fn forget_image(&self, reference: &str) -> Result<(), EngineError> {
        let mut there = self.images.lock().await;
        let what = format!("can't remove image {reference} on node {}", self.node.name());
        let remove = self.podman(None).args(["rmi", "--force", "--ignore", reference]);
        self.call(remove, During::Control, &what).await?;
        there.remove(reference);
        Ok(())
    }
}
