//! The end of a restore that would not end by itself.

use super::Containerd;
use super::criu_log::{Said, Writing};
use crate::engine::criu_log::amount;
use crate::engine::criu_processes;
use crate::node::SharedNode;
use crate::record::ErrorClass;
use std::time::{Duration, Instant};
use tonic::{Response, Status};

/// How often the watchdog looks. Nothing waits for this but a restore that is lost already.
const LOOK: Duration = Duration::from_millis(100);
/// A pages image that is cut short makes CRIU read past its end for ever and log each try: gigabytes in minutes, in the
/// node's memory. A restore that goes well logs some 100 KiB.
const SPINNING: u64 = 32 << 20;
/// How long the call may take to return once CRIU was killed.
const RETURN_LIMIT: Duration = Duration::from_secs(30);

/// When a restore is ended by force.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) enum Patience {
    /// After this time, or when it is seen to spin.
    Watch(Duration),
    /// When a naive client gives up: nobody looks before.
    Bare(Duration),
}

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
    let began = Instant::now();
    let (class, why) = loop {
        tokio::select! {
            answer = &mut call => return match answer {
                Ok(_) => Watched::Done,
                Err(status) => Watched::Refused(status),
            },
            () = tokio::time::sleep(LOOK) => if let Some(stuck) = stuck(writing, patience, began) {
                break stuck;
            },
        }
    };
    criu_processes::kill(node, shim).await;
    let ended = tokio::time::timeout(RETURN_LIMIT, &mut call).await;
    let Said { lines, mixed } = writing.said();
    let mut log: Vec<String> = lines.into_iter().chain(mixed).chain(writing.end()).collect();
    if ended.is_err() {
        log.push(format!("the call did not return within {RETURN_LIMIT:?} after CRIU was killed"));
    }
    writing.discard();
    Watched::Killed(class, why, log)
}

fn stuck(writing: &Writing, patience: Patience, began: Instant) -> Option<(ErrorClass, String)> {
    match patience {
        Patience::Watch(_) if writing.len() > SPINNING => {
            let why = "its pages image is cut short: CRIU went on reading past its end and was killed".to_owned();
            Some((ErrorClass::InvalidArchive, why))
        }
        Patience::Watch(limit) if began.elapsed() > limit => {
            Some((ErrorClass::RestoreFailed, format!("CRIU did not end within {limit:?} and was killed")))
        }
        Patience::Bare(limit) if began.elapsed() > limit => {
            let why = format!("the call had not returned after {limit:?}, {}; it was killed", amount(writing.len()));
            Some((ErrorClass::GivenUp, why))
        }
        _ => None,
    }
}
