use super::Program;
use super::control::{Control, DEATH, gone};
use crate::process::ExecError;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// A program that was started in the node and goes on.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) command: String,
    pub(super) control: Arc<Control>,
    pub(super) id: u64,
    pub(super) pid: u32,
    pub(super) exit: Exit,
}

/// Whether it has ended, as far as it was asked.
#[derive(Debug)]
pub(super) enum Exit {
    Running(oneshot::Receiver<i32>),
    /// The node ended under it: its code will never be known.
    Lost,
    Ended(i32),
}

#[async_trait]
impl Program for Running {
    fn pid(&self) -> u32 {
        self.pid
    }

    async fn wait(&mut self) -> Result<i32, ExecError> {
        if let Exit::Running(exited) = &mut self.exit {
            self.exit = exited.await.map_or(Exit::Lost, Exit::Ended);
        }
        match self.exit {
            Exit::Ended(code) => Ok(code),
            Exit::Lost | Exit::Running(_) => Err(ExecError::Io { command: self.command.clone(), source: gone() }),
        }
    }

    async fn signal(&self, signal: i32) -> Result<(), ExecError> {
        let known = nix::sys::signal::Signal::try_from(signal).map_err(std::io::Error::from);
        let sent = known.and_then(|_| self.control.signal(self.id, signal, false));
        sent.map_err(|source| ExecError::Io { command: self.command.clone(), source })
    }

    async fn stop(&mut self, grace: Duration) -> Result<i32, ExecError> {
        self.signal(nix::libc::SIGTERM).await?;
        if let Ok(ended) = timeout(grace, self.wait()).await {
            return ended;
        }
        self.signal(nix::libc::SIGKILL).await?;
        match timeout(DEATH, self.wait()).await {
            Ok(ended) => ended,
            Err(_) => Err(ExecError::Timeout { command: self.command.clone(), limit: DEATH }),
        }
    }
}
