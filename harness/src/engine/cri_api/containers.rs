//! Containers in sandboxes: made and started, for every server alike.

use super::{During, LIMIT, Served, requests, v1 as cri};
use crate::engine::{Checkpoint, Container, EngineError, Slot};
use crate::record::{CriuChoices, ErrorClass};
use std::path::PathBuf;

/// An engine that makes sandboxes by CRI, and containers in them.
pub(in crate::engine) trait Sandboxes: Sync {
    /// Who serves CRI.
    type Server: Served;

    /// Whom it asks.
    fn server(&self) -> &Self::Server;

    /// What a sandbox was made of; `None` if it is not of this engine.
    fn config_of(&self, sandbox: &str) -> Option<cri::PodSandboxConfig>;

    /// Writes CRIU's options of containers with these choices, and gives the file.
    fn criu_file(&self, choices: &CriuChoices) -> Result<String, EngineError>;

    /// Creates a container in a slot, from an image or from what is to be restored.
    async fn create(&self, slot: &Slot, image: &str, during: During) -> Result<Container, EngineError> {
        let (name, server) = (&slot.spec.name, self.server());
        let Some(sandbox) = self.config_of(&slot.handle) else {
            let message = format!("the slot for container {name} is not of node {}", server.on().name());
            return Err(EngineError::new(ErrorClass::Other, message));
        };
        let file = requests::log_name(&sandbox, name);
        let log = PathBuf::from(&sandbox.log_directory).join(&file);
        let criu = self.criu_file(&slot.spec.criu)?;
        let request = cri::CreateContainerRequest {
            pod_sandbox_id: slot.handle.clone(),
            config: Some(requests::container(&slot.spec, image, file, criu)),
            sandbox_config: Some(sandbox),
        };
        let mut runtime = server.runtime_service();
        let what = match during {
            During::Restore => format!("restore container {name} from {image}"),
            _ => format!("create container {name}"),
        };
        match server.answer(during, &what, LIMIT, runtime.create_container(request)).await {
            Ok(created) => Ok(Container { id: created.container_id, slot: slot.clone(), log }),
            Err(e) => {
                // A full disk leaves a container behind that is listed as created (containerd 2.1.9).
                server.clear_slot(slot).await;
                Err(e)
            }
        }
    }

    /// Creates a container of the slot's image, and starts it.
    async fn start(&self, slot: &Slot) -> Result<Container, EngineError> {
        let container = self.create(slot, &slot.spec.image.reference, During::Start).await?;
        let server = self.server();
        let what = format!("start container {}", slot.spec.name);
        let request = cri::StartContainerRequest { container_id: container.id.clone() };
        let mut runtime = server.runtime_service();
        match server.answer(During::Start, &what, LIMIT, runtime.start_container(request)).await {
            Ok(_) => Ok(container),
            Err(e) => {
                server.clear_slot(slot).await;
                Err(e)
            }
        }
    }

    /// An archive's path, as the image of what is to be restored. One that is not there would be taken for an image's name.
    fn archive(&self, slot: &Slot, from: &Checkpoint) -> Result<String, EngineError> {
        let node = self.server().on();
        if node.host_path(&from.path).is_file() {
            return Ok(from.path.to_string_lossy().into_owned());
        }
        let (name, node) = (&slot.spec.name, node.name());
        let message = format!("can't restore container {name} on node {node}: no archive at {}", from.path.display());
        Err(EngineError::new(ErrorClass::InvalidArchive, message))
    }
}
