//! Ends calls of the runtime's that would not end by themselves.

use super::runtime::Inner;
use crate::engine::group::{descendants, kill};
use crate::engine::watchdog::{Patience, Stuck};
use crate::node::Program;
use crate::process::ExecError;
use std::fs;
use std::path::Path;

/// Waits for a program of the runtime's. When patience is over, it is killed with its children, and with whatever it has
/// already made of the container `making`.
pub(super) async fn watch(
    inner: &Inner,
    program: &mut dyn Program,
    making: Option<&str>,
    patience: Patience,
    criu_log: Option<&Path>,
) -> Result<Result<i32, Stuck>, ExecError> {
    let logged = || criu_log.and_then(|log| fs::metadata(log).ok()).map_or(0, |m| m.len());
    match patience.wait(program.wait(), logged, inner.limits.restore_log).await {
        Ok(code) => code.map(Ok),
        Err(stuck) => {
            kill_all(inner, program.pid(), making).await?;
            // Its end is certain now; a node that cannot say so is gone.
            program.wait().await?;
            Ok(Err(stuck))
        }
    }
}

/// Kills a call of the runtime's with all below it, then, if the call was making the container, what is in the
/// container's control group. (A dump's victim is no child of the call, and is left alone.)
async fn kill_all(inner: &Inner, root: u32, container: Option<&str>) -> Result<(), ExecError> {
    kill(&inner.node, &descendants(&inner.node, root).unwrap_or_else(|_| vec![root])).await?;
    let rest = container.and_then(|name| inner.processes(name).ok()).unwrap_or_default();
    kill(&inner.node, &rest).await
}
