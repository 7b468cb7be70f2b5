//! A restore: create from the archive or image, start under a watchdog, and a look whether it was one at all.

use super::{Inner, RESTORE_LIMIT, config};
use crate::clock::now;
use crate::engine::containerd::criu_log::Said;
use crate::engine::containerd::{Watched, watch_restore};
use crate::engine::cri_api::{During, Sandboxes, Served, v1 as cri};
use crate::engine::watchdog::Patience;
use crate::engine::{Checkpoint, Container, EngineError, Restored, Slot, criu_words, mounts, yards};
use crate::record::ErrorClass;
use std::path::{Path, PathBuf};
use std::time::Duration;

impl Inner {
    pub(super) async fn restore_archive(&self, slot: &Slot, from: &Checkpoint) -> Result<Restored, EngineError> {
        self.restore_from(slot, &self.archive(slot, from)?, Patience::Watch(RESTORE_LIMIT)).await
    }

    pub(super) async fn restore_image(&self, slot: &Slot, reference: &str) -> Result<Restored, EngineError> {
        self.pull(reference, During::Restore).await?;
        self.restore_from(slot, reference, Patience::Watch(RESTORE_LIMIT)).await
    }

    pub(super) async fn restore_bare(
        &self,
        slot: &Slot,
        from: &Checkpoint,
        deadline: Duration,
    ) -> Result<Restored, EngineError> {
        self.restore_from(slot, &from.path.to_string_lossy(), Patience::Bare(deadline)).await
    }

    async fn restore_from(&self, slot: &Slot, image: &str, patience: Patience) -> Result<Restored, EngineError> {
        let create_from = Some(now());
        let mut container = self.create(slot, image, During::Restore).await?;
        let restore_from = now();
        let started = self.start_watched(&container, image, patience).await;
        let restore_to = now();
        let checked = match started {
            Ok(()) => self.settled(&mut container, patience).await,
            Err(e) => Err(e),
        };
        if let Err(e) = checked {
            self.clear_slot(slot).await;
            if self.criu.idle() {
                for below in [config::ROOT, &config::home("storage")] {
                    yards::clear(&self.node, Path::new(below)).await;
                }
            }
            return Err(e);
        }
        Ok(Restored { container, create_from, restore_from, restore_to })
    }

    async fn start_watched(&self, container: &Container, image: &str, patience: Patience) -> Result<(), EngineError> {
        let writing = self.criu.begin();
        let request = cri::StartContainerRequest { container_id: container.id.clone() };
        let mut runtime = self.client.runtime.clone();
        let what = format!("restore container {} from {image}", container.slot.spec.name);
        let call = runtime.start_container(request);
        match watch_restore(&self.node, &writing, &container.id, patience, call).await {
            Watched::Done => Ok(()),
            Watched::Refused(status) => {
                let Said { lines, mixed } = writing.said();
                let error = self.error(During::Restore, &what, &status, lines);
                let mut error = criu_words::killed_for_memory(container.slot.spec.memory_limit, error);
                error.log.extend(mixed);
                Err(error)
            }
            Watched::Killed(class, why, log) => {
                let mut error = EngineError::new(class, format!("can't {what} on node {}: {why}", self.node.name()));
                error.log = log;
                Err(error)
            }
        }
    }

    /// That it was a restore, with all its mounts; and where its log is. What is no checkpoint CRI-O starts afresh.
    async fn settled(&self, container: &mut Container, patience: Patience) -> Result<(), EngineError> {
        let (status, info) = self.status(container).await?;
        container.log = PathBuf::from(status.log_path);
        let (name, node) = (&container.slot.spec.name, self.node.name());
        if !info.restored {
            let message =
                format!("container {name} on node {node} was started afresh, not restored: its image is no checkpoint");
            return Err(EngineError::new(ErrorClass::InvalidArchive, message));
        }
        if container.slot.spec.mounts.is_empty() || matches!(patience, Patience::Bare(_)) {
            return Ok(());
        }
        mounts::all_there(container, self.inspect(container).await?.as_ref())
    }
}
