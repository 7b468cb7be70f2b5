//! What each step of a scenario does. One file for each kind of action.

pub(super) mod address;
pub(super) mod bare;
pub(super) mod capture;
pub(super) mod checkpoint;
pub(super) mod clients;
pub(super) mod deploy;
mod fault;
pub(super) mod migrate;
mod own_strategy;
mod pod;
mod restart;
pub(super) mod restore;
mod sent;
mod watch;

use super::case::CaseRun;
use crate::clock;
use crate::record::{At, Event, Failure, Phase, PhaseSpan};
use crate::scenario::plan::{Action, Step};

/// Does a step, with its fault if it has one.
pub(super) async fn step(run: &mut CaseRun<'_>, step: &Step) -> Result<(), Failure> {
    match &step.during {
        Some(during) => Box::pin(fault::during(run, step, during)).await,
        None => Box::pin(act(run, step)).await,
    }
}

async fn act(run: &mut CaseRun<'_>, step: &Step) -> Result<(), Failure> {
    let patience = run.patience();
    match &step.action {
        Action::Deploy { workload, node, instance, start, given } => {
            deploy::deploy(run, workload, node, instance, *start, given).await
        }
        Action::StartClient { client } => clients::start(run, client).await,
        Action::StopClient { client } => clients::stop(run, client).await,
        Action::AwaitAnswers { client, count } => clients::await_answers(run, client, *count, patience).await,
        Action::AwaitCounter { instance, at_least } => capture::await_counter(run, instance, *at_least, patience).await,
        Action::AwaitMemory { instance, at_least } => watch::await_memory(run, instance, *at_least, patience).await,
        Action::AwaitEnd { instance } => watch::await_end(run, instance, patience).await,
        Action::Pause { time } => {
            tokio::time::sleep(*time).await;
            Ok(())
        }
        Action::Capture { instance, name } => {
            run.live(instance)?;
            let capture = capture::capture(run, instance, name, true).await;
            run.record(Event::Capture(Box::new(capture)));
            Ok(())
        }
        Action::Freeze { instance } => {
            let live = run.live(instance)?.clone();
            let from = clock::now();
            live.engine.freeze(&live.container).await?;
            run.phase(Phase::Freeze, &live.node, from);
            Ok(())
        }
        Action::Thaw { instance } => {
            let live = run.live(instance)?.clone();
            Ok(live.engine.thaw(&live.container).await?)
        }
        Action::Checkpoint { instance, name, times, raw: Some(raw), .. } => {
            Box::pin(bare::checkpoint(run, instance, name, *times, raw)).await
        }
        Action::Checkpoint { instance, name, times, raw: None, .. } if *times > 1 => {
            Box::pin(bare::guarded_at_once(run, instance, name, *times)).await
        }
        Action::Checkpoint { instance, name, source, medium, .. } => {
            Box::pin(checkpoint::checkpoint(run, instance, name, *source, *medium)).await
        }
        Action::Transfer { checkpoint, to, over } => checkpoint::transfer(run, checkpoint, to, *over).await,
        Action::Tamper { checkpoint, name, damage } => checkpoint::tamper(run, checkpoint, name, damage).await,
        Action::Restore { checkpoint, node, instance, verify, given, raw } => {
            let how = match (raw, verify) {
                (Some(raw), _) => restore::How::Bare(raw.deadline.unwrap_or(restore::BARE)),
                (None, true) => restore::How::Verified,
                (None, false) => restore::How::Unseen,
            };
            Box::pin(restore::restore(run, checkpoint, node, instance, how, given)).await
        }
        Action::Migrate(what) => Box::pin(migrate::migrate(run, &step.id, what)).await,
        Action::Restart { node } => restart::restart(run, node).await,
        Action::CopyVolume { volume, from, to } => run.copy_volume(volume, from, to).await,
        Action::StartPod { pod, node } => pod::start(run, pod, node).await,
        Action::MigratePod { pod, to, into, freeze } => {
            Box::pin(pod::migrate(run, &pod::Move { step: &step.id, pod, to, into, freeze: *freeze })).await
        }
        Action::Remove { instance } => deploy::remove(run, instance).await,
        Action::Fault(what) => fault::lay(run, what).await,
        Action::Mend { name } => fault::mend(run, name).await,
    }
}

impl CaseRun<'_> {
    /// Records a phase that ends now.
    fn phase(&self, phase: Phase, node: &str, from: At) {
        self.phase_until(phase, node, from, clock::now());
    }

    fn phase_until(&self, phase: Phase, node: &str, from: At, to: At) {
        self.record(Event::Phase(PhaseSpan { phase, node: node.to_owned(), step: self.step, from, to }));
    }
}
