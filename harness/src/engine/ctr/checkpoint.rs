//! A checkpoint: an image of containerd's, then an archive of it.

use super::Inner;
use crate::engine::containerd::classify::{self, During, classify};
use crate::engine::containerd::criu_log::Said;
use crate::engine::containerd::generated::containerd::v1::types::Status as TaskStatus;
use crate::engine::{Checkpoint, Container, EngineError, archive_file};
use crate::record::ErrorClass;
use std::path::Path;

impl Inner {
    pub(super) async fn checkpoint(&self, container: &Container, name: &str) -> Result<Checkpoint, EngineError> {
        let (id, turn) = (&container.id, self.turn(&container.id));
        let _turn = turn.lock().await;
        let what = format!("checkpoint container {}", container.slot.spec.name);
        if let Err(why) = &self.capabilities.checkpoint {
            return Err(self.told(ErrorClass::CriuMissing, &what, why, Vec::new()));
        }
        let path = archive_file::fresh(&self.node, Path::new(&self.places.checkpoints), name, &self.serial)?;
        let task = self.task(id).await.map_err(|e| self.error(During::Checkpoint, &what, &e, Vec::new()))?;
        match task {
            Some(TaskStatus::Running | TaskStatus::Paused | TaskStatus::Pausing) => {}
            None if !self.is_known(container) => {
                return Err(self.told(ErrorClass::UnknownContainer, &what, "there is none of this id", Vec::new()));
            }
            other => {
                let why =
                    format!("its task is {}", other.map_or("gone".to_owned(), |s| format!("{s:?}").to_lowercase()));
                return Err(self.told(ErrorClass::NotRunning, &what, &why, Vec::new()));
            }
        }
        let was_frozen = task == Some(TaskStatus::Paused);
        match self.export(container, &what, &path).await {
            Ok(()) => Ok(Checkpoint { name: name.to_owned(), engine: self.kind, path, archive: true, shared: false }),
            Err(mut error) => {
                self.put_back(container, was_frozen, &mut error).await;
                // A partial archive would be taken for a whole one.
                let _ = std::fs::remove_file(self.host(&path));
                if self.criu.idle() {
                    self.clear_tmp();
                }
                Err(error)
            }
        }
    }

    /// `ctr t checkpoint` freezes the container for as long as it reads its memory and root, unless it is frozen already;
    /// it does not say so, but it leaves it as it was. The image is named by the second: one at a time has it.
    async fn export(&self, container: &Container, what: &str, path: &Path) -> Result<(), EngineError> {
        let writing = self.criu.begin();
        let image = match self.ctr_said(what, ["tasks", "checkpoint", &container.id]).await? {
            Ok(printed) => printed.lines().last().unwrap_or_default().trim().to_owned(),
            Err(said) => {
                let Said { lines, mixed } = writing.said();
                let mut error = self.told(classify(During::Checkpoint, &said, &lines), what, &said, lines);
                error.log.extend(mixed);
                return Err(error);
            }
        };
        drop(writing);
        // Without the second option it wants to add a list in Docker's format, and reads CRIU's images for it: `invalid
        // character`. Without the first it can end well before the file is written to its end (seen once of containerd
        // 2.1.9, by the transfer service: 131072 of 186368 bytes of a blob were there).
        let path = path.to_string_lossy();
        let args = ["images", "export", "--local", "--skip-manifest-json", &path, &image];
        let exported = self.ctr(During::Checkpoint, what, args).await.map(drop);
        exported.and(self.remove_image(&image).await)
    }

    /// After a failure: the container is frozen if it was, and else runs.
    async fn put_back(&self, container: &Container, was_frozen: bool, error: &mut EngineError) {
        let task = self.task(&container.id).await;
        if error.class != ErrorClass::NotRunning && matches!(task, Ok(None | Some(TaskStatus::Stopped))) {
            error.class = ErrorClass::NotRunning;
            error.hint = classify::hint(ErrorClass::NotRunning).map(str::to_owned);
        }
        let mended = match task {
            Ok(Some(TaskStatus::Paused)) if !was_frozen => self.resume(&container.id).await,
            Ok(Some(TaskStatus::Running)) if was_frozen => self.pause(&container.id).await,
            Ok(_) => Ok(()),
            Err(e) => Err(e),
        };
        if let Err(e) = mended {
            let state = if was_frozen { "running" } else { "frozen" };
            error.log.push(format!("the container may be {state} now: {}", e.message()));
        }
    }
}
