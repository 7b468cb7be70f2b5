//! Whether a step failed for want of memory: engines say anything then, from a broken connection to nothing at all.

use super::case::CaseRun;
use crate::record::{ErrorClass, Failure};
use std::collections::BTreeMap;

/// How often each node had been refused memory when a step began.
pub(super) struct Refusals(BTreeMap<String, u64>);

impl Refusals {
    pub(super) fn now(run: &CaseRun<'_>) -> Self {
        let nodes = run.case.nodes.iter();
        let counted = nodes.filter_map(|name| Some((name.clone(), run.world.node(name)?.memory_refusals()?)));
        Refusals(counted.collect())
    }

    /// The failure of a step, with its cause if a node ran into its limit meanwhile.
    pub(super) fn explain(&self, run: &CaseRun<'_>, failure: Failure) -> Failure {
        use ErrorClass as C;
        // What has a cause of its own keeps it.
        if !matches!(failure.class, C::DaemonGone | C::DumpFailed | C::RestoreFailed | C::Other | C::Surroundings) {
            return failure;
        }
        let Refusals(now) = Refusals::now(run);
        let more = now.iter().find_map(|(name, count)| {
            let more = count.saturating_sub(self.0.get(name).copied().unwrap_or(0));
            (more > 0).then_some((name, more))
        });
        let Some((name, more)) = more else { return failure };
        let message = format!("node {name} reached the limit of its memory {more} times: {}", failure.message);
        Failure { class: C::NoMemory, message, ..failure }
    }
}
