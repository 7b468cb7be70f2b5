//! What dockerd and the node's kernel say of a container.

use super::Inner;
use super::client::{LIMIT, Said};
use crate::engine::kernel::{Freezer, Process};
use crate::engine::runc::classify::During;
use crate::engine::{Container, EngineError};
use crate::node::{CONTAINERS, MemoryGroup};
use crate::record::{EndReport, MemoryReport, OutsideReport};
use bollard::errors::Error;
use bollard::models::{ContainerState, ContainerStateStatusEnum as State};

/// A container's control group, as the node sees it.
fn group(id: &str) -> String {
    format!("{CONTAINERS}/{id}")
}

impl Inner {
    /// What dockerd says of a container; `None` if there is none of this id.
    async fn ask(&self, id: &str, during: During, what: &str) -> Result<Option<ContainerState>, EngineError> {
        let asked = tokio::time::timeout(LIMIT, self.docker().inspect_container(id, None)).await;
        match asked {
            Ok(Ok(answer)) => Ok(answer.state),
            Ok(Err(Error::DockerResponseServerError { status_code: 404, .. })) => Ok(None),
            Ok(Err(e)) => Err(self.error(during, what, &Said::of(&e), Vec::new())),
            Err(_) => Err(self.surroundings(what, format!("dockerd did not answer within {LIMIT:?}"))),
        }
    }

    /// The state that a container is in.
    pub(super) async fn state(&self, id: &str, during: During, what: &str) -> Result<Option<State>, EngineError> {
        Ok(self.ask(id, during, what).await?.and_then(|state| state.status))
    }

    /// The id, in the node, of its first process.
    pub(super) async fn pid(&self, id: &str, during: During, what: &str) -> Result<Option<u32>, EngineError> {
        Ok(self.ask(id, during, what).await?.and_then(|state| pid(&state)))
    }

    pub(super) async fn inspect(&self, container: &Container) -> Result<Option<OutsideReport>, EngineError> {
        let what = format!("inspect container {}", container.slot.spec.name);
        let Some(state) = self.ask(&container.id, During::Control, &what).await? else { return Ok(None) };
        let process = pid(&state).map(|pid| Process::of(&self.node, pid)).unwrap_or_default();
        let freezer = Freezer::of(&self.node, &group(&container.id));
        let memory = self.memory(container);
        let engine_state = word(state.status);
        Ok(Some(OutsideReport {
            end: (engine_state == "stopped").then(|| end(&state, memory.map(|m| m.oom_kills))),
            engine_state: engine_state.to_owned(),
            engine_says: None,
            processes: freezer.as_ref().and_then(|f| f.count().ok()).and_then(|n| u32::try_from(n).ok()),
            frozen: freezer.and_then(|f| f.frozen().ok()),
            pid_inside: process.pid_inside,
            comm: process.comm,
            argv: process.argv,
            mounts: process.mounts,
            address: Some(container.slot.address.to_string()),
            memory,
        }))
    }

    pub(super) fn memory(&self, container: &Container) -> Option<MemoryReport> {
        MemoryGroup::of(&self.host("/sys/fs/cgroup"), &group(&container.id)).report()
    }
}

fn pid(state: &ContainerState) -> Option<u32> {
    state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0)
}

fn end(state: &ContainerState, oom_kills: Option<u64>) -> EndReport {
    EndReport {
        exit_code: state.exit_code.and_then(|code| i32::try_from(code).ok()),
        engine_reason: (state.oom_killed == Some(true)).then(|| "OOMKilled".to_owned()),
        oom_kills,
    }
}

fn word(state: Option<State>) -> &'static str {
    match state {
        Some(State::CREATED) => "created",
        Some(State::RUNNING) => "running",
        Some(State::PAUSED) => "paused",
        Some(State::EXITED | State::DEAD | State::REMOVING) => "stopped",
        _ => "unknown",
    }
}
