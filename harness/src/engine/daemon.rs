//! A daemon that an engine has in its node: its start, its death as a fault, its return.

use super::EngineError;
use crate::node::{Program, SharedNode};
use crate::process::Exec;
use crate::record::ErrorClass;
use std::path::PathBuf;
use std::time::Duration;

/// Ready after 0.2 s on an idle machine.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// A connection to a socket that is not there yet fails at once and costs next to nothing.
pub(super) const READY_POLL: Duration = Duration::from_millis(2);
/// A daemon that is well answers in a millisecond.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// A node's programs are found here; a node runs programs with a clean environment.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A daemon of a node; it ends with the node at the latest.
pub(super) struct Daemon {
    node: SharedNode,
    name: &'static str,
    log: PathBuf,
    program: tokio::sync::Mutex<Option<Box<dyn Program>>>,
}

impl Daemon {
    /// One that does not run yet. What it says is appended to `log`, in the node.
    pub(super) fn new(node: SharedNode, name: &'static str, log: impl Into<PathBuf>) -> Self {
        Daemon { node, name, log: log.into(), program: tokio::sync::Mutex::new(None) }
    }

    fn broken(&self, doing: &str, why: impl std::fmt::Display) -> EngineError {
        let message = format!("can't {doing} {} on node {}: {why}", self.name, self.node.name());
        EngineError::new(ErrorClass::Surroundings, message)
    }

    /// Starts it and waits until it is `ready`. If it ends before, or takes too long, the end of its log is in the error.
    pub(super) async fn start(&self, exec: Exec, ready: impl Future<Output = ()>) -> Result<(), EngineError> {
        let spawned = self.node.spawn(exec, &self.log).await;
        let mut program = spawned.map_err(|e| self.broken("start", e))?;
        let why = tokio::select! {
            ready = tokio::time::timeout(READY_LIMIT, ready) => match ready {
                Ok(()) => None,
                Err(_) => Some(format!("not ready within {READY_LIMIT:?}")),
            },
            code = program.wait() => Some(match code {
                Ok(code) => format!("it ended with {code}"),
                Err(e) => e.to_string(),
            }),
        };
        let Some(why) = why else {
            *self.program.lock().await = Some(program);
            return Ok(());
        };
        let _ = program.signal(9).await;
        let mut error = self.broken("start", why);
        let log = std::fs::read_to_string(self.node.host_path(&self.log)).unwrap_or_default();
        let mut lines: Vec<String> = log.lines().rev().take(10).map(str::to_owned).collect();
        lines.reverse();
        error.log = lines;
        Err(error)
    }

    /// SIGKILL, as a fault; returns when it has ended. One that does not run cannot be killed.
    pub(super) async fn kill(&self) -> Result<(), EngineError> {
        let Some(mut program) = self.program.lock().await.take() else {
            let message = format!("{} is not running on node {}", self.name, self.node.name());
            return Err(EngineError::new(ErrorClass::DaemonGone, message));
        };
        program.signal(9).await.map_err(|e| self.broken("kill", e))?;
        program.wait().await.map_err(|e| self.broken("wait for the end of", e))?;
        Ok(())
    }

    /// Whether it runs and is `ready`. One that is not is ended, so that it can be started again.
    pub(super) async fn is_well(&self, ready: impl Future<Output = ()>) -> Result<bool, EngineError> {
        let mut running = self.program.lock().await;
        let Some(program) = running.as_mut() else { return Ok(false) };
        let well = tokio::select! {
            ready = tokio::time::timeout(ANSWER_LIMIT, ready) => ready.is_ok(),
            // It died by itself.
            _ = program.wait() => false,
        };
        if !well {
            // An error: it has ended.
            let _ = program.signal(9).await;
            program.wait().await.map_err(|e| self.broken("wait for the end of", e))?;
            *running = None;
        }
        Ok(well)
    }
}
