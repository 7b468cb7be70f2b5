//! What is still there, and the logs.

use super::{Inner, config};
use crate::engine::cri_api::Served;
use crate::engine::kernel::argv;
use crate::engine::{EngineError, group, yards};
use crate::node::{CONTAINERS, processes};
use crate::record::EngineKind;
use std::path::Path;

impl Inner {
    /// Containers, sandboxes, processes, mounts, groups and files that are still there.
    pub(super) async fn left(&self) -> Result<Vec<String>, EngineError> {
        let mut left = self.listed().await?;
        for (pid, process) in processes(&self.node) {
            let own = || argv(&self.node, pid).iter().any(|word| word.starts_with(&config::home("")));
            if process.comm == "criu" || (process.comm == "conmon" && own()) {
                left.push(format!("process {} ({pid})", process.comm));
            }
        }
        left.extend(yards::left(&self.node, Path::new("/")));
        for dir in [config::CHECKPOINTS, config::TMP, &config::held()] {
            let entries = std::fs::read_dir(self.host(dir)).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| format!("file {dir}/{}", entry.file_name().to_string_lossy())));
        }
        left.extend(self.groups_left());
        left.sort();
        left.dedup();
        Ok(left)
    }

    fn groups_left(&self) -> Vec<String> {
        let prefix = format!("{}.", EngineKind::CriCrio);
        let tops = group::hierarchies(&self.node).into_iter().map(|h| h.join(CONTAINERS.trim_start_matches('/')));
        let entries = tops.flat_map(|top| std::fs::read_dir(top).into_iter().flatten().flatten());
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(&prefix)).map(|name| format!("control group {name}")).collect()
    }

    /// Copies the daemon's and CRIU's logs with their configuration.
    pub(super) fn collect_logs(&self, into: &Path) -> Result<(), EngineError> {
        let failed = |e: std::io::Error| self.surroundings("collect CRI-O's logs", e);
        std::fs::create_dir_all(into).map_err(failed)?;
        for entry in std::fs::read_dir(self.host(config::home(""))).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let wanted = [".log", ".conf"].iter().any(|end| name.to_string_lossy().ends_with(end));
            if wanted && entry.file_type().map_err(failed)?.is_file() {
                std::fs::copy(entry.path(), into.join(&name)).map_err(failed)?;
            }
        }
        Ok(())
    }
}
