//! A checkpoint by the kubelet's endpoint, by the API server or directly.

use super::{Own, words};
use crate::engine::containerd::criu_log::Said;
use crate::engine::containerd::generated::containerd::v1::types::Status as TaskStatus;
use crate::engine::{Checkpoint, Container, EngineError};
use serde::Deserialize;
use std::path::PathBuf;

/// What the endpoint answers.
#[derive(Deserialize)]
struct Answer {
    items: Vec<PathBuf>,
}

impl Own {
    /// Takes a checkpoint. Like any checkpoint of containerd's it must not be given up, and is alone with its container.
    pub(super) async fn checkpoint(&self, container: &Container, name: &str) -> Result<Checkpoint, EngineError> {
        let runtime = &self.runtime;
        let turn = runtime.turn(&container.id);
        let _turn = turn.lock().await;
        let path = runtime.fresh_archive(name)?;
        let before = runtime.task(&container.id).await;
        let was_frozen = matches!(before, Ok(Some(TaskStatus::Paused)));
        let had_ended = matches!(before, Ok(None | Some(TaskStatus::Stopped)));
        let writing = runtime.criu.begin();
        let what = format!("checkpoint container {}", container.slot.spec.name);
        let answer = match self.ask(container).await {
            Ok(answer) => answer,
            Err(e) => {
                let Said { lines, mixed } = writing.said();
                drop(writing);
                let cannot = format!("can't {what} on node {}", self.node().name());
                let mut error = words::checkpoint_refused(&cannot, &e, lines);
                error.log.extend(mixed);
                runtime.look_for_its_end(container, had_ended, &mut error).await;
                runtime.put_back(&container.id, was_frozen, &mut error).await;
                self.forget_partial(container);
                if runtime.criu.idle() {
                    runtime.clear_tmp();
                }
                return Err(error);
            }
        };
        let said = self.runtime.surroundings(&what, format!("the kubelet answers `{answer}`"));
        let answer: Answer = serde_json::from_str(&answer).map_err(|_| said)?;
        let [archive] = answer.items.as_slice() else {
            let why = format!("the kubelet names {} archives", answer.items.len());
            return Err(self.runtime.surroundings(&what, why));
        };
        // At once: its name has the second in it, so that the next one of this second would be written over it, and the end
        // of a longer one would stay (kubelet 1.36.3, containerd 2.1.9).
        let moved = std::fs::rename(runtime.host(archive), runtime.host(&path));
        moved.map_err(|e| runtime.surroundings(&what, format!("no archive at {}: {e}", archive.display())))?;
        Ok(Checkpoint { name: name.to_owned(), engine: runtime.kind, path, archive: true, shared: false })
    }

    /// The call, by the API server, which asks the kubelet with its own certificate. Who may not do that (`nodes/proxy` is a
    /// right to all that kubelets do) may still ask a kubelet itself, which takes the right `nodes/checkpoint` alone. No time
    /// limit: see [`crate::engine::Engine`].
    async fn ask(&self, container: &Container) -> Result<String, kube::Error> {
        let of = &container.slot;
        let inside = format!("checkpoint/{}/{}/{}", self.cluster.namespace(), of.handle, of.spec.name);
        let path = format!("/api/v1/nodes/{}/proxy/{inside}", self.node().known_as());
        let answered = self.cluster.client().request_text(words::post(&path)?).await;
        match (answered, &self.started) {
            (Err(kube::Error::Api(status)), Some(own)) if status.code == 403 => {
                own.direct.client.request_text(words::post(&format!("/{inside}"))?).await
            }
            (answered, _) => answered,
        }
    }

    /// A partial archive of a checkpoint that failed would be taken for a whole one.
    fn forget_partial(&self, container: &Container) {
        let folder = self.runtime.host(format!("{}/checkpoints", self.places.root));
        let (slot, namespace) = (&container.slot, self.cluster.namespace());
        let of = format!("checkpoint-{}_{namespace}-{}-", slot.handle, slot.spec.name);
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&of) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}
