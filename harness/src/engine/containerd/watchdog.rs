//! The end of a restore that would not end by itself.

use super::Containerd;
use super::criu_log::{Said, Writing};
use crate::engine::criu_processes;
use crate::engine::watchdog::{Patience, RETURN_LIMIT, SPINNING, Stuck, late};
use crate::node::SharedNode;
use crate::record::ErrorClass;
use tonic::{Response, Status};

/// How a restore's call ended.
pub(in crate::engine) enum Watched {
    /// Well.
    Done,
    /// By itself, with this.
    Refused(Status),
    /// By force: the class, why, and what CRIU had said.
    Killed(ErrorClass, String, Vec<String>),
}

impl Containerd {
    /// [`watch_restore`] on its node.
    pub(in crate::engine) async fn watch_restore<T>(
        &self,
        writing: &Writing,
        shim: &str,
        patience: Patience,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Watched {
        watch_restore(&self.node, writing, shim, patience, call).await
    }
}

/// Waits for a call that makes CRIU restore. When it is ended, what is killed are the CRIU processes below the monitor
/// (containerd's shim, conmon) whose command line has `shim` in it.
pub(in crate::engine) async fn watch_restore<T>(
    node: &SharedNode,
    writing: &Writing,
    shim: &str,
    patience: Patience,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Watched {
    let mut call = std::pin::pin!(call);
    let Stuck { class, why } = match patience.wait(&mut call, || writing.len(), SPINNING).await {
        Ok(Ok(_)) => return Watched::Done,
        Ok(Err(status)) => return Watched::Refused(status),
        Err(stuck) => stuck,
    };
    criu_processes::kill(node, shim).await;
    let ended = tokio::time::timeout(RETURN_LIMIT, &mut call).await;
    let Said { lines, mixed } = writing.said();
    let mut log: Vec<String> = lines.into_iter().chain(mixed).chain(writing.end()).collect();
    if ended.is_err() {
        log.push(late());
    }
    writing.discard();
    Watched::Killed(class, format!("{why}; criu was killed"), log)
}
