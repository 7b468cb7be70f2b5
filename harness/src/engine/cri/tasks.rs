//! Freezing and thawing by containerd's own tasks service: CRI has no word for it, and writing to the freezer cgroup
//! behind containerd's back makes it refuse the checkpoint (`container not running`).

use super::classify::During;
use super::generated::containerd::services::tasks::v1::{
    GetRequest, KillRequest, ListTasksRequest, PauseTaskRequest, ResumeTaskRequest,
};
use super::generated::containerd::v1::types::Status as TaskStatus;
use super::{Inner, classify};
use crate::engine::{Container, EngineError};
use crate::process::Exec;
use crate::record::{Chain, ErrorClass};
use std::time::Duration;
use tonic::{Code, Status};

/// Where the shim has runc keep its state: containerd's own, by namespace.
const RUNTIME_ROOT: &str = "/run/containerd/runc/k8s.io";

/// These calls take 6-8 ms.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

impl Inner {
    /// The state of a container's task, or `None` if it has none: never started, ended, or removed.
    pub(super) async fn task(&self, id: &str) -> Result<Option<TaskStatus>, Status> {
        let request = GetRequest { container_id: id.to_owned(), exec_id: String::new() };
        let mut tasks = self.client.tasks.clone();
        let Ok(answer) = tokio::time::timeout(LIMIT, tasks.get(request)).await else {
            return Err(Status::deadline_exceeded(format!("containerd did not answer within {LIMIT:?}")));
        };
        match answer {
            Ok(response) => Ok(response.into_inner().process.map(|process| process.status())),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// The first process of a container, by its id in the node.
    pub(super) async fn first_process(&self, container: &Container) -> Result<Option<u32>, EngineError> {
        let request = GetRequest { container_id: container.id.clone(), exec_id: String::new() };
        let mut tasks = self.client.tasks.clone();
        let what = format!("look for the process of container {}", container.slot.spec.name);
        let answer = self.call(During::Control, &what, LIMIT, tasks.get(request)).await?;
        Ok(answer.process.map(|process| process.pid).filter(|pid| *pid > 0))
    }

    /// The network of a sandbox, by the name of the container that lives or is to live in it: that of its own process.
    pub(super) async fn network(&self, name: &str) -> Result<std::path::PathBuf, EngineError> {
        let named = |config: &super::PodSandboxConfig| config.metadata.as_ref().is_some_and(|m| m.name == name);
        let sandbox = {
            let state = self.state();
            state.sandboxes.iter().find(|(_, config)| named(config)).map(|(id, _)| id.clone())
        };
        let none = || {
            let message = format!("there is no sandbox for a container {name} on node {}", self.node.name());
            EngineError::new(ErrorClass::UnknownContainer, message)
        };
        let request = GetRequest { container_id: sandbox.ok_or_else(none)?, exec_id: String::new() };
        let mut tasks = self.client.tasks.clone();
        let what = format!("look for the sandbox of container {name}");
        let answer = self.call(During::Control, &what, LIMIT, tasks.get(request)).await?;
        let pid = answer.process.map(|process| process.pid).filter(|pid| *pid > 0).ok_or_else(none)?;
        Ok(std::path::PathBuf::from(format!("/proc/{pid}/ns/net")))
    }

    /// All tasks of the node, sandboxes' own included.
    pub(super) async fn tasks(&self) -> Result<Vec<(String, TaskStatus)>, EngineError> {
        let mut tasks = self.client.tasks.clone();
        let list = self.call(During::Control, "list tasks", LIMIT, tasks.list(ListTasksRequest::default())).await?;
        Ok(list.tasks.iter().map(|task| (task.id.clone(), task.status())).collect())
    }

    pub(super) async fn freeze(&self, container: &Container) -> Result<(), EngineError> {
        let turn = self.turn(&container.id);
        let _turn = turn.lock().await;
        match self.pause(&container.id).await {
            Ok(()) => {
                self.state().frozen.insert(container.id.clone());
                Ok(())
            }
            Err(status) => Err(self.control_error("freeze", container, &status).await),
        }
    }

    pub(super) async fn thaw(&self, container: &Container) -> Result<(), EngineError> {
        let turn = self.turn(&container.id);
        let _turn = turn.lock().await;
        match self.resume(&container.id).await {
            Ok(()) => {
                self.state().frozen.remove(&container.id);
                Ok(())
            }
            Err(status) => Err(self.control_error("thaw", container, &status).await),
        }
    }

    /// Freezes; frozen already is no error. Says so only when the kernel has done it: runc waits for `FROZEN`.
    pub(super) async fn pause(&self, id: &str) -> Result<(), Status> {
        let request = PauseTaskRequest { container_id: id.to_owned() };
        let mut tasks = self.client.tasks.clone();
        settled(tokio::time::timeout(LIMIT, tasks.pause(request)).await, "cannot pause a paused container")
    }

    /// Thaws; running already is no error.
    pub(super) async fn resume(&self, id: &str) -> Result<(), Status> {
        match self.resume_once(id).await {
            Err(status) if status.message().contains("container not paused") => {
                self.pause_below(id).await?;
                self.resume_once(id).await
            }
            resumed => resumed,
        }
    }

    async fn resume_once(&self, id: &str) -> Result<(), Status> {
        let request = ResumeTaskRequest { container_id: id.to_owned() };
        let mut tasks = self.client.tasks.clone();
        settled(tokio::time::timeout(LIMIT, tasks.resume(request)).await, "cannot resume a running")
    }

    /// CRIU thaws a container by itself while it dumps. When it is killed then, the shim goes on calling the task paused,
    /// and can neither pause nor resume it (containerd 2.1.9, runc 1.3.6: `container not paused`). So what the shim thinks
    /// is made true, by the runtime alone.
    async fn pause_below(&self, id: &str) -> Result<(), Status> {
        let pause = Exec::new(&self.options.runtime).args(["--root", RUNTIME_ROOT, "pause", id]).timeout(LIMIT);
        self.node.run(pause).await.map(drop).map_err(|e| Status::unknown(Chain(&e).to_string()))
    }

    /// SIGKILL to all processes of a container.
    pub(super) async fn kill_task(&self, id: &str) -> Result<(), Status> {
        let request = KillRequest { container_id: id.to_owned(), exec_id: String::new(), signal: 9, all: true };
        let mut tasks = self.client.tasks.clone();
        settled(tokio::time::timeout(LIMIT, tasks.kill(request)).await, "process already finished")
    }

    /// The tasks service only knows that there is no task; CRI knows whether there is a container.
    async fn control_error(&self, verb: &str, container: &Container, status: &Status) -> EngineError {
        let what = format!("{verb} container {}", container.slot.spec.name);
        let mut error = self.error(During::Control, &what, status, Vec::new());
        if error.class == ErrorClass::UnknownContainer && matches!(self.inspect(container).await, Ok(Some(_))) {
            error.class = ErrorClass::NotRunning;
            error.hint = classify::hint(ErrorClass::NotRunning).map(str::to_owned);
        }
        error
    }
}

/// `done` is what containerd says when there was nothing to do.
fn settled<T>(
    answer: Result<Result<tonic::Response<T>, Status>, tokio::time::error::Elapsed>,
    done: &str,
) -> Result<(), Status> {
    match answer {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(status)) if status.message().contains(done) => Ok(()),
        Ok(Err(status)) => Err(status),
        Err(_) => Err(Status::deadline_exceeded(format!("containerd did not answer within {LIMIT:?}"))),
    }
}
