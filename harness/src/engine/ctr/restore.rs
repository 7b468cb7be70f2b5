//! A restore: the archive is imported, its changes are applied to a new root, and a task is made from its memory.

use super::Inner;
use crate::archive::{self, Blob};
use crate::clock::now;
use crate::engine::containerd::Watched;
use crate::engine::containerd::classify::During;
use crate::engine::containerd::criu_log::Said;
use crate::engine::containerd::generated::containerd::services::diff::v1::ApplyRequest;
use crate::engine::containerd::generated::containerd::types::Descriptor;
use crate::engine::watchdog::Patience;
use crate::engine::{Checkpoint, Container, EngineError, Restored, Slot, criu_words, mounts};
use crate::record::{Chain, ErrorClass};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);

impl Inner {
    pub(super) async fn restore(
        &self,
        slot: &Slot,
        from: &Checkpoint,
        patience: Patience,
    ) -> Result<Restored, EngineError> {
        let what = format!("restore checkpoint {} into {}", from.name, slot.spec.name);
        let cannot = |class, why: &str| self.told(class, &what, why, Vec::new());
        if let Err(why) = &self.capabilities.restore {
            return Err(cannot(ErrorClass::CriuMissing, why));
        }
        let path = self.host(&from.path);
        let listed = tokio::task::spawn_blocking(move || archive::oci_checkpoint(&path)).await;
        let image = listed.map_err(|e| cannot(ErrorClass::Other, &e.to_string()))?.map_err(|e| {
            let class = if from.archive { ErrorClass::InvalidArchive } else { ErrorClass::Unsupported };
            // Where it lies as users know it: inside of the node.
            let root = self.host("/").to_string_lossy().into_owned();
            cannot(class, &Chain(&e).to_string().replace(root.trim_end_matches('/'), ""))
        })?;
        if image.base.as_ref().is_some_and(|base| *base != slot.spec.image.reference) {
            let why =
                format!("it was made from image {:?}, and the slot has {}", image.base, slot.spec.image.reference);
            return Err(cannot(ErrorClass::BaseImageMissing, &why)
                .hint("give the slot the image that the checkpoint was made from"));
        }
        let _one = self.images.lock().await;
        let create_from = Some(now());
        let archive = from.path.to_string_lossy();
        // Not unpacked: it is no image of layers alone.
        let args = ["images", "import", "--no-unpack", &archive];
        let imported = self.ctr(During::Restore, &what, args).await;
        let restored = match imported {
            Ok(_) => self.restore_imported(slot, &what, &image, patience).await,
            Err(e) => Err(e),
        };
        // containerd unpacks the images into a folder of its own and forgets it (2.1.9).
        if self.criu.idle() {
            self.clear_tmp();
        }
        let removed = self.remove_image(&image.name).await;
        let (container, restore_from, restore_to) = restored?;
        if let Err(e) = removed.and(self.has_mounts(&container, patience).await) {
            let _ = self.undo(&container).await;
            return Err(e);
        }
        Ok(Restored { container, create_from, restore_from, restore_to })
    }

    async fn has_mounts(&self, container: &Container, patience: Patience) -> Result<(), EngineError> {
        if container.slot.spec.mounts.is_empty() || matches!(patience, Patience::Bare(_)) {
            return Ok(());
        }
        mounts::all_there(container, self.inspect(container).await?.as_ref())
    }

    async fn restore_imported(
        &self,
        slot: &Slot,
        what: &str,
        image: &archive::OciCheckpoint,
        patience: Patience,
    ) -> Result<(Container, crate::record::At, crate::record::At), EngineError> {
        let container = self.define(slot, During::Restore).await?;
        let restored = self.revive_memory(&container, what, image, patience).await;
        match restored {
            Ok((from, to)) => Ok((container, from, to)),
            Err(e) => {
                let _ = self.undo(&container).await;
                self.clear_yards().await;
                Err(criu_words::killed_for_memory(slot.spec.memory_limit, e))
            }
        }
    }

    async fn revive_memory(
        &self,
        container: &Container,
        what: &str,
        image: &archive::OciCheckpoint,
        patience: Patience,
    ) -> Result<(crate::record::At, crate::record::At), EngineError> {
        let root = self.root(container).await?;
        if let Some(changes) = &image.changes {
            let request = ApplyRequest { diff: Some(descriptor(changes)), mounts: root.clone(), ..Default::default() };
            let mut diff = self.client.diff.clone();
            self.call(During::Restore, what, LIMIT, diff.apply(request)).await?;
        }
        let writing = self.criu.begin();
        let restore_from = now();
        self.make_task(container, root, Some(descriptor(&image.memory)), During::Restore).await?;
        let mut tasks = self.client.tasks.clone();
        let call = tasks.start(Self::start_request(container));
        // Of the shim's command line: an argument of its own.
        let shim = format!("{}\0", container.id);
        match self.watch_restore(&writing, &shim, patience, call).await {
            Watched::Done => Ok((restore_from, now())),
            Watched::Refused(status) => {
                let Said { lines, mixed } = writing.said();
                let mut error = self.error(During::Restore, what, &status, lines);
                error.log.extend(mixed);
                Err(error)
            }
            Watched::Killed(class, why, log) => {
                let mut error = self.told(class, what, &why, Vec::new());
                error.log = log;
                Err(error)
            }
        }
    }
}

fn descriptor(blob: &Blob) -> Descriptor {
    Descriptor {
        media_type: blob.media_type.clone(),
        digest: blob.digest.clone(),
        size: i64::try_from(blob.size).unwrap_or(i64::MAX),
        ..Default::default()
    }
}
