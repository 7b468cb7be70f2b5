//! From what goes wrong around an engine (programs, files, tasks) to an [`EngineError`].

use super::EngineError;
use crate::process::ExecError;
use crate::record::{Chain, ErrorClass};
use std::fs;
use std::io;
use std::path::Path;

pub(super) fn exec_error(what: &str, e: &ExecError) -> EngineError {
    let class = match e {
        ExecError::Timeout { .. } => ErrorClass::Timeout,
        _ => ErrorClass::Surroundings,
    };
    EngineError::new(class, format!("{what}: {}", Chain(e)))
}

pub(super) fn io_error(doing: &str, path: &Path, e: &io::Error) -> EngineError {
    let class = match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorClass::NoSpace,
        _ => ErrorClass::Surroundings,
    };
    EngineError::new(class, format!("can't {doing} {}: {e}", path.display()))
}

/// A task that panicked, or was aborted with its runtime.
pub(super) fn task_failed(e: tokio::task::JoinError) -> EngineError {
    EngineError::new(ErrorClass::Other, format!("the task of an engine call failed: {e}"))
}

/// Runs file work off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work).await.map_err(task_failed)?
}

/// The last 256 KiB of a file.
pub(super) fn read_tail(path: &Path) -> Option<String> {
    use std::os::unix::fs::FileExt;
    let file = fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let from = length.saturating_sub(256 << 10);
    let mut bytes = vec![0; usize::try_from(length - from).ok()?];
    file.read_exact_at(&mut bytes, from).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Copies a folder of logs, without what CRIU mounted in it.
pub(super) fn copy_logs(from: &Path, into: &Path) -> io::Result<()> {
    fs::create_dir_all(into)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = into.join(entry.file_name());
        if super::yards::is_yard(&entry.file_name()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_logs(&entry.path(), &target)?;
        } else if entry.file_type()?.is_file() {
            let copied = fs::copy(entry.path(), &target);
            copied.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", entry.path().display())))?;
        }
    }
    Ok(())
}
