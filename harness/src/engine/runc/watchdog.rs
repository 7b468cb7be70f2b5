//! Ends calls that would not end by themselves.

use super::runtime::Inner;
use crate::engine::criu_log;
use crate::engine::group::{descendants, kill};
use crate::node::Program;
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
    /// After this time, or when it is seen to spin.
    Watch(Duration),
    /// When a naive client gives up: nobody looks before.
    Bare(Duration),
}

/// How often a log's size is looked at; that the program ends is waited for, not looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Waits for a program of the runtime's. When time is up, or when CRIU's log outgrows [`super::Limits::restore_log`], it is
/// killed with its children, and with whatever it has already made of the container `making`.
pub(super) async fn watch(
    inner: &Inner,
    program: &mut dyn Program,
    making: Option<&str>,
    patience: Patience,
    criu_log: Option<&Path>,
) -> Result<Ended, ExecError> {
    let (Patience::Watch(limit) | Patience::Bare(limit)) = patience;
    let end = Instant::now() + limit;
    let logged = || criu_log.and_then(|log| fs::metadata(log).ok()).map_or(0, |m| m.len());
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
    kill_all(inner, program.pid(), making).await?;
    // Its end is certain now; a node that cannot say so is gone.
    program.wait().await?;
    Ok(Ended::Killed { class, why })
}

/// Kills a call of the runtime's with all below it, then, if the call was making the container, what is in the
/// container's control group. (A dump's victim is no child of the call, and is left alone.)
async fn kill_all(inner: &Inner, root: u32, container: Option<&str>) -> Result<(), ExecError> {
    kill(&inner.node, &descendants(&inner.node, root).unwrap_or_else(|_| vec![root])).await?;
    let rest = container.and_then(|name| inner.processes(name).ok()).unwrap_or_default();
    kill(&inner.node, &rest).await
}
