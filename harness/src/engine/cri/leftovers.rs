//! What checkpoints and restores leave in a node: processes, temporary files, logs; and the list of what is still there.

use super::classify::During;
use super::generated::runtime::v1 as cri;
use super::{Inner, config, daemon, tasks};
use crate::engine::{EngineError, yards};
use crate::node::{SharedNode, processes};
use crate::process::Exec;
use crate::record::ErrorClass;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long CRIU may take to finish a dump that containerd no longer waits for.
const CRIU_LIMIT: Duration = Duration::from_secs(120);
/// There is no event to wait for: the processes are no children of ours, and of another PID namespace.
const POLL: Duration = Duration::from_millis(2);

/// Waits until no CRIU runs in the node.
pub(super) async fn criu_ended(node: &SharedNode) -> Result<(), EngineError> {
    let began = Instant::now();
    while processes(node).values().any(|process| process.comm == "criu") {
        if began.elapsed() > CRIU_LIMIT {
            let message = format!("a CRIU on node {} did not end within {CRIU_LIMIT:?}", node.name());
            return Err(EngineError::new(ErrorClass::Timeout, message));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Kills the CRIU processes that belong to one sandbox: those below its shim, whose command line names it. The tasks
/// that CRIU is just making carry its name too, until they are restored.
pub(super) async fn kill_criu(node: &SharedNode, sandbox: &str) {
    let all = processes(node);
    let is_shim = |pid: u32| {
        let cmdline = node.host_path(Path::new(&format!("/proc/{pid}/cmdline")));
        std::fs::read_to_string(cmdline).is_ok_and(|line| line.contains("containerd-shim") && line.contains(sandbox))
    };
    let below_shim = |mut pid: u32| {
        while let Some(process) = all.get(&pid).filter(|process| process.parent > 1) {
            pid = process.parent;
            if is_shim(pid) {
                return true;
            }
        }
        false
    };
    let spinning = all.iter().filter(|(pid, process)| process.comm == "criu" && below_shim(**pid));
    let pids: Vec<String> = spinning.map(|(pid, _)| pid.to_string()).collect();
    if pids.is_empty() {
        return;
    }
    // By the node's own shell, since the ids are the node's. One that has just ended is no error.
    let _ = node.output(Exec::new("/bin/sh").args(["-c", "kill -9 \"$@\"", "kill"]).args(pids)).await;
}

/// Removes CRIU images that a broken checkpoint left in containerd's `TMPDIR`: they hold all of the container's memory.
/// Only while no checkpoint is under way.
pub(super) fn clear_tmp(node: &SharedNode) {
    let tmp = node.host_path(Path::new(config::TMP));
    for entry in std::fs::read_dir(tmp).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("ctrd-checkpoint") {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Removes all that a containerd which has died left in its `TMPDIR`: images of a checkpoint, and `checkpointNNN`, the
/// archive that it was unpacking for a restore.
pub(super) fn empty_tmp(node: &SharedNode) {
    let tmp = node.host_path(Path::new(config::TMP));
    for entry in std::fs::read_dir(tmp).into_iter().flatten().flatten() {
        let _ = std::fs::remove_dir_all(entry.path());
    }
}

impl Inner {
    pub(super) async fn left(&self) -> Result<Vec<String>, EngineError> {
        let mut runtime = self.client.runtime.clone();
        let list = runtime.list_containers(cri::ListContainersRequest::default());
        let containers = self.call(During::Control, "list containers", tasks::LIMIT, list).await?.containers;
        let mut runtime = self.client.runtime.clone();
        let list = runtime.list_pod_sandbox(cri::ListPodSandboxRequest::default());
        let sandboxes = self.call(During::Control, "list sandboxes", tasks::LIMIT, list).await?.items;
        let mut left: Vec<String> = containers
            .into_iter()
            .map(|c| format!("container {} ({})", c.metadata.unwrap_or_default().name, short(&c.id)))
            .chain(
                sandboxes
                    .into_iter()
                    .map(|s| format!("sandbox {} ({})", s.metadata.unwrap_or_default().name, short(&s.id))),
            )
            .collect();
        left.extend(self.tasks().await?.iter().map(|(id, _)| format!("task {}", short(id))));
        let criu = processes(&self.node).into_iter().filter(|(_, process)| process.comm == "criu");
        left.extend(criu.map(|(pid, _)| format!("process criu ({pid})")));
        left.extend(yards::left(&self.node, Path::new("/")));
        for dir in [config::CHECKPOINTS, config::TMP] {
            let entries = std::fs::read_dir(self.host(dir)).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| format!("file {dir}/{}", entry.file_name().to_string_lossy())));
        }
        Ok(left)
    }

    pub(super) fn collect_logs(&self, into: &Path) -> Result<(), EngineError> {
        let failed = |e: std::io::Error| self.surroundings("collect containerd's logs", e);
        std::fs::create_dir_all(into).map_err(failed)?;
        let log = daemon::log_path().to_string_lossy().into_owned();
        let own = std::fs::read_dir(self.host(config::HOME)).into_iter().flatten().flatten();
        let names = own.map(|e| e.file_name().to_string_lossy().into_owned());
        let criu = names.filter(|n| n.starts_with("criu") && n.ends_with(".conf")).map(|n| config::in_home(&n));
        let files = [log, config::in_home("config.toml"), config::criu_log_path()].into_iter().chain(criu);
        for inside in files {
            let name = Path::new(&inside).file_name().unwrap_or_default();
            match std::fs::copy(self.host(&inside), into.join(name)) {
                // No CRIU has run yet.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.map_err(failed)?),
            }
        }
        Ok(())
    }
}

/// An id as containerd's own tools show it.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
