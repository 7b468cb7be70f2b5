//! What checkpoints and restores leave in a node: processes, temporary files, logs; and the list of what is still there.

use super::classify::During;
use super::generated::runtime::v1 as cri;
use super::{Inner, config, daemon, tasks};
use crate::engine::{EngineError, yards};
use crate::node::{SharedNode, processes};
use std::path::Path;

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
