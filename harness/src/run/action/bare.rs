//! Checkpoints as a naive client takes them, and several of one container at once.

use super::checkpoint::{digest, held_of, record};
use crate::clock;
use crate::engine::{BareCheckpoint, Checkpoint, EngineError};
use crate::record::{Failure, Phase};
use crate::run::case::{CaseRun, Live};
use crate::scenario::plan::RawCheckpoint;
use futures_util::future::join_all;

/// Takes checkpoints by the engine's bare call. What that leaves is for the scenario to see, and put right at its end.
pub(super) async fn checkpoint(
    run: &mut CaseRun<'_>,
    instance: &str,
    name: &str,
    times: u32,
    raw: &RawCheckpoint,
) -> Result<(), Failure> {
    let live = run.live(instance)?.clone();
    let over = raw.over.as_ref().map(|name| run.held(name).map(|held| held.checkpoint.path.clone())).transpose()?;
    run.bare.push(live.engine.clone());
    let (engine, container) = (&live.engine, &live.container);
    let from = clock::now();
    let names = names(name, times);
    let calls = names.iter().map(|name| {
        let bare = BareCheckpoint { name: format!("{}-{name}", run.tag), over: over.clone(), give_up: raw.give_up };
        async move { engine.checkpoint_bare(container, &bare).await }
    });
    let taken = join_all(calls).await;
    run.phase(Phase::Checkpoint, &live.node, from);
    keep(run, instance, &live, names, taken).await
}

/// The same, by the guarded call.
pub(super) async fn guarded_at_once(
    run: &mut CaseRun<'_>,
    instance: &str,
    name: &str,
    times: u32,
) -> Result<(), Failure> {
    let live = run.live(instance)?.clone();
    let from = clock::now();
    let names = names(name, times);
    let (engine, container) = (&live.engine, &live.container);
    let full: Vec<String> = names.iter().map(|name| format!("{}-{name}", run.tag)).collect();
    let taken = join_all(full.iter().map(|name| engine.checkpoint(container, name))).await;
    run.phase(Phase::Checkpoint, &live.node, from);
    keep(run, instance, &live, names, taken).await
}

/// `snap`, `snap-2`, `snap-3`.
fn names(name: &str, times: u32) -> Vec<String> {
    std::iter::once(name.to_owned()).chain((2..=times).map(|n| format!("{name}-{n}"))).collect()
}

/// Keeps what was taken, also where some of it failed: the end of the case removes it.
async fn keep(
    run: &mut CaseRun<'_>,
    instance: &str,
    live: &Live,
    names: Vec<String>,
    taken: Vec<Result<Checkpoint, EngineError>>,
) -> Result<(), Failure> {
    let of = taken.len();
    let mut failed: Vec<Failure> = Vec::new();
    for (name, taken) in names.into_iter().zip(taken) {
        match taken {
            Err(e) => failed.push(e.into()),
            Ok(checkpoint) => {
                let mut held = held_of(live, checkpoint);
                let known = digest(run, &held).await?;
                record(run, instance, &name, &held, &known);
                held.known = Some(known);
                run.checkpoints.insert(name, held);
            }
        }
    }
    let Some(first) = failed.first().cloned() else { return Ok(()) };
    if of == 1 {
        return Err(first);
    }
    let said: Vec<&str> = failed.iter().map(|f| f.message.as_str()).collect();
    let message = format!("{} of {of} checkpoints at once failed: {}", failed.len(), said.join("; "));
    Err(Failure { message, ..first })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_keeps_the_name() {
        assert_eq!(super::names("snap", 3), ["snap", "snap-2", "snap-3"]);
        assert_eq!(super::names("snap", 1), ["snap"]);
    }
}
