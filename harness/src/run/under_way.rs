//! Checkpoints that go on when the step that asked for them is over: a guarded call is never cancelled, so a step whose
//! time is up leaves it to end by itself.

use super::case::{CaseRun, Live};
use crate::engine::{Checkpoint, EngineError};
use crate::record::{ErrorClass, Failure, Leak};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long such a call may go on after the steps. One that hangs longer is left behind, and said to be.
const END: Duration = Duration::from_secs(60);

/// A call that has not come back yet.
pub(super) struct UnderWay {
    node: String,
    name: String,
    call: JoinHandle<Result<Checkpoint, EngineError>>,
}

impl CaseRun<'_> {
    /// Takes a checkpoint. Whoever stops waiting for it leaves it among the calls under way.
    pub(super) async fn await_checkpoint(&mut self, live: &Live, name: String) -> Result<Checkpoint, Failure> {
        let (engine, container, called) = (live.engine.clone(), live.container.clone(), name.clone());
        let call = tokio::spawn(async move { engine.checkpoint(&container, &called).await });
        self.under_way.push(UnderWay { node: live.node.clone(), name, call });
        let last = self.under_way.len() - 1;
        let ended = (&mut self.under_way[last].call).await;
        self.under_way.truncate(last);
        match ended {
            Ok(taken) => Ok(taken?),
            Err(e) => Err(Failure::new(ErrorClass::Other, format!("a checkpoint broke off: {e}"))),
        }
    }

    /// Waits for the calls under way, and removes what they made: nobody has it.
    pub(super) async fn await_under_way(&mut self) -> Vec<Leak> {
        let mut leaks = Vec::new();
        for UnderWay { node, name, call } in std::mem::take(&mut self.under_way) {
            let reason = match tokio::time::timeout(END, call).await {
                Ok(Ok(Ok(made))) => match self.world.remove_path(&node, &made.path, !made.archive) {
                    Ok(()) => continue,
                    Err(e) => e.to_string(),
                },
                // It failed, and its engine has put everything back.
                Ok(Ok(Err(_)) | Err(_)) => continue,
                Err(_) => format!("its call still went on {END:?} after the steps"),
            };
            leaks.push(Leak { kind: "checkpoint".to_owned(), name: format!("{name} on {node}"), reason });
        }
        leaks
    }
}
