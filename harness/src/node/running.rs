use super::Program;
use super::control::{Control, gone};
use crate::process::ExecError;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a killed program may take to end.
pub(super) const DEATH: Duration = Duration::from_secs(5);

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
    Ended(i32),
}

#[async_trait]
impl Program for Running {
    fn pid(&self) -> u32 {
        self.pid
    }

    async fn wait(&mut self) -> Result<i32, ExecError> {
        match &mut self.exit {
            Exit::Ended(code) => Ok(*code),
            Exit::Running(exited) => {
                let lost = |_| ExecError::Io { command: self.command.clone(), source: gone() };
                let code = exited.await.map_err(lost)?;
                self.exit = Exit::Ended(code);
                Ok(code)
            }
        }
    }

    async fn signal(&self, signal: i32) -> Result<(), ExecError> {
        let sent = self.control.signal(self.id, signal, false);
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
