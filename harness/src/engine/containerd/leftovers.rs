//! What checkpoints and restores leave in a node: processes, temporary files, logs; and the list of what is still there.

use super::Containerd;
use crate::engine::cri_api::short;
use crate::engine::{EngineError, yards};
use crate::node::processes;
use std::path::Path;

impl Containerd {
    /// Removes CRIU images that a broken checkpoint left in containerd's `TMPDIR`: they hold all of the container's memory.
    /// Only while no checkpoint is under way.
    pub(in crate::engine) fn clear_tmp(&self) {
        for entry in std::fs::read_dir(self.host(&self.places.tmp)).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("ctrd-checkpoint") {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Removes all that a containerd which has died left in its `TMPDIR`: images of a checkpoint, and `checkpointNNN`, the
    /// archive that it was unpacking for a restore.
    pub(in crate::engine) fn empty_tmp(&self) {
        for entry in std::fs::read_dir(self.host(&self.places.tmp)).into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }

    /// After a restore that failed. CRIU's working folder lies under the root; its bundle under the state.
    pub(in crate::engine) async fn clear_yards(&self) {
        if self.criu.idle() {
            for below in [&self.places.root, &self.places.state] {
                yards::clear(&self.node, Path::new(below)).await;
            }
        }
    }

    /// Tasks, processes, mounts and files that are still there.
    pub(in crate::engine) async fn left(&self) -> Result<Vec<String>, EngineError> {
        let mut left: Vec<String> = match self.foreign {
            // Whose they are is not known here.
            true => Vec::new(),
            false => self.tasks().await?.iter().map(|(id, _)| format!("task {}", short(id))).collect(),
        };
        let criu = processes(&self.node).into_iter().filter(|(_, process)| process.comm == "criu");
        left.extend(criu.map(|(pid, _)| format!("process criu ({pid})")));
        left.extend(yards::left(&self.node, Path::new("/")));
        for dir in [&self.places.checkpoints, &self.places.tmp] {
            let entries = std::fs::read_dir(self.host(dir)).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| format!("file {dir}/{}", entry.file_name().to_string_lossy())));
        }
        Ok(left)
    }

    /// Copies the daemon's and CRIU's logs with their configuration.
    pub(in crate::engine) fn collect_logs(&self, into: &Path) -> Result<(), EngineError> {
        let failed = |e: std::io::Error| self.surroundings("collect containerd's logs", e);
        std::fs::create_dir_all(into).map_err(failed)?;
        let log = self.places.log().to_string_lossy().into_owned();
        let own = std::fs::read_dir(self.host(&self.places.home)).into_iter().flatten().flatten();
        let names = own.map(|e| e.file_name().to_string_lossy().into_owned());
        let criu = names.filter(|n| n.starts_with("criu") && n.ends_with(".conf")).map(|n| self.places.in_home(&n));
        let files = [log, self.places.config(), self.places.criu_log()].into_iter().chain(criu);
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
