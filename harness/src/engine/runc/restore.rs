//! Restores.

use super::classify::During;
use super::runtime::{Inner, Supervised, blocking, io_error};
use crate::clock;
use crate::engine::meta::Meta;
use crate::engine::watchdog::Patience;
use crate::engine::{Checkpoint, Container, EngineError, Restored, Slot, criu_words, layers, mounts, yards};
use crate::record::ErrorClass;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::time::Duration;

/// Where the memory of what is restored comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    /// From the images.
    Here,
    /// From a lazy-pages daemon that has the restore's log folder for its own.
    Late,
}

/// The name of the folder for the logs of a restore.
pub(super) fn restore_logs(name: &str, from: &Checkpoint) -> String {
    format!("{name}-restore-{}", from.name)
}

impl Inner {
    /// `bare` is the deadline of a naive client, which unpacks what changes of the root there are and watches nothing.
    pub(super) async fn restore(
        &self,
        slot: &Slot,
        from: &Checkpoint,
        bare: Option<Duration>,
        pages: Pages,
    ) -> Result<Restored, EngineError> {
        let name = &slot.spec.name;
        let cannot = |class, why: String| {
            let text =
                format!("can't restore checkpoint {} into {name} on node {}: {why}", from.name, self.node.name());
            EngineError::new(class, text)
        };
        self.capabilities.restore.clone().map_err(|reason| cannot(ErrorClass::CriuMissing, reason))?;
        if from.archive {
            return Err(cannot(
                ErrorClass::Unsupported,
                format!("{} restores folders of images, and this is an archive", self.kind),
            ));
        }
        let lean = slot.spec.mounts.is_empty() || bare.is_some();
        if let (false, Err(reason)) = (lean, &self.capabilities.restore_mounts) {
            return Err(cannot(ErrorClass::Unsupported, reason.clone()));
        }
        let restore_from = clock::now();
        let meta = Meta::read(&self.host(&from.path)).map_err(|why| cannot(ErrorClass::InvalidArchive, why))?;
        if let Err(why) = meta.fits(&slot.spec.image) {
            return Err(cannot(ErrorClass::BaseImageMissing, why)
                .hint("give the slot the image that the checkpoint was made from"));
        }
        if bare.is_none() || self.host(&from.path.join("rootfs-diff.tar")).exists() {
            self.apply_diff(slot, &from.path).await.map_err(|e| cannot(e.class, e.message))?;
        }
        self.warm_or_cold(&slot.spec);
        self.run_restore(slot, from, bare, pages).await?;
        let container = Container { id: name.clone(), slot: slot.clone(), log: self.log(name) };
        if bare.is_none() && !slot.spec.mounts.is_empty() {
            let seen = self.inspect(&container).await?;
            if let Err(e) = mounts::all_there(&container, seen.as_ref()) {
                self.forget(name).await;
                return Err(e);
            }
        }
        Ok(Restored { container, create_from: None, restore_from, restore_to: clock::now() })
    }

    /// Onto the mounted root, so that whiteouts are made by the overlay itself.
    async fn apply_diff(&self, slot: &Slot, checkpoint: &Path) -> Result<(), EngineError> {
        let diff = self.host(&checkpoint.join("rootfs-diff.tar"));
        let root = self.host(&self.folder(&slot.spec.name).join("rootfs"));
        blocking(move || {
            let file = File::open(&diff).map_err(|e| {
                EngineError::new(ErrorClass::InvalidArchive, format!("its entry `rootfs-diff.tar` cannot be read: {e}"))
            })?;
            layers::apply(BufReader::with_capacity(1 << 20, file), &root).map_err(|e| match e.kind() {
                io::ErrorKind::StorageFull => io_error("write", &root, &e),
                io::ErrorKind::InvalidData => {
                    EngineError::new(ErrorClass::EscapingEntry, format!("its entry `rootfs-diff.tar`: {e}"))
                }
                _ => EngineError::new(ErrorClass::InvalidArchive, format!("its entry `rootfs-diff.tar`: {e}")),
            })
        })
        .await
    }

    async fn run_restore(
        &self,
        slot: &Slot,
        from: &Checkpoint,
        bare: Option<Duration>,
        pages: Pages,
    ) -> Result<(), EngineError> {
        let name = &slot.spec.name;
        let (folder, log) = (self.folder(name), self.log(name));
        let logs = self.home.join("logs").join(restore_logs(name, from));
        self.make_folder(&logs)?;
        let what = format!("can't restore checkpoint {} into {name} on node {}", from.name, self.node.name());
        let path = |p: &Path| p.display().to_string();
        let mut args = vec!["restore".into(), "-d".into()];
        args.extend((pages == Pages::Late).then(|| "--lazy-pages".into()));
        args.extend([
            "--image-path".into(),
            path(&from.path.join("checkpoint")),
            "--work-path".into(),
            path(&logs),
            "--bundle".into(),
            path(&folder),
            name.clone(),
        ]);
        let restored = self
            .supervised(Supervised {
                program: self.kind.name(),
                what: &what,
                during: During::Restore,
                args,
                container: name,
                folder: &logs,
                out: Some(&log),
                criu_log: Some("restore.log"),
                patience: bare.map_or(Patience::Watch(self.limits.restore), Patience::Bare),
            })
            .await;
        if restored.is_err() {
            self.forget(name).await;
            yards::clear(&self.node, &logs).await;
        }
        restored.map_err(|e| criu_words::killed_for_memory(slot.spec.memory_limit, e))
    }
}
