//! A restore: create from the archive or image, start under a watchdog, and a look whether it was one at all.

use super::classify::During;
use super::criu_log::{Said, Writing};
use super::generated::runtime::v1 as cri;
use super::{Inner, config, tasks};
use crate::clock::now;
use crate::engine::{Checkpoint, Container, EngineError, Restored, Slot, criu_processes, criu_words, mounts, yards};
use crate::record::ErrorClass;
use std::path::Path;
use std::time::{Duration, Instant};
use tonic::Status;

/// How often the watchdog looks. Nothing waits for this but a restore that is lost already.
const LOOK: Duration = Duration::from_millis(100);
/// A pages image that is cut short makes CRIU read past its end for ever and log each try: gigabytes in minutes, in the
/// node's memory. A restore that goes well logs some 100 KiB.
const SPINNING: u64 = 32 << 20;
/// How long the call may take to return once CRIU was killed.
const RETURN_LIMIT: Duration = Duration::from_secs(30);

impl Inner {
    pub(super) async fn restore_archive(&self, slot: &Slot, from: &Checkpoint) -> Result<Restored, EngineError> {
        // containerd would take a path that does not exist for an image's name.
        if !self.host(&from.path).is_file() {
            let (name, node) = (&slot.spec.name, self.node.name());
            let message =
                format!("can't restore container {name} on node {node}: no archive at {}", from.path.display());
            return Err(EngineError::new(ErrorClass::InvalidArchive, message));
        }
        self.restore_from(slot, &from.path.to_string_lossy()).await
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

    /// After a restore that failed. CRIU's working folder lies under the root; its bundle under the state.
    pub(super) async fn clear_yards(&self) {
        if self.criu.idle() {
            for below in [config::ROOT, config::STATE] {
                yards::clear(&self.node, Path::new(below)).await;
            }
        }
    }

    pub(super) async fn start_watched(&self, container: &Container, image: &str) -> Result<(), EngineError> {
        let writing = self.criu.begin();
        let request = cri::StartContainerRequest { container_id: container.id.clone() };
        let mut runtime = self.client.runtime.clone();
        let mut call = std::pin::pin!(runtime.start_container(request));
        let began = Instant::now();
        let stuck = loop {
            tokio::select! {
                answer = &mut call => match answer {
                    Ok(_) => return Ok(()),
                    Err(status) => return Err(self.restore_error(container, image, &status, &writing)),
                },
                () = tokio::time::sleep(LOOK) => if let Some(stuck) = self.stuck(&writing, began) {
                    break stuck;
                },
            }
        };
        criu_processes::kill(&self.node, &container.slot.handle).await;
        let ended = tokio::time::timeout(RETURN_LIMIT, &mut call).await;
        let (class, why) = stuck;
        let name = &container.slot.spec.name;
        let message = format!("can't restore container {name} from {image} on node {}: {why}", self.node.name());
        let mut error = EngineError::new(class, message);
        let Said { lines, mixed } = writing.said();
        error.log = lines.into_iter().chain(mixed).chain(writing.end()).collect();
        if ended.is_err() {
            error.log.push(format!("the call did not return within {RETURN_LIMIT:?} after CRIU was killed"));
        }
        writing.discard();
        Err(error)
    }

    fn stuck(&self, writing: &Writing, began: Instant) -> Option<(ErrorClass, String)> {
        if writing.len() > SPINNING {
            let why = "its pages image is cut short: CRIU went on reading past its end and was killed".to_owned();
            return Some((ErrorClass::InvalidArchive, why));
        }
        let limit = self.options.restore_limit;
        let why = || format!("CRIU did not end within {limit:?} and was killed");
        (began.elapsed() > limit).then(|| (ErrorClass::RestoreFailed, why()))
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
