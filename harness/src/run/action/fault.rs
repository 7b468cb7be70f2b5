//! Faults, laid by a step or at a stage of one.

use crate::fault::{self, Gate, Ground, Moment};
use crate::record::{ErrorClass, Failure};
use crate::run::case::CaseRun;
use crate::scenario::plan::{Action, During, Fault, FaultKind, Migrate, Role, Stage, Step};
use std::time::Duration;
use tokio::sync::watch;

/// How long laying a fault may take once its stage has begun.
const STRIKE: Duration = Duration::from_secs(30);

/// Breaks something until it is mended.
pub(super) async fn lay(run: &CaseRun<'_>, what: &Fault) -> Result<(), Failure> {
    // Never over: a step of its own waits for nothing but its time.
    let (_alive, over) = watch::channel(false);
    let ground = ground(run, what, None, over).await?;
    run.world.faults.lay(what, fault::of(&what.kind, ground)?, &run.teller()).await
}

/// Mends what the fault of this name broke.
pub(super) async fn mend(run: &mut CaseRun<'_>, name: &str) -> Result<(), Failure> {
    run.world.faults.mend(name, &run.teller()).await?;
    if run.world.faults.titles().is_empty() {
        run.settle().await;
    }
    Ok(())
}

/// Whose process it is about: that of the instance that the fault names, or that CRIU dumps at that stage.
fn victim<'f>(what: &'f Fault, beside: Option<(&'f Action, Stage)>) -> Option<&'f str> {
    match (&what.kind, beside) {
        (FaultKind::Kill { of: Some(of), .. }, _) => Some(of),
        (
            FaultKind::Kill { role: Role::Criu, .. },
            Some((
                Action::Checkpoint { instance, .. } | Action::Migrate(Migrate { instance, .. }),
                Stage::Dump | Stage::Archive,
            )),
        ) => Some(instance),
        _ => None,
    }
}

async fn ground(
    run: &CaseRun<'_>,
    what: &Fault,
    beside: Option<(&Action, Stage)>,
    over: watch::Receiver<bool>,
) -> Result<Ground, Failure> {
    let engine = run.world.engine(run.case.engine, &what.node).await?;
    let victim = match victim(what, beside) {
        Some(of) => {
            let live = run.live(of)?;
            live.engine.first_process(&live.container).await?
        }
        None => None,
    };
    let checkpoint = match &what.kind {
        FaultKind::Corrupt { checkpoint } => {
            run.world.host_path(&what.node, &run.held(checkpoint)?.at(&what.node).path)
        }
        _ => None,
    };
    let newcomer = match beside {
        Some((Action::Restore { instance, .. } | Action::Migrate(Migrate { into: instance, .. }), _)) => {
            Some(run.container_name(instance))
        }
        _ => None,
    };
    let shelf = match &what.kind {
        FaultKind::Image { workload, .. } => Some(run.world.shelf(&run.case.workloads[workload], &what.node).await?),
        _ => None,
    };
    let wrapper = match fault::needs_wrapper(what) {
        true => Some(run.world.faults.wrapper(&engine).await?),
        false => None,
    };
    let engines = run.world.engines(&what.node).await;
    Ok(Ground { engine, engines, victim, checkpoint, newcomer, shelf, wrapper, held: false, over })
}

/// Does a step, and lays its fault at its stage. A fault that never struck is what is told then, whatever became of the
/// step: it showed nothing.
pub(super) async fn during(run: &mut CaseRun<'_>, step: &Step, during: &During) -> Result<(), Failure> {
    let (over, ended) = watch::channel(false);
    let beside = Some((&step.action, during.stage));
    let held = during.after.is_zero() && !waits_for_its_victim(during);
    let ground = Ground { held, ..ground(run, &during.fault, beside, ended.clone()).await? };
    let fault = fault::of(&during.fault.kind, ground)?;
    let mut moment = moment(run, &step.action, during.stage).await?;
    let (faults, teller) = (run.world.faults.clone(), run.teller());
    let mut ended = ended;
    let strike = async move {
        moment.begun(&mut ended).await?;
        if !held {
            moment.open();
        }
        if !during.after.is_zero() {
            tokio::select! {
                biased;
                _ = ended.wait_for(|over| *over) => {
                    return Err(fault::never_struck(format!("the step was over {:?} after the stage began", during.after)));
                }
                () = tokio::time::sleep(during.after) => {}
            }
        }
        let laid = tokio::time::timeout(STRIKE, faults.lay(&during.fault, fault, &teller)).await;
        moment.open();
        laid.map_err(|_| Failure::surroundings(format!("laying the fault took longer than {STRIKE:?}")))?
    };
    let mut strike = std::pin::pin!(strike);
    let mut struck = None;
    let done = {
        let mut action = std::pin::pin!(super::act(run, step));
        loop {
            tokio::select! {
                biased;
                laid = &mut strike, if struck.is_none() => struck = Some(laid),
                done = &mut action => break done,
            }
        }
    };
    over.send_replace(true);
    let struck = match struck {
        Some(struck) => struck,
        None => strike.await,
    };
    run.world.gate(None);
    match (struck, done) {
        (Ok(()), done) => done,
        (Err(failure), Ok(())) => Err(failure),
        (Err(failure), Err(met)) => {
            let message = format!("{} (the step itself ended with {}: {})", failure.message, met.class, met.message);
            Err(Failure { message, ..failure })
        }
    }
}

/// The runtime, and the CRIU that restores, come to be only when the stage goes on.
fn waits_for_its_victim(during: &During) -> bool {
    match &during.fault.kind {
        FaultKind::Kill { role: Role::Criu, .. } => during.stage == Stage::Restore,
        FaultKind::Kill { role: Role::Runtime, .. } => true,
        _ => false,
    }
}

/// What begins the stage.
async fn moment(run: &CaseRun<'_>, action: &Action, stage: Stage) -> Result<Moment, Failure> {
    let (node, call, end) = match (stage, action) {
        (Stage::Transfer, _) => {
            let gate = Gate::new();
            run.world.gate(Some(gate.clone()));
            return Ok(Moment::Here(gate));
        }
        (
            Stage::Dump | Stage::Archive,
            Action::Checkpoint { instance, .. } | Action::Migrate(Migrate { instance, .. }),
        ) => (run.live(instance)?.node.clone(), "checkpoint", stage == Stage::Archive),
        (Stage::Restore, Action::Restore { node, .. } | Action::Migrate(Migrate { to: node, .. })) => {
            (node.clone(), "restore", false)
        }
        _ => return Err(fault::never_struck(format!("this step has no stage `{}`", stage.name()))),
    };
    let engine = run.world.engine(run.case.engine, &node).await?;
    if let (Stage::Archive, Err(why)) = (stage, &engine.capabilities().archive) {
        return Err(Failure::new(ErrorClass::Unsupported, why));
    }
    Moment::of_call(run.world.faults.wrapper(&engine).await?, call, end)
}
