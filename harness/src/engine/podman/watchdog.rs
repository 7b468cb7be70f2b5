//! Ends calls that would not end by themselves.

use super::call::Inner;
use crate::engine::criu_log;
use crate::engine::group::{descendants, kill, pids};
use crate::engine::kernel::argv;
use crate::node::{Program, processes};
use crate::process::ExecError;
use crate::record::ErrorClass;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How a watched call ended.
pub(super) enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By force, for this reason.
    Killed {
        /// What kind of failure that is.
        class: ErrorClass,
        /// What was seen.
        why: String,
    },
}

/// When a call is ended by force.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// After this time.
    Time(Duration),
    /// After this time, or when it is seen to spin: a restore.
    Watch(Duration),
    /// When a naive client gives up: nobody looks before.
    Bare(Duration),
}

/// How often a log's size is looked at; that the program ends is waited for, not looked for.
const LOOK: Duration = Duration::from_millis(100);
/// How long podman may take to clear up once CRIU was killed.
const RETURN_LIMIT: Duration = Duration::from_secs(10);

/// Waits for a call of podman's that makes or dumps the container `name`. When time is up, or when CRIU's log outgrows
/// [`super::Limits::restore_log`], its CRIU is killed, and podman is left to clear up; if it does not, it is killed too.
pub(super) async fn watch(
    inner: &Inner,
    mut program: Box<dyn Program>,
    name: &str,
    patience: Patience,
    criu_log: &Path,
) -> Result<Ended, ExecError> {
    let (Patience::Time(limit) | Patience::Watch(limit) | Patience::Bare(limit)) = patience;
    let end = Instant::now() + limit;
    let logged = || fs::metadata(criu_log).map_or(0, |m| m.len());
    let (class, why) = loop {
        match tokio::time::timeout(LOOK, program.wait()).await {
            Ok(code) => return code.map(Ended::Code),
            Err(_) if Instant::now() >= end && matches!(patience, Patience::Bare(_)) => {
                let why = format!("it had not returned after {limit:?}, {}", criu_log::amount(logged()));
                break (ErrorClass::GivenUp, why);
            }
            Err(_) if Instant::now() >= end => {
                break (ErrorClass::Timeout, format!("it did not end within {limit:?}"));
            }
            Err(_) => {
                let size = logged();
                if size > inner.limits.restore_log && matches!(patience, Patience::Watch(_)) {
                    // What criu 4.2 does with a pages image that is cut: it reads nothing, for ever, and logs that.
                    let why = format!("criu wrote {} MiB of log and did not come to an end", size >> 20);
                    break (ErrorClass::InvalidArchive, why);
                }
            }
        }
    };
    kill_criu(inner, program.pid(), name).await?;
    if tokio::time::timeout(RETURN_LIMIT, program.wait()).await.is_err() {
        let all = descendants(&inner.node, program.pid()).unwrap_or_else(|_| vec![program.pid()]);
        kill(&inner.node, &all).await?;
        program.wait().await?;
    }
    Ok(Ended::Killed { class, why })
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
