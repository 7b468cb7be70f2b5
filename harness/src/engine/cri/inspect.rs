//! What containerd and the node's kernel say of a container.

use super::generated::containerd::v1::types::Status as TaskStatus;
use super::generated::runtime::v1 as cri;
use super::{Groups, Inner};
use crate::engine::containerd::classify::During;
use crate::engine::containerd::{Outside, tasks};
use crate::engine::{Container, EngineError};
use crate::record::{EndReport, ErrorClass, MemoryReport, OutsideReport};
use std::time::{Duration, Instant};

/// What is used of the verbose status: JSON under the key `info`.
#[derive(serde::Deserialize)]
struct Info {
    #[serde(default)]
    pid: u32,
}

/// How long CRI is asked again about a container whose task has ended and that it calls running. It is some milliseconds;
/// of a container whose shim died it may be for ever.
const NOTICE: Duration = Duration::from_millis(300);
/// An end is no event that CRI tells unless it is configured to.
const GLANCE: Duration = Duration::from_millis(5);

impl Inner {
    /// What is seen of a container. Of one that has just ended CRI is asked again until it has noticed the end, with its code.
    pub(super) async fn inspect(&self, container: &Container) -> Result<Option<OutsideReport>, EngineError> {
        let began = Instant::now();
        loop {
            let seen = self.glance(container).await?;
            let unnoticed = |report: &OutsideReport| {
                report.engine_state == "stopped" && report.engine_says.as_deref() == Some("running")
            };
            if began.elapsed() > NOTICE || !seen.as_ref().is_some_and(unnoticed) {
                return Ok(seen);
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    async fn glance(&self, container: &Container) -> Result<Option<OutsideReport>, EngineError> {
        let request = cri::ContainerStatusRequest { container_id: container.id.clone(), verbose: true };
        let mut runtime = self.client.runtime.clone();
        let what = format!("inspect container {}", container.slot.spec.name);
        let answer = match self.call(During::Control, &what, tasks::LIMIT, runtime.container_status(request)).await {
            Ok(answer) => answer,
            Err(e) if e.class == ErrorClass::UnknownContainer => return Ok(None),
            Err(e) => return Err(e),
        };
        let status = answer.status.unwrap_or_default();
        let task = self.task(&container.id).await.map_err(|e| self.error(During::Control, &what, &e, Vec::new()))?;
        let group = self.group(container);
        let group = Outside::new(&self.node, &group);
        let mut report = OutsideReport {
            engine_state: engine_state(status.state(), task).to_owned(),
            engine_says: Some(word(status.state()).to_owned()),
            frozen: group.frozen(),
            processes: group.processes(),
            address: Some(container.slot.address.to_string()),
            memory: self.memory(container),
            ..Default::default()
        };
        // Between a task's end and CRI's notice of it there is no task, and CRI still says `running` (containerd 2.1.9).
        if task.is_none() && report.engine_state == "unknown" && report.processes.is_none_or(|n| n == 0) {
            "stopped".clone_into(&mut report.engine_state);
        }
        if report.engine_state == "stopped" {
            report.end = Some(end(&status, report.memory.map(|m| m.oom_kills)));
        }
        let info = answer.info.get("info").and_then(|info| serde_json::from_str::<Info>(info).ok());
        if let Some(pid) = info.map(|info| info.pid).filter(|pid| *pid != 0) {
            group.look_into_proc(pid, &mut report);
        }
        Ok(Some(report))
    }

    /// The container's own group is gone with its task, as a rule.
    pub(super) fn memory(&self, container: &Container) -> Option<MemoryReport> {
        Outside::new(&self.node, &self.group(container)).memory()
    }

    /// The container's control group: under the parent that its sandbox was given.
    fn group(&self, container: &Container) -> String {
        let above = self.group_above(&container.slot);
        match self.groups {
            Groups::Cgroupfs => format!("{above}/{}", container.id),
            Groups::Systemd => format!("{above}/cri-containerd-{}.scope", container.id),
        }
    }
}

/// containerd says 255 of a container whose end it has not seen: its node was restarted (containerd 2.1.9).
fn end(status: &cri::ContainerStatus, oom_kills: Option<u64>) -> EndReport {
    // Of an end that CRI has not noticed yet it says nothing: the code of a container that it calls running is 0.
    let unnoticed = status.state() != cri::ContainerState::ContainerExited;
    let unseen = unnoticed || (status.exit_code == 255 && status.reason == "Unknown");
    EndReport {
        exit_code: Some(status.exit_code).filter(|_| !unseen),
        engine_reason: Some(status.reason.clone()).filter(|word| !word.is_empty()),
        oom_kills,
    }
}

/// The tasks service knows what CRI has no word for; CRI knows of containers that have no task.
fn engine_state(cri: cri::ContainerState, task: Option<TaskStatus>) -> &'static str {
    match (task, cri) {
        (Some(TaskStatus::Paused | TaskStatus::Pausing), _) => "paused",
        (Some(TaskStatus::Running), _) => "running",
        (Some(TaskStatus::Stopped), _) | (None, cri::ContainerState::ContainerExited) => "stopped",
        (_, cri::ContainerState::ContainerCreated) => "created",
        _ => "unknown",
    }
}

/// CRI's own word, which for a frozen container is `running`, or `unknown` if containerd was started since.
fn word(state: cri::ContainerState) -> &'static str {
    match state {
        cri::ContainerState::ContainerCreated => "created",
        cri::ContainerState::ContainerRunning => "running",
        cri::ContainerState::ContainerExited => "stopped",
        cri::ContainerState::ContainerUnknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::EndReason;
    use cri::ContainerState as C;
    use rstest::rstest;

    #[test]
    fn an_end_that_cri_has_not_noticed_has_no_code() {
        let status = |state: C| cri::ContainerStatus { state: state.into(), ..Default::default() };
        assert_eq!(end(&status(C::ContainerRunning), Some(0)).reason(), None);
        assert_eq!(end(&status(C::ContainerExited), Some(0)).reason(), Some(EndReason::Exited));
        assert_eq!(end(&status(C::ContainerRunning), Some(1)).reason(), Some(EndReason::OomKilled));
    }

    #[rstest]
    #[case(C::ContainerRunning, Some(TaskStatus::Running), "running")]
    #[case(C::ContainerRunning, Some(TaskStatus::Paused), "paused")]
    // After a restart of containerd CRI knows nothing of a container that it found frozen.
    #[case(C::ContainerUnknown, Some(TaskStatus::Paused), "paused")]
    #[case(C::ContainerCreated, None, "created")]
    #[case(C::ContainerExited, None, "stopped")]
    #[case(C::ContainerRunning, None, "unknown")]
    fn states(#[case] cri: C, #[case] task: Option<TaskStatus>, #[case] says: &str) {
        assert_eq!(engine_state(cri, task), says);
    }
}
