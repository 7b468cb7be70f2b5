//! What CRI-O and the node's kernel say of a container.

use super::Inner;
use crate::engine::cri_api::{During, LIMIT, Served, v1 as cri};
use crate::engine::group::Group;
use crate::engine::kernel::Process;
use crate::engine::{Container, EngineError};
use crate::node::CONTAINERS;
use crate::record::{EndReport, EngineKind, ErrorClass, OutsideReport};
use std::path::PathBuf;

/// What is used of the verbose status of a container: JSON under the key `info`.
#[derive(Default, serde::Deserialize)]
pub(super) struct Info {
    #[serde(default)]
    pub(super) pid: u32,
    #[serde(default)]
    pub(super) restored: bool,
}

impl Inner {
    /// CRI's word on a container. `UnknownContainer` if there is none.
    pub(super) async fn status(&self, container: &Container) -> Result<(cri::ContainerStatus, Info), EngineError> {
        let request = cri::ContainerStatusRequest { container_id: container.id.clone(), verbose: true };
        let mut runtime = self.client.runtime.clone();
        let what = format!("look at container {}", container.slot.spec.name);
        let answer = self.answer(During::Control, &what, LIMIT, runtime.container_status(request)).await?;
        let info = answer.info.get("info").and_then(|info| serde_json::from_str(info).ok());
        Ok((answer.status.unwrap_or_default(), info.unwrap_or_default()))
    }

    pub(super) async fn inspect(&self, container: &Container) -> Result<Option<OutsideReport>, EngineError> {
        let (status, info) = match self.status(container).await {
            Ok(found) => found,
            Err(e) if e.class == ErrorClass::UnknownContainer => return Ok(None),
            Err(e) => return Err(e),
        };
        let group = self.group(container);
        let freezer = group.freezer();
        let frozen = freezer.as_ref().and_then(|f| f.frozen().ok());
        let processes = freezer.as_ref().and_then(|f| f.count().ok()).and_then(|n| u32::try_from(n).ok());
        let says = word(status.state());
        let mut report = OutsideReport {
            engine_state: engine_state(says, frozen, processes).to_owned(),
            engine_says: Some(says.to_owned()),
            frozen,
            processes,
            address: Some(container.slot.address.to_string()),
            memory: group.memory(),
            ..OutsideReport::default()
        };
        if says == "stopped" {
            report.end = Some(EndReport {
                exit_code: Some(status.exit_code),
                engine_reason: Some(status.reason).filter(|word| !word.is_empty()),
                oom_kills: report.memory.map(|m| m.oom_kills),
            });
        } else if info.pid != 0 {
            let process = Process::of(&self.node, info.pid);
            report.comm = process.comm;
            report.pid_inside = process.pid_inside;
            report.mounts = process.mounts;
            report.argv = process.argv;
        }
        Ok(Some(report))
    }

    pub(super) async fn first_process(&self, container: &Container) -> Result<Option<u32>, EngineError> {
        let (_, info) = self.status(container).await?;
        Ok(Some(info.pid).filter(|pid| *pid != 0))
    }

    /// The network of a sandbox, by the name of the container that lives or is to live in it.
    pub(super) async fn network(&self, name: &str) -> Result<PathBuf, EngineError> {
        let what = format!("look for the network of container {name}");
        let none = || {
            let message = format!("can't {what}: there is no sandbox for it on node {}", self.node.name());
            EngineError::new(ErrorClass::UnknownContainer, message)
        };
        let id = self.sandbox_of(name).ok_or_else(none)?;
        let request = cri::PodSandboxStatusRequest { pod_sandbox_id: id, verbose: true };
        let mut runtime = self.client.runtime.clone();
        let answer = self.answer(During::Control, &what, LIMIT, runtime.pod_sandbox_status(request)).await?;
        let info: Option<serde_json::Value> = answer.info.get("info").and_then(|i| serde_json::from_str(i).ok());
        let namespaces = info.as_ref().and_then(|i| i["runtimeSpec"]["linux"]["namespaces"].as_array());
        let network = namespaces.into_iter().flatten().find(|n| n["type"] == "network");
        let path = network.and_then(|n| n["path"].as_str()).map(PathBuf::from);
        path.ok_or_else(|| self.surroundings(&what, "crio names no network namespace of its sandbox"))
    }

    /// The sandbox with this name.
    pub(super) fn sandbox_of(&self, name: &str) -> Option<String> {
        let named = |config: &cri::PodSandboxConfig| config.metadata.as_ref().is_some_and(|m| m.name == name);
        self.state().sandboxes.iter().find(|(_, config)| named(config)).map(|(id, _)| id.clone())
    }

    /// The control group of a pod, which holds one for each of its containers.
    pub(super) fn pod_group(&self, name: &str) -> String {
        format!("{CONTAINERS}/{}.{name}", EngineKind::CriCrio)
    }

    /// The control group of a container: under the parent that its sandbox was given.
    pub(super) fn group(&self, container: &Container) -> Group {
        let parent = {
            let state = self.state();
            let linux = state.sandboxes.get(&container.slot.handle).and_then(|config| config.linux.as_ref());
            linux.map(|linux| linux.cgroup_parent.clone())
        };
        let parent = parent.unwrap_or_else(|| self.pod_group(&container.slot.spec.name));
        Group::of(&self.node, format!("{parent}/crio-{}", container.id))
    }
}

fn word(state: cri::ContainerState) -> &'static str {
    match state {
        cri::ContainerState::ContainerCreated => "created",
        cri::ContainerState::ContainerRunning => "running",
        cri::ContainerState::ContainerExited => "stopped",
        cri::ContainerState::ContainerUnknown => "unknown",
    }
}

/// CRI-O says `running` of a frozen container, and of one that has ended until conmon has told it.
fn engine_state(says: &'static str, frozen: Option<bool>, processes: Option<u32>) -> &'static str {
    match (says, frozen, processes) {
        ("running", Some(true), _) => "paused",
        ("running", _, None | Some(0)) => "unknown",
        _ => says,
    }
}

#[cfg(test)]
mod tests {
    use super::engine_state;

    #[test]
    fn states() {
        assert_eq!(engine_state("running", Some(false), Some(1)), "running");
        assert_eq!(engine_state("running", Some(true), Some(1)), "paused");
        assert_eq!(engine_state("running", None, None), "unknown", "it has ended, and CRI-O does not know");
        assert_eq!(engine_state("stopped", None, None), "stopped");
        assert_eq!(engine_state("created", Some(false), Some(1)), "created");
    }
}
