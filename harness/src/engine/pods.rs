//! Pods, for every engine that puts their containers below one control group.

use super::EngineError;
use super::kernel::Freezer;
use crate::node::SharedNode;
use crate::record::ErrorClass;
use std::time::Duration;

/// A task in the middle of a system call that cannot be interrupted keeps its group from freezing.
const SETTLES: Duration = Duration::from_secs(5);

/// The kernel tells nobody when a group of version 1 is frozen.
const GLANCE: Duration = Duration::from_millis(1);

/// Freezes all that is in a pod's group at one instant, has `each` of its containers frozen on its own account meanwhile,
/// and thaws the group: what is below it stays frozen. The group is thawed whatever happens, since nothing in a frozen
/// group of version 1 can be checkpointed or killed (criu 4.2.1 waits for 10 s and fails).
pub(super) async fn frozen_together(
    node: &SharedNode,
    pod: &str,
    group: &str,
    each: impl Future<Output = Result<(), EngineError>>,
) -> Result<(), EngineError> {
    let failed = |what: &str, why: String| {
        let message = format!("can't {what} pod {pod} on node {}: {why}", node.name());
        EngineError::new(ErrorClass::Surroundings, message)
    };
    let freezer = Freezer::of(node, group).ok_or_else(|| failed("freeze", format!("there is no group {group}")))?;
    let frozen = async {
        freezer.freeze().map_err(|e| failed("freeze", e.to_string()))?;
        while !freezer.frozen().map_err(|e| failed("freeze", e.to_string()))? {
            tokio::time::sleep(GLANCE).await;
        }
        Ok(())
    };
    let frozen = tokio::time::timeout(SETTLES, frozen).await;
    let done = match frozen.unwrap_or_else(|_| Err(failed("freeze", format!("its tasks still ran {SETTLES:?} later"))))
    {
        Ok(()) => each.await,
        Err(e) => Err(e),
    };
    let thawed = freezer.thaw().map_err(|e| failed("thaw the group of", e.to_string()));
    done.and(thawed)
}
