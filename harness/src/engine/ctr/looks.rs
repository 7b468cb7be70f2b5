//! What containerd and the node's kernel say of a container.

use super::Inner;
use crate::engine::containerd::classify::{self, During};
use crate::engine::containerd::generated::containerd::services::tasks::v1::GetRequest;
use crate::engine::containerd::generated::containerd::v1::types::{Process, Status as TaskStatus};
use crate::engine::containerd::{Outside, tasks};
use crate::engine::{Container, EngineError};
use crate::node::CONTAINERS;
use crate::record::{EndReport, ErrorClass, OutsideReport};
use std::path::Path;
use tonic::Status;

/// The control group of a container: containerd makes it of the namespace and the id.
pub(super) fn group(id: &str) -> String {
    format!("{CONTAINERS}/{id}")
}

impl Inner {
    /// Whether a container of this id was made here and not removed.
    pub(super) fn is_known(&self, container: &Container) -> bool {
        let name = &container.slot.spec.name;
        container.id == super::id(name) && self.slots().get(name).is_some_and(|made| *made)
    }

    /// Whether containerd has a container of this id: one that was made before the node was restarted is known to it alone.
    async fn is_listed(&self, id: &str) -> Result<bool, EngineError> {
        let list = self.ctr(During::Control, "list containers", ["containers", "ls", "-q"]).await?;
        Ok(list.lines().any(|line| line == id))
    }

    pub(super) async fn inspect(&self, container: &Container) -> Result<Option<OutsideReport>, EngineError> {
        if !self.is_known(container) && !self.is_listed(&container.id).await? {
            return Ok(None);
        }
        let what = format!("inspect container {}", container.slot.spec.name);
        let request = GetRequest { container_id: container.id.clone(), exec_id: String::new() };
        let mut client = self.client.tasks.clone();
        let process = match self.call(During::Control, &what, tasks::LIMIT, client.get(request)).await {
            Ok(answer) => answer.process,
            Err(e) if e.class == ErrorClass::UnknownContainer => None,
            Err(e) => return Err(e),
        };
        let group = group(&container.id);
        let outside = Outside::new(&self.node, &group);
        let mut report = OutsideReport {
            engine_state: state(process.as_ref()).to_owned(),
            frozen: outside.frozen(),
            processes: outside.processes(),
            address: Some(container.slot.address.to_string()),
            memory: outside.memory(),
            ..Default::default()
        };
        if report.engine_state == "stopped" {
            let exit_code = process.as_ref().and_then(|p| i32::try_from(p.exit_status).ok());
            let oom_kills = report.memory.map(|m| m.oom_kills);
            report.end = Some(EndReport { exit_code, engine_reason: None, oom_kills });
        } else if let Some(pid) = process.map(|p| p.pid).filter(|pid| *pid > 0) {
            outside.look_into_proc(pid, &mut report);
        }
        Ok(Some(report))
    }

    pub(super) async fn freeze(&self, container: &Container) -> Result<(), EngineError> {
        match self.freeze_task(&container.id).await {
            Ok(()) => Ok(()),
            Err(status) => Err(self.task_error("freeze", container, &status)),
        }
    }

    pub(super) async fn thaw(&self, container: &Container) -> Result<(), EngineError> {
        match self.thaw_task(&container.id).await {
            Ok(()) => Ok(()),
            Err(status) => Err(self.task_error("thaw", container, &status)),
        }
    }

    /// Of a container without a task containerd says the same as of one that it does not know.
    fn task_error(&self, verb: &str, container: &Container, status: &Status) -> EngineError {
        let what = format!("{verb} container {}", container.slot.spec.name);
        let mut error = self.error(During::Control, &what, status, Vec::new());
        if error.class == ErrorClass::UnknownContainer && self.is_known(container) {
            error.class = ErrorClass::NotRunning;
            error.hint = classify::hint(ErrorClass::NotRunning).map(str::to_owned);
        }
        error
    }

    pub(super) async fn all_left(&self) -> Result<Vec<String>, EngineError> {
        let list = self.ctr(During::Control, "list containers", ["containers", "ls", "-q"]).await?;
        let mut left: Vec<String> = list.lines().map(|id| format!("container {id}")).collect();
        let images = self.images(&[]).await?;
        left.extend(images.iter().filter(|n| n.starts_with("containerd.io/checkpoint/")).map(|n| format!("image {n}")));
        let networks = std::fs::read_dir(self.host(Path::new("/run/netns"))).into_iter().flatten().flatten();
        let names = networks.map(|entry| entry.file_name().to_string_lossy().into_owned());
        left.extend(names.filter(|n| n.starts_with("ctr-")).map(|n| format!("network namespace {n}")));
        left.extend(self.containerd.left().await?);
        Ok(left)
    }
}

fn state(process: Option<&Process>) -> &'static str {
    match process.map(Process::status) {
        Some(TaskStatus::Created) => "created",
        Some(TaskStatus::Running) => "running",
        Some(TaskStatus::Paused | TaskStatus::Pausing) => "paused",
        // A daemon that was started anew has forgotten the task of a container that ended meanwhile.
        Some(TaskStatus::Stopped) | None => "stopped",
        Some(TaskStatus::Unknown) => "unknown",
    }
}
