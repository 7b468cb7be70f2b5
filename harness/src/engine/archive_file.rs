//! The files that checkpoints are written to.

use super::EngineError;
use crate::node::SharedNode;
use crate::record::ErrorClass;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A path in a folder of the node that nothing has had yet: containerd 2.1.9 and CRI-O 1.34.0 open it without truncating, and
/// an old archive that was longer would keep its end. `serial` gives a number once.
///
/// # Errors
/// The name of the checkpoint can't be a file's.
pub(super) fn fresh(node: &SharedNode, folder: &Path, name: &str, serial: &AtomicU64) -> Result<PathBuf, EngineError> {
    if !plain(name) {
        let message = format!("`{name}` can't name a checkpoint: it becomes a file's name");
        return Err(EngineError::new(ErrorClass::Other, message));
    }
    loop {
        let number = serial.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{name}-{}-{number}.tar", node.name()));
        if !node.host_path(&path).exists() {
            return Ok(path);
        }
    }
}

/// A name that may become part of a path.
fn plain(name: &str) -> bool {
    !name.is_empty() && Path::new(name).file_name().is_some_and(|file| file == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_checkpoints_are_no_paths() {
        assert!(plain("before-the-move.1"));
        for name in ["", ".", "..", "a/b", "/a", "a/"] {
            assert!(!plain(name), "{name}");
        }
    }
}
