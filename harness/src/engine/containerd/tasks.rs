//! Freezing and thawing by containerd's own tasks service: CRI has no word for it, and writing to the freezer cgroup
//! behind containerd's back makes it refuse the checkpoint (`container not running`).

use super::classify::During;
use super::generated::containerd::services::tasks::v1::{
    GetRequest, KillRequest, ListTasksRequest, PauseTaskRequest, ResumeTaskRequest,
};
use super::generated::containerd::v1::types::Status as TaskStatus;
use super::{Containerd, Outside};
use crate::engine::EngineError;
use crate::process::Exec;
use crate::record::Chain;
use std::time::Duration;
use tonic::{Code, Status};

/// These calls take 6-8 ms.
pub(in crate::engine) const LIMIT: Duration = Duration::from_secs(30);

impl Containerd {
    /// The state of a container's task, or `None` if it has none: never started, ended, or removed.
    pub(in crate::engine) async fn task(&self, id: &str) -> Result<Option<TaskStatus>, Status> {
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

    /// The first process of a task, by its id in the node. An error if there is no task.
    pub(in crate::engine) async fn task_pid(&self, id: &str, what: &str) -> Result<Option<u32>, EngineError> {
        let request = GetRequest { container_id: id.to_owned(), exec_id: String::new() };
        let mut tasks = self.client.tasks.clone();
        let answer = self.call(During::Control, what, LIMIT, tasks.get(request)).await?;
        Ok(answer.process.map(|process| process.pid).filter(|pid| *pid > 0))
    }

    /// All tasks of the engine's namespace, sandboxes' own included.
    pub(in crate::engine) async fn tasks(&self) -> Result<Vec<(String, TaskStatus)>, EngineError> {
        let mut tasks = self.client.tasks.clone();
        let list = self.call(During::Control, "list tasks", LIMIT, tasks.list(ListTasksRequest::default())).await?;
        Ok(list.tasks.iter().map(|task| (task.id.clone(), task.status())).collect())
    }

    /// Freezes, in its turn, and remembers that it is meant.
    pub(in crate::engine) async fn freeze_task(&self, id: &str) -> Result<(), Status> {
        let turn = self.turn(id);
        let _turn = turn.lock().await;
        self.freeze_in_turn(id).await
    }

    /// Freezes likewise, for who has the container's turn.
    pub(in crate::engine) async fn freeze_in_turn(&self, id: &str) -> Result<(), Status> {
        self.pause(id).await?;
        self.hold().frozen.insert(id.to_owned());
        Ok(())
    }

    /// Thaws, likewise.
    pub(in crate::engine) async fn thaw_task(&self, id: &str) -> Result<(), Status> {
        let turn = self.turn(id);
        let _turn = turn.lock().await;
        self.thaw_in_turn(id).await
    }

    /// Thaws likewise, for who has the container's turn.
    pub(in crate::engine) async fn thaw_in_turn(&self, id: &str) -> Result<(), Status> {
        self.resume(id).await?;
        self.hold().frozen.remove(id);
        Ok(())
    }

    /// Freezes; frozen already is no error. Says so only when the kernel has done it: runc waits for `FROZEN`, crun 1.28
    /// does not.
    pub(in crate::engine) async fn pause(&self, id: &str) -> Result<(), Status> {
        let mut tries = 1;
        while let Err(status) = self.pause_once(id).await {
            if !again(&status, tries) {
                return Err(status);
            }
            tries += 1;
        }
        match self.group_of(id) {
            Some(group) => Outside::new(&self.node, &group).stands_still().await.map_err(Status::unknown),
            None => Ok(()),
        }
    }

    async fn pause_once(&self, id: &str) -> Result<(), Status> {
        let request = PauseTaskRequest { container_id: id.to_owned() };
        let mut tasks = self.client.tasks.clone();
        settled(tokio::time::timeout(LIMIT, tasks.pause(request)).await, "cannot pause a paused container")
    }

    /// Thaws; running already is no error.
    pub(in crate::engine) async fn resume(&self, id: &str) -> Result<(), Status> {
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
        let pause = Exec::new(&self.runtime).args(["--root", &self.runtime_root(), "pause", id]).timeout(LIMIT);
        self.node.run(pause).await.map(drop).map_err(|e| Status::unknown(Chain(&e).to_string()))
    }

    /// Where the shim has the runtime keep its state: by namespace, in one place for all containerds of a node.
    fn runtime_root(&self) -> String {
        format!("/run/containerd/runc/{}", self.namespace)
    }

    /// SIGKILL to all processes of a container.
    pub(in crate::engine) async fn kill_task(&self, id: &str) -> Result<(), Status> {
        let request = KillRequest { container_id: id.to_owned(), exec_id: String::new(), signal: 9, all: true };
        let mut tasks = self.client.tasks.clone();
        settled(tokio::time::timeout(LIMIT, tasks.kill(request)).await, "process already finished")
    }
}

/// Whether a pause that failed is to be tried again. With control groups of version 1 runc looks a thousand times whether the kernel
/// is done with freezing, which on a busy machine can be too few, and thaws again then (runc 1.3.6).
fn again(status: &Status, tries: u32) -> bool {
    tries < 3 && status.message().contains("unable to freeze")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_is_slow_with_is_asked_for_again() {
        let slow = Status::unknown("OCI runtime pause failed: unable to freeze");
        assert!(again(&slow, 1) && again(&slow, 2) && !again(&slow, 3));
        assert!(!again(&Status::unknown("OCI runtime pause failed: container not running"), 1), "it is told at once");
    }
}
