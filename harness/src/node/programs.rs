//! Running programs in a node, over the line to the agent in it.

use super::Program;
use super::control::{Control, Started};
use super::running::{Exit, Running};
use super::talk::Talk;
use super::wire::Streams;
use crate::process::{Exec, ExecError, Output};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::timeout;

/// What starts programs in a node.
#[derive(Debug)]
pub struct Programs {
    name: String,
    control: Arc<Control>,
    paused: watch::Sender<bool>,
}

impl Programs {
    pub(super) fn new(name: String, control: Arc<Control>) -> Programs {
        Programs { name, control, paused: watch::Sender::new(false) }
    }

    /// The name of their node.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// From now on nobody may start one, or all may.
    pub(super) fn set_paused(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    /// See [`super::Node::output`].
    pub(super) async fn output(&self, exec: Exec) -> Result<Output, ExecError> {
        let mut running = None;
        if let Ok(ended) = timeout(exec.timeout, self.converse(&exec, &mut running)).await {
            return ended;
        }
        if let Some(running) = running {
            running.end().await;
        }
        Err(ExecError::Timeout { command: self.command(&exec), limit: exec.timeout })
    }

    /// See [`super::Node::run`].
    pub(super) async fn run(&self, exec: Exec) -> Result<Output, ExecError> {
        self.output(exec.clone()).await?.checked(self.command(&exec))
    }

    /// One that goes on, with its standard output elsewhere and its standard error in a log; `log` is a path on the host.
    pub(super) async fn telling(&self, exec: Exec, out: OwnedFd, log: &Path) -> Result<Box<dyn Program>, ExecError> {
        let opened = File::options().create(true).append(true).open(log);
        let log = opened.map_err(|e| self.start_error(&exec, e))?;
        self.go_on(exec, Streams::Passed, &[out, log.into()]).await
    }

    /// One that goes on.
    pub(super) async fn go_on(
        &self,
        exec: Exec,
        streams: Streams,
        files: &[OwnedFd],
    ) -> Result<Box<dyn Program>, ExecError> {
        self.unpaused().await;
        let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        let mut started = self.control.start(&exec, streams, &files).map_err(|e| self.start_error(&exec, e))?;
        let pid = started.pid().await.map_err(|e| self.start_error(&exec, e))?;
        let id = started.id;
        let exit = started.let_go().map_or(Exit::Lost, Exit::Running);
        Ok(Box::new(Running { command: self.command(&exec), control: self.control.clone(), id, pid, exit }))
    }

    fn start_error(&self, exec: &Exec, source: io::Error) -> ExecError {
        ExecError::Start { command: self.command(exec), source }
    }

    /// As errors show it: `[a] runc list`.
    fn command(&self, exec: &Exec) -> String {
        format!("[{}] {exec}", self.name)
    }

    /// A node that stands still starts nothing.
    async fn unpaused(&self) {
        // An error: the sender is gone, which is this node.
        let _ = self.paused.subscribe().wait_for(|paused| !paused).await;
    }

    async fn converse(&self, exec: &Exec, running: &mut Option<Started>) -> Result<Output, ExecError> {
        self.unpaused().await;
        let refused = |e| self.start_error(exec, e);
        let (out, out_end) = io::pipe().map_err(refused)?;
        let (err, err_end) = io::pipe().map_err(refused)?;
        let mut ends = vec![OwnedFd::from(out_end), OwnedFd::from(err_end)];
        let mut stdin = None;
        if !exec.stdin.is_empty() {
            let (end, writer) = io::pipe().map_err(refused)?;
            ends.push(end.into());
            stdin = Some(writer);
        }
        let files: Vec<_> = ends.iter().map(AsFd::as_fd).collect();
        let started = self.control.start(exec, Streams::Passed, &files).map_err(refused)?;
        drop(ends);
        // Kept by the caller from here on, so that it dies with its time even if it has not told its start yet.
        let program = running.insert(started);
        program.pid().await.map_err(refused)?;
        let lost = |source| ExecError::Io { command: self.command(exec), source };
        let mut talk = Talk::new(out, err).map_err(lost)?;
        let feed = async {
            if let Some(writer) = stdin {
                let mut writer = pipe::Sender::from_owned_fd(writer.into())?;
                // A program may end, or close its input, before it has read all of it.
                let _ = writer.write_all(&exec.stdin).await;
            }
            Ok(())
        };
        let code = talk.until(program, feed).await.map_err(lost)?;
        talk.finish(code).map_err(lost)
    }
}
