//! A checkpoint, from the call to the archive, with what must be put right when it fails.

use super::Inner;
use super::generated::containerd::v1::types::Status as TaskStatus;
use super::generated::runtime::v1::CheckpointContainerRequest;
use crate::engine::containerd::classify::{self, During};
use crate::engine::containerd::criu_log::Said;
use crate::engine::{Checkpoint, Container, EngineError, archive_file};
use crate::record::ErrorClass;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tonic::Status;

/// How often a checkpoint that takes long is looked at. Nothing waits for this.
const LOOK: Duration = Duration::from_secs(10);

impl Inner {
    /// Takes a checkpoint. Runs in a task of its own (`to_its_end`): cancelled while the container is frozen, containerd
    /// would leave it so.
    pub(super) async fn checkpoint(&self, container: &Container, name: &str) -> Result<Checkpoint, EngineError> {
        let turn = self.turn(&container.id);
        let _turn = turn.lock().await;
        let path = self.fresh_archive(name)?;
        let before = self.task(&container.id).await;
        let was_frozen = matches!(before, Ok(Some(TaskStatus::Paused)));
        let had_ended = matches!(before, Ok(None | Some(TaskStatus::Stopped)));
        let writing = self.criu.begin();
        let (result, looks) = self.checkpoint_watched(&container.id, &path).await;
        let Err(status) = result else {
            let shared = self.shared_folder().is_some();
            return Ok(Checkpoint { name: name.to_owned(), engine: self.kind, path, archive: true, shared });
        };

        let Said { lines, mixed } = writing.said();
        drop(writing);
        let what = format!("checkpoint container {}", container.slot.spec.name);
        let mut error = self.error(During::Checkpoint, &what, &status, lines);
        error.log.extend(mixed.into_iter().chain(looks));
        self.look_for_its_end(container, had_ended, &mut error).await;
        self.put_back(&container.id, was_frozen, &mut error).await;
        // A partial archive would be taken for a whole one.
        let _ = std::fs::remove_file(self.host(&path));
        if self.criu.idle() {
            self.clear_tmp();
        }
        Err(error)
    }

    /// Of a container that has ended, or ends under the call, containerd speaks in ever more words until CRI has noticed
    /// (2.1.9: ten were met; the last is `ttrpc: closed`, of a shim that is on its way out). So its state tells: before
    /// the call, whatever the words are, and after it, where they have no class.
    pub(super) async fn look_for_its_end(&self, container: &Container, had_ended: bool, error: &mut EngineError) {
        let unsure = match error.class {
            ErrorClass::Other => true,
            ErrorClass::DumpFailed | ErrorClass::UnknownContainer => had_ended,
            _ => false,
        };
        if unsure && matches!(self.inspect(container).await, Ok(Some(seen)) if seen.engine_state == "stopped") {
            error.class = ErrorClass::NotRunning;
            error.hint = classify::hint(ErrorClass::NotRunning).map(str::to_owned);
        }
    }

    /// Calls, and looks now and then. It has no deadline and is never given up: a deadline here leaves the container
    /// frozen. The step that waits for it has its own.
    async fn checkpoint_watched(&self, id: &str, path: &Path) -> (Result<(), Status>, Vec<String>) {
        let request = CheckpointContainerRequest {
            container_id: id.to_owned(),
            location: path.to_string_lossy().into_owned(),
            // containerd ignores it.
            timeout: 0,
        };
        let mut runtime = self.client.runtime.clone();
        let mut call = std::pin::pin!(runtime.checkpoint_container(request));
        let began = Instant::now();
        let mut looks = Vec::new();
        loop {
            tokio::select! {
                answer = &mut call => return (answer.map(drop), looks),
                () = tokio::time::sleep(LOOK) => {
                    let task = match self.task(id).await {
                        Ok(task) => format!("{task:?}"),
                        Err(e) => e.message().to_owned(),
                    };
                    looks.push(format!("after {:.0} s: task {task}", began.elapsed().as_secs_f64()));
                }
            }
        }
    }

    /// After a failure: the container is frozen if it was, and else runs.
    pub(super) async fn put_back(&self, id: &str, was_frozen: bool, error: &mut EngineError) {
        let mended = match self.task(id).await {
            Ok(Some(TaskStatus::Paused)) if !was_frozen => self.resume(id).await,
            Ok(Some(TaskStatus::Running)) if was_frozen => self.pause(id).await,
            Ok(_) => Ok(()),
            Err(e) => Err(e),
        };
        if let Err(e) = mended {
            let state = if was_frozen { "running" } else { "frozen" };
            error.log.push(format!("the container may be {state} now: {}", e.message()));
        }
    }

    fn shared_folder(&self) -> Option<PathBuf> {
        if !self.options.shared_archives {
            return None;
        }
        self.node.shared_dir().map(|dir| dir.join("checkpoints"))
    }

    /// A path for an archive. Its folder is there: a missing one is noticed only after the dump.
    pub(super) fn fresh_archive(&self, name: &str) -> Result<PathBuf, EngineError> {
        let dir = self.shared_folder().unwrap_or_else(|| PathBuf::from(&self.places.checkpoints));
        std::fs::create_dir_all(self.host(&dir)).map_err(|e| self.surroundings("make the checkpoint folder", e))?;
        archive_file::fresh(&self.node, &dir, name, &self.serial)
    }
}
