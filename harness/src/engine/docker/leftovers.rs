//! What checkpoints and restores leave in a node, and the list of what is still there.

use super::{Inner, config};
use crate::engine::runc::classify::During;
use crate::engine::{EngineError, yards};
use crate::node::{SharedNode, processes};
use bollard::query_parameters::ListContainersOptions;
use std::fs;
use std::io;
use std::path::Path;

/// Removes what is in containerd's `TMPDIR`: it unpacks the images of every restore there and forgets them (containerd
/// 1.7.24, 2.1.9), and they hold all of a container's memory. Only while no checkpoint and no restore is under way.
pub(super) fn empty_tmp(node: &SharedNode) {
    let tmp = node.host_path(Path::new(config::TMP));
    for entry in fs::read_dir(tmp).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("ctrd-checkpoint") {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Inner {
    pub(super) async fn left(&self) -> Result<Vec<String>, EngineError> {
        let all = ListContainersOptions { all: true, ..Default::default() };
        let list = self.call(During::Control, "list containers", self.docker().list_containers(Some(all))).await?;
        let mut left = Vec::new();
        for container in list {
            let name = container.names.unwrap_or_default().concat();
            left.push(format!("container {}", name.trim_start_matches('/')));
            let id = container.id.unwrap_or_default();
            let what = format!("list the checkpoints of container {name}");
            let checkpoints = self.call(During::Control, &what, self.docker().list_checkpoints(&id, None)).await?;
            left.extend(checkpoints.into_iter().map(|c| format!("checkpoint {} of container {name}", c.name)));
        }
        let criu = processes(&self.node).into_iter().filter(|(_, process)| process.comm == "criu");
        left.extend(criu.map(|(pid, _)| format!("process criu ({pid})")));
        left.extend(yards::left(&self.node, Path::new("/")));
        for (kind, dir, prefix) in [
            ("checkpoint", config::CHECKPOINTS, ""),
            ("file", config::TMP, "ctrd-checkpoint"),
            ("network namespace", "/run/netns", super::NETNS),
        ] {
            let entries = fs::read_dir(self.host(dir)).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            left.extend(names.filter(|name| name.starts_with(prefix)).map(|name| format!("{kind} {name}")));
        }
        Ok(left)
    }

    pub(super) fn collect_logs(&self, into: &Path) -> Result<(), EngineError> {
        let failed = |e: io::Error| self.surroundings("collect docker's logs", e);
        fs::create_dir_all(into).map_err(failed)?;
        for dir in [config::HOME, config::CRIU] {
            for entry in fs::read_dir(self.host(dir)).map_err(failed)?.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                    fs::copy(entry.path(), into.join(entry.file_name())).map_err(failed)?;
                }
            }
        }
        Ok(())
    }
}
