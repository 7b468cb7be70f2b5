//! A restore: the container is made, given the checkpoint's files, and started from it under a watchdog.

use super::client::{Said, restoring};
use super::{Inner, checkpoint, classify, containers};
use crate::clock::now;
use crate::engine::meta::Meta;
use crate::engine::runc::classify::During;
use crate::engine::watchdog::{Patience, RETURN_LIMIT, SPINNING, Stuck, late};
use crate::engine::{
    Checkpoint, Container, EngineError, Restored, Slot, criu_log, criu_processes, criu_words, mounts, yards,
};
use crate::record::{EngineKind, ErrorClass};
use bollard::errors::Error;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long CRIU may take.
pub(super) const RESTORE_LIMIT: Duration = Duration::from_secs(120);
/// How long a checkpoint that was taken on this node may stay in containerd's content: its garbage is collected within a
/// second (Docker 26.1.5, 28.5.2).
const CONTENT_LIMIT: Duration = Duration::from_secs(10);
/// There is no event for the end of a garbage collection.
const CONTENT_POLL: Duration = Duration::from_millis(100);

impl Inner {
    pub(super) async fn restore(
        &self,
        slot: &Slot,
        from: &Checkpoint,
        patience: Patience,
    ) -> Result<Restored, EngineError> {
        let what = format!("restore checkpoint {} into {}", from.name, slot.spec.name);
        let cannot =
            |class, why: String| EngineError::new(class, format!("can't {what} on node {}: {why}", self.node.name()));
        self.capabilities.restore.clone().map_err(|reason| cannot(ErrorClass::CriuMissing, reason))?;
        if from.engine != EngineKind::Docker {
            let why = format!("docker restores its own checkpoints, and this is one of {}", from.engine);
            return Err(cannot(ErrorClass::Unsupported, why));
        }
        let folder = self.host(&from.path);
        let meta = Meta::read(&folder).map_err(|why| cannot(ErrorClass::InvalidArchive, why))?;
        if let Err(why) = meta.fits(&slot.spec.image) {
            return Err(cannot(ErrorClass::BaseImageMissing, why)
                .hint("give the slot the image that the checkpoint was made from"));
        }
        let create_from = Some(now());
        let container = self.create(slot, During::Restore).await?;
        let restore_from = now();
        let busy = self.under_way();
        let restored = self.restore_into(&container, from, &folder, patience, &what).await;
        drop(busy);
        let restore_to = now();
        self.clear_tmp();
        if let Err(error) = restored {
            // A container that could not be restored stays, and its name is taken.
            self.remove_only(&container).await;
            self.clear_yards().await;
            return Err(criu_words::killed_for_memory(slot.spec.memory_limit, error));
        }
        Ok(Restored { container, create_from, restore_from, restore_to })
    }

    async fn restore_into(
        &self,
        container: &Container,
        from: &Checkpoint,
        folder: &Path,
        patience: Patience,
        what: &str,
    ) -> Result<(), EngineError> {
        let images = folder.join("checkpoint");
        checkpoint::link_all(&images, &self.kept(container, &from.name)).map_err(|e| {
            let class = match e.kind() {
                std::io::ErrorKind::NotFound => ErrorClass::InvalidArchive,
                _ => ErrorClass::Surroundings,
            };
            EngineError::new(class, format!("can't {what} on node {}: its images: {e}", self.node.name()))
        })?;
        let began = Instant::now();
        loop {
            match self.start_from(container, &from.name, patience, what).await {
                Err(e) if classify::still_in_content(&e.message) && began.elapsed() < CONTENT_LIMIT => {
                    tokio::time::sleep(CONTENT_POLL).await;
                }
                Err(e) => return Err(e),
                Ok(()) => break,
            }
        }
        self.was_restored(container, what)?;
        if !container.slot.spec.mounts.is_empty() {
            mounts::all_there(container, self.inspect(container).await?.as_ref())?;
        }
        Ok(())
    }

    async fn start_from(
        &self,
        container: &Container,
        checkpoint: &str,
        patience: Patience,
        what: &str,
    ) -> Result<(), EngineError> {
        let log = self.host(containers::criu_file(&container.slot.spec.name, "log"));
        let docker = restoring(self.docker(), checkpoint);
        let mut call = std::pin::pin!(docker.start_container(&container.id, None));
        let logged = || std::fs::metadata(&log).map_or(0, |meta| meta.len());
        let Stuck { class, why } = match patience.wait(&mut call, logged, SPINNING).await {
            Ok(answer) => return answer.map_err(|e| self.restore_error(what, &e, &log)),
            Err(stuck) => stuck,
        };
        criu_processes::kill(&self.node, &container.id).await;
        let ended = tokio::time::timeout(RETURN_LIMIT, &mut call).await;
        let mut error =
            EngineError::new(class, format!("can't {what} on node {}: {why}; criu was killed", self.node.name()));
        error.log = criu_log::errors(&criu_log::ends(&log));
        if ended.is_err() {
            error.log.push(late());
        }
        let _ = std::fs::remove_file(&log);
        Err(error)
    }

    fn restore_error(&self, what: &str, e: &Error, log: &Path) -> EngineError {
        self.error(During::Restore, what, &Said::of(e), criu_log::errors(&criu_log::ends(log)))
    }

    /// CRIU says at its end that it restored. A start from a checkpoint of which the daemon took no notice is a cold one,
    /// and looks the same to whoever asks for it.
    fn was_restored(&self, container: &Container, what: &str) -> Result<(), EngineError> {
        let name = &container.slot.spec.name;
        let log = criu_log::ends(&self.host(containers::criu_file(name, "log")));
        if log.contains("Restore finished successfully") {
            return Ok(());
        }
        let message = format!("can't {what} on node {}: it was started afresh, not restored", self.node.name());
        Err(EngineError::new(ErrorClass::RestoreFailed, message))
    }

    /// After a restore that failed.
    async fn clear_yards(&self) {
        if self.idle() {
            yards::clear(&self.node, Path::new("/")).await;
        }
    }
}
