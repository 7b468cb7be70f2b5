//! The calls as a client makes them that knows none of containerd's traps, and the mending of what they leave. Only for
//! scenarios that show those traps.

use super::Inner;
use super::generated::runtime::v1 as cri;
use crate::clock::now;
use crate::engine::containerd::classify::During;
use crate::engine::cri_api::Sandboxes;
use crate::engine::cri_api::Served;
use crate::engine::{BareCheckpoint, Checkpoint, Container, EngineError, Restored, Slot, criu_processes};
use crate::record::{ErrorClass, GiveUp};
use std::path::Path;
use std::time::{Duration, Instant};
use tonic::{Code, Status};

/// How long a call may take to return once CRIU was killed.
const RETURN_LIMIT: Duration = Duration::from_secs(30);

impl Inner {
    pub(super) async fn checkpoint_bare(
        &self,
        container: &Container,
        bare: &BareCheckpoint,
    ) -> Result<Checkpoint, EngineError> {
        let own = || Path::new(&self.places.checkpoints).join(format!("{}.tar", bare.name));
        let path = bare.over.clone().unwrap_or_else(own);
        let mut request = tonic::Request::new(cri::CheckpointContainerRequest {
            container_id: container.id.clone(),
            location: path.to_string_lossy().into_owned(),
            timeout: 0,
        });
        let mut runtime = self.client.runtime.clone();
        let began = Instant::now();
        let answer = match bare.give_up {
            None => runtime.checkpoint_container(request).await,
            Some(GiveUp::Deadline(after)) => {
                // Sent along, so that containerd ends the call by itself; tonic gives up at the same time.
                request.set_timeout(after);
                runtime.checkpoint_container(request).await
            }
            Some(GiveUp::Cancel(after)) => {
                // Dropped in the middle: the stream is reset, as of a client that is ended.
                let gone = || Err(Status::cancelled("the client went away"));
                tokio::time::timeout(after, runtime.checkpoint_container(request)).await.unwrap_or_else(|_| gone())
            }
        };
        let Err(status) = answer else {
            let name = bare.name.clone();
            return Ok(Checkpoint { name, engine: self.kind, path, archive: true, shared: false });
        };
        self.state().bare_archives.push(path);
        let what = format!("checkpoint container {}", container.slot.spec.name);
        // Who ends the call first, tonic or containerd, is a race, and with it what the status says: `transport error` too,
        // when containerd resets the stream. What is certain is the time.
        let over = bare.give_up.is_some_and(|how| began.elapsed() >= how.after());
        match (bare.give_up, status.code()) {
            (Some(how), code) if over || matches!(code, Code::DeadlineExceeded | Code::Cancelled) => {
                let (name, node) = (&container.slot.spec.name, self.node.name());
                let how = match how {
                    GiveUp::Deadline(after) => format!("its deadline of {after:?} passed"),
                    GiveUp::Cancel(after) => format!("it was cancelled after {after:?}"),
                };
                let said = status.message();
                let message = format!("a checkpoint of container {name} on node {node} was given up: {how}: {said}");
                Err(EngineError::new(ErrorClass::GivenUp, message))
            }
            // CRIU's log is not asked: another call may be writing it.
            _ => Err(self.error(During::Checkpoint, &what, &status, Vec::new())),
        }
    }

    pub(super) async fn restore_bare(
        &self,
        slot: &Slot,
        from: &Checkpoint,
        deadline: Duration,
    ) -> Result<Restored, EngineError> {
        // Made when the slot was, since containerd 2.1 drops the log without it. A naive client makes none.
        let logs = self.state().sandboxes.get(&slot.handle).map(|config| config.log_directory.clone());
        let _ = logs.map(|folder| std::fs::remove_dir(self.host(folder)));
        let image = from.path.to_string_lossy();
        let create_from = Some(now());
        let container = self.create(slot, &image, During::Restore).await?;
        let restore_from = now();
        let started = self.start_bare(&container, &image, deadline).await;
        if let Err(e) = started {
            self.clear_slot(slot).await;
            self.clear_yards().await;
            return Err(e);
        }
        Ok(Restored { container, create_from, restore_from, restore_to: now() })
    }

    async fn start_bare(&self, container: &Container, image: &str, deadline: Duration) -> Result<(), EngineError> {
        let writing = self.criu.begin();
        let request = cri::StartContainerRequest { container_id: container.id.clone() };
        let mut runtime = self.client.runtime.clone();
        let mut call = std::pin::pin!(runtime.start_container(request));
        match tokio::time::timeout(deadline, &mut call).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(status)) => return Err(self.restore_error(container, image, &status, &writing)),
            Err(_) => {}
        }
        let logged = writing.len();
        // Nobody else ever would: the call is at an end, and CRIU goes on.
        criu_processes::kill(&self.node, &container.slot.handle).await;
        let ended = tokio::time::timeout(RETURN_LIMIT, &mut call).await;
        let (name, node) = (&container.slot.spec.name, self.node.name());
        let message = format!(
            "a restore of container {name} from {image} on node {node} was given up: StartContainer had not returned after \
             {deadline:?}, {}; it was killed",
            crate::engine::criu_log::amount(logged)
        );
        let mut error = EngineError::new(ErrorClass::GivenUp, message);
        error.log = writing.end();
        if ended.is_err() {
            error.log.push(format!("the call did not return within {RETURN_LIMIT:?} after CRIU was killed"));
        }
        writing.discard();
        Err(error)
    }

    pub(super) async fn heal(&self) -> Result<(), EngineError> {
        criu_processes::ended(&self.node).await?;
        self.thaw_forgotten("by a checkpoint that was given up").await?;
        for path in std::mem::take(&mut self.state().bare_archives) {
            // Most such calls end before there is one.
            let _ = std::fs::remove_file(self.host(&path));
        }
        if self.criu.idle() {
            self.clear_tmp();
        }
        Ok(())
    }
}
