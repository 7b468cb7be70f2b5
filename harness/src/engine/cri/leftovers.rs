//! What is still there of sandboxes and containers.

use super::Inner;
use super::generated::runtime::v1 as cri;
use crate::engine::EngineError;
use crate::engine::containerd::classify::During;
use crate::engine::containerd::{short, tasks};

impl Inner {
    pub(super) async fn left(&self) -> Result<Vec<String>, EngineError> {
        let mut runtime = self.client.runtime.clone();
        let list = runtime.list_containers(cri::ListContainersRequest::default());
        let containers = self.call(During::Control, "list containers", tasks::LIMIT, list).await?.containers;
        let mut runtime = self.client.runtime.clone();
        let list = runtime.list_pod_sandbox(cri::ListPodSandboxRequest::default());
        let sandboxes = self.call(During::Control, "list sandboxes", tasks::LIMIT, list).await?.items;
        let mut left: Vec<String> = containers
            .into_iter()
            .map(|c| format!("container {} ({})", c.metadata.unwrap_or_default().name, short(&c.id)))
            .chain(
                sandboxes
                    .into_iter()
                    .map(|s| format!("sandbox {} ({})", s.metadata.unwrap_or_default().name, short(&s.id))),
            )
            .collect();
        left.extend(self.containerd.left().await?);
        Ok(left)
    }
}
