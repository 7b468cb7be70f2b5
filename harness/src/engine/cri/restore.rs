//! A restore: create from the archive or image, start under a watchdog, and a look whether it was one at all.

use super::Inner;
use super::generated::runtime::v1 as cri;
use crate::clock::now;
use crate::engine::containerd::classify::During;
use crate::engine::containerd::criu_log::{Said, Writing};
use crate::engine::containerd::{Watched, tasks};
use crate::engine::cri_api::{Sandboxes, Served};
use crate::engine::watchdog::Patience;
use crate::engine::{Checkpoint, Container, EngineError, Restored, Slot, criu_words, mounts};
use crate::record::ErrorClass;
use tonic::Status;

impl Inner {
    pub(super) async fn restore_archive(&self, slot: &Slot, from: &Checkpoint) -> Result<Restored, EngineError> {
        self.restore_from(slot, &self.archive(slot, from)?).await
    }

    pub(super) async fn restore_image(&self, slot: &Slot, reference: &str) -> Result<Restored, EngineError> {
        self.pull(reference, During::Restore).await?;
        self.restore_from(slot, reference).await
    }

    async fn restore_from(&self, slot: &Slot, image: &str) -> Result<Restored, EngineError> {
        let create_from = Some(now());
        let container = self.create(slot, image, During::Restore).await?;
        let restore_from = now();
        let started = self.start_watched(&container, image).await;
        let restore_to = now();
        let checked = match started {
            Ok(()) => self.was_restored(&container).await,
            Err(e) => Err(e),
        };
        let checked = match checked {
            Ok(()) if !slot.spec.mounts.is_empty() => {
                mounts::all_there(&container, self.inspect(&container).await?.as_ref())
            }
            other => other,
        };
        if let Err(e) = checked {
            // It would stay listed as exited with 128, and its name taken.
            self.clear_slot(slot).await;
            self.clear_yards().await;
            return Err(e);
        }
        Ok(Restored { container, create_from, restore_from, restore_to })
    }

    pub(super) async fn start_watched(&self, container: &Container, image: &str) -> Result<(), EngineError> {
        let writing = self.criu.begin();
        let request = cri::StartContainerRequest { container_id: container.id.clone() };
        let mut runtime = self.client.runtime.clone();
        let patience = Patience::Watch(self.options.restore_limit);
        let call = runtime.start_container(request);
        match self.watch_restore(&writing, &container.slot.handle, patience, call).await {
            Watched::Done => Ok(()),
            Watched::Refused(status) => Err(self.restore_error(container, image, &status, &writing)),
            Watched::Killed(class, why, log) => {
                let name = &container.slot.spec.name;
                let message =
                    format!("can't restore container {name} from {image} on node {}: {why}", self.node.name());
                let mut error = EngineError::new(class, message);
                error.log = log;
                Err(error)
            }
        }
    }

    pub(super) fn restore_error(
        &self,
        container: &Container,
        image: &str,
        status: &Status,
        writing: &Writing,
    ) -> EngineError {
        let Said { lines, mixed } = writing.said();
        let what = format!("restore container {} from {image}", container.slot.spec.name);
        let error = self.error(During::Restore, &what, status, lines);
        let mut error = criu_words::killed_for_memory(container.slot.spec.memory_limit, error);
        error.log.extend(mixed);
        error
    }

    /// containerd marks what it restored. What is not marked was started afresh: an image without the annotation of a
    /// checkpoint is an ordinary image to it, and from 2.4 on every image is.
    pub(super) async fn was_restored(&self, container: &Container) -> Result<(), EngineError> {
        let request = cri::ContainerStatusRequest { container_id: container.id.clone(), verbose: false };
        let mut runtime = self.client.runtime.clone();
        let name = &container.slot.spec.name;
        let what = format!("look at container {name}");
        let answer = self.call(During::Restore, &what, tasks::LIMIT, runtime.container_status(request)).await?;
        let annotations = answer.status.unwrap_or_default().annotations;
        if annotations.get("restored").is_some_and(|value| value == "true") {
            return Ok(());
        }
        let node = self.node.name();
        let message =
            format!("container {name} on node {node} was started afresh, not restored: its image is no checkpoint");
        Err(EngineError::new(ErrorClass::InvalidArchive, message))
    }
}
