//! Ends calls of podman's that would not end by themselves.

use super::call::Inner;
use crate::engine::group::{descendants, kill, pids};
use crate::engine::kernel::argv;
use crate::engine::watchdog::{Patience, Stuck};
use crate::node::{Program, processes};
use crate::process::ExecError;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How long podman may take to clear up once CRIU was killed.
const RETURN_LIMIT: Duration = Duration::from_secs(10);

/// Waits for a call of podman's that makes or dumps the container `name`. When patience is over, its CRIU is killed, and
/// podman is left to clear up; if it does not, it is killed too.
pub(super) async fn watch(
    inner: &Inner,
    mut program: Box<dyn Program>,
    name: &str,
    patience: Patience,
    criu_log: &Path,
) -> Result<Result<i32, Stuck>, ExecError> {
    let logged = || fs::metadata(criu_log).map_or(0, |m| m.len());
    let stuck = match patience.wait(program.wait(), logged, inner.limits.restore_log).await {
        Ok(code) => return code.map(Ok),
        Err(stuck) => stuck,
    };
    kill_criu(inner, program.pid(), name).await?;
    if tokio::time::timeout(RETURN_LIMIT, program.wait()).await.is_err() {
        let all = descendants(&inner.node, program.pid()).unwrap_or_else(|_| vec![program.pid()]);
        kill(&inner.node, &all).await?;
        program.wait().await?;
    }
    Ok(Err(stuck))
}

/// CRIU is below the call in a checkpoint; in a restore it is below the container's conmon, which has left the call. The
/// tasks that CRIU is just making carry its name too, until they are restored.
async fn kill_criu(inner: &Inner, call: u32, name: &str) -> Result<(), ExecError> {
    let named = |pid: &u32| {
        let words = argv(&inner.node, *pid);
        words.first().is_some_and(|p| p.ends_with("/conmon")) && words.windows(2).any(|w| w == ["-n", name])
    };
    let roots = pids(&inner.node).unwrap_or_default().into_iter().filter(named).chain([call]);
    let below: Vec<u32> = roots.flat_map(|root| descendants(&inner.node, root).unwrap_or_default()).collect();
    let all = processes(&inner.node);
    let is_criu = |pid: &&u32| all.get(pid).is_some_and(|process| process.comm == "criu");
    let criu: Vec<u32> = below.iter().filter(is_criu).copied().collect();
    kill(&inner.node, &criu).await
}
