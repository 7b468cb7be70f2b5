//! What the node's kernel and podman say of a container. podman is asked only where the kernel knows nothing: a call of it
//! takes 50 ms and its locks, and a container that has just been started is looked at often.

use super::call::Inner;
use crate::engine::kernel::{Process, argv};
use crate::engine::{Container, EngineError};
use crate::record::{EndReport, ErrorClass, OutsideReport};
use std::fs;
use std::path::Path;

/// What podman has no such container says.
const NONE: &[&str] = &["no such container", "no such object"];

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    exit_code: i32,
    #[serde(rename = "OOMKilled", default)]
    oom_killed: bool,
}

impl Inner {
    pub(super) async fn inspect(&self, container: &Container) -> Result<Option<OutsideReport>, EngineError> {
        let group = self.group(&container.id);
        let freezer = group.freezer();
        let frozen = freezer.as_ref().and_then(|f| f.frozen().ok());
        let processes = freezer.as_ref().and_then(|f| f.count().ok()).and_then(|n| u32::try_from(n).ok());
        let report = OutsideReport {
            frozen,
            processes,
            memory: group.memory(),
            address: Some(container.slot.address.to_string()),
            ..OutsideReport::default()
        };
        if let Some(pid) = self.first_process(&container.id) {
            let process = Process::of(&self.node, pid);
            return Ok(Some(OutsideReport {
                engine_state: if frozen == Some(true) { "paused" } else { "running" }.to_owned(),
                pid_inside: process.pid_inside,
                comm: process.comm,
                argv: process.argv,
                mounts: process.mounts,
                ..report
            }));
        }
        Ok(self.state(container).await?.map(|state| {
            let ended = !["created", "configured", "initialized", "running"].contains(&state.status.as_str());
            let end = EndReport {
                exit_code: Some(state.exit_code),
                engine_reason: state.oom_killed.then(|| "OOMKilled".to_owned()),
                oom_kills: report.memory.map(|m| m.oom_kills),
            };
            OutsideReport {
                end: ended.then_some(end),
                engine_state: engine_state(&state.status).to_owned(),
                engine_says: Some(state.status),
                ..report
            }
        }))
    }

    async fn state(&self, container: &Container) -> Result<Option<State>, EngineError> {
        let what = format!("can't look at container {}", container.slot.spec.name);
        let args = ["container", "inspect", "--format", "{{json .State}}", &container.id];
        let output = self.output(&args, &what).await?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.code != 0 {
            if NONE.iter().any(|text| said.contains(text)) {
                return Ok(None);
            }
            return Err(EngineError::new(ErrorClass::Other, format!("{what}: podman says: {said}")));
        }
        let state = serde_json::from_slice(&output.stdout);
        state.map(Some).map_err(|e| EngineError::new(ErrorClass::Other, format!("{what}: podman says no JSON: {e}")))
    }

    /// By the file that conmon writes, and the kernel: it must be one of the container's own group. The file stays when the
    /// container has ended.
    pub(super) fn first_process(&self, id: &str) -> Option<u32> {
        let pid: u32 = self.number(id, "pidfile")?;
        self.group(id).processes().ok()?.contains(&pid).then_some(pid)
    }

    /// The container's conmon.
    pub(super) fn monitor(&self, id: &str) -> Option<u32> {
        let pid = self.number(id, "conmon.pid")?;
        argv(&self.node, pid).iter().any(|word| word == id).then_some(pid)
    }

    /// Whether a container has this name: podman tells it to conmon.
    pub(super) fn monitors_container(&self, id: &str, name: &str) -> bool {
        self.monitor(id).is_some_and(|pid| argv(&self.node, pid).windows(2).any(|w| w == ["-n", name]))
    }

    fn number(&self, id: &str, file: &str) -> Option<u32> {
        let folder = self.run_folder().join("run/overlay-containers").join(id).join("userdata");
        fs::read_to_string(self.host(&folder.join(Path::new(file)))).ok()?.trim().parse().ok()
    }
}

/// podman's word in those that all engines use.
fn engine_state(status: &str) -> &str {
    match status {
        "exited" | "stopped" | "stopping" | "removing" => "stopped",
        "configured" | "created" | "initialized" => "created",
        "running" | "paused" => status,
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_read_and_named_as_elsewhere() {
        // Cut down from what podman 5.8.6 printed.
        let said =
            r#"{"OciVersion":"1.2.1","Status":"exited","Running":false,"OOMKilled":true,"Pid":0,"ExitCode":137}"#;
        let state: State = serde_json::from_str(said).unwrap();
        assert_eq!((engine_state(&state.status), state.exit_code, state.oom_killed), ("stopped", 137, true));
        assert_eq!(engine_state("running"), "running");
        assert_eq!(engine_state("improper"), "unknown");
    }
}
