//! Whether CRIU's page server gets the pipe that it needs, and what is done where it does not: see the package
//! `podferry-preload`.

use super::runtime::{Inner, io_error};
use crate::engine::EngineError;
use crate::image::WorkloadBinaries;
use crate::record::ErrorClass;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use std::fs;
use std::io;
use std::path::PathBuf;

/// What CRIU asks for (criu 4.2.1: `PIPE_MAX_SIZE * PAGE_SIZE`).
const ASKED: i32 = 819 * 4096;
/// The library that is loaded into CRIU.
const LIBRARY: &str = "libpodferry_preload.so";

/// Whether the kernel gives such a pipe, by asking for one. The programs of a node have the capabilities of the harness.
fn granted() -> io::Result<bool> {
    let (pipe, _other) = io::pipe()?;
    match fcntl(&pipe, FcntlArg::F_SETPIPE_SZ(ASKED)) {
        Ok(_) => Ok(true),
        Err(Errno::EPERM) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn library() -> PathBuf {
    WorkloadBinaries::find().dir.join(LIBRARY)
}

/// Whether lazy pages can be served, or why not.
pub(super) fn able() -> Result<(), String> {
    match granted() {
        Ok(true) => Ok(()),
        Ok(false) if library().is_file() => Ok(()),
        Ok(false) => Err(format!(
            "criu needs a pipe of {} KiB, which takes CAP_SYS_RESOURCE here, and {LIBRARY}, which helps it, is not beside \
             podferry's workloads",
            ASKED >> 10
        )),
        Err(e) => Err(format!("can't find out whether criu gets the pipe that it needs: {e}")),
    }
}

/// The library's place in the node, if CRIU needs it.
pub(super) fn preload(inner: &Inner) -> Result<Option<PathBuf>, EngineError> {
    let refused = |e: io::Error| EngineError::new(ErrorClass::Surroundings, format!("can't make a pipe: {e}"));
    if granted().map_err(refused)? {
        return Ok(None);
    }
    let (from, inside) = (library(), inner.home.join(LIBRARY));
    let to = inner.host(&inside);
    if !to.exists() {
        fs::copy(&from, &to).map_err(|e| io_error("copy", &from, &e))?;
    }
    Ok(Some(inside))
}
