//! What CRI has no word for, by containerd's own tasks service.

use super::Inner;
use crate::engine::containerd::classify::{self, During};
use crate::engine::{Container, EngineError};
use crate::record::ErrorClass;
use tonic::Status;

impl Inner {
    /// The first process of a container, by its id in the node.
    pub(super) async fn first_process(&self, container: &Container) -> Result<Option<u32>, EngineError> {
        self.task_pid(&container.id, &format!("look for the process of container {}", container.slot.spec.name)).await
    }

    /// The network of a sandbox, by the name of the container that lives or is to live in it: that of its own process.
    pub(super) async fn network(&self, name: &str) -> Result<std::path::PathBuf, EngineError> {
        let named = |config: &super::PodSandboxConfig| config.metadata.as_ref().is_some_and(|m| m.name == name);
        let sandbox = {
            let state = self.state();
            state.sandboxes.iter().find(|(_, config)| named(config)).map(|(id, _)| id.clone())
        };
        let none = || {
            let message = format!("there is no sandbox for a container {name} on node {}", self.node.name());
            EngineError::new(ErrorClass::UnknownContainer, message)
        };
        let what = format!("look for the sandbox of container {name}");
        let pid = self.task_pid(&sandbox.ok_or_else(none)?, &what).await?.ok_or_else(none)?;
        Ok(std::path::PathBuf::from(format!("/proc/{pid}/ns/net")))
    }

    pub(super) async fn freeze(&self, container: &Container) -> Result<(), EngineError> {
        match self.freeze_task(&container.id).await {
            Ok(()) => Ok(()),
            Err(status) => Err(self.control_error("freeze", container, &status).await),
        }
    }

    pub(super) async fn thaw(&self, container: &Container) -> Result<(), EngineError> {
        match self.thaw_task(&container.id).await {
            Ok(()) => Ok(()),
            Err(status) => Err(self.control_error("thaw", container, &status).await),
        }
    }

    /// The tasks service only knows that there is no task; CRI knows whether there is a container.
    async fn control_error(&self, verb: &str, container: &Container, status: &Status) -> EngineError {
        let what = format!("{verb} container {}", container.slot.spec.name);
        let mut error = self.error(During::Control, &what, status, Vec::new());
        if error.class == ErrorClass::UnknownContainer && matches!(self.inspect(container).await, Ok(Some(_))) {
            error.class = ErrorClass::NotRunning;
            error.hint = classify::hint(ErrorClass::NotRunning).map(str::to_owned);
        }
        error
    }
}
