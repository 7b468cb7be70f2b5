use super::deploy;
use crate::record::{Event, Failure};
use crate::run::case::CaseRun;

/// Takes a node down whole and brings it back. What ran on it has ended; what is left of that is the new engine's to
/// look at and to remove.
pub(super) async fn restart(run: &mut CaseRun<'_>, node: &str) -> Result<(), Failure> {
    run.world.engine(run.case.engine, node).await?;
    let here = |run: &CaseRun<'_>| -> Vec<String> {
        let there = run.instances.iter().filter(|(_, live)| live.node == node && !live.removed);
        there.map(|(name, _)| name.clone()).collect()
    };
    for instance in here(run) {
        run.record(Event::InstanceEnded { name: instance });
    }
    // What is broken on it would be mended on a node that is no more.
    run.world.faults.mend_on(node, &run.teller()).await?;
    run.world.restart(node).await?;
    let engine = run.world.engine(run.case.engine, node).await?;
    for live in run.instances.values_mut().filter(|live| live.node == node) {
        live.engine = engine.clone();
        live.ended = true;
    }
    run.allocate_on(node).await?;
    for instance in here(run) {
        deploy::must_have_ended(run, &instance).await?;
    }
    Ok(())
}
