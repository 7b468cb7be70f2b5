//! Pods as written.

use super::field::Field;
use super::plan::{PodFreeze, container_of};
use super::read::shape;
use super::value::Name;

shape! {
    /// Containers that share a network and a control group, and live on one node. Each is an instance, `POD-CONTAINER`.
    pub(super) struct Pod ("a pod") {
        /// The workloads of its containers; at least two.
        "containers" => containers: Vec<Name>,
    }
}

shape! {
    /// What is done to a pod: one of `start` and `migrate`.
    pub(super) struct PodStep ("`pod`") {
        /// The pod to start; its containers must answer.
        "start" => start: Option<Name>,
        /// Where it is started; the first node if left out.
        "node" => node: Option<Name>,
        /// The pod to move: all its containers are checkpointed, and restored on the other node as one pod. Volumes that
        /// the nodes do not share are copied between freeze and restore. The source is removed.
        "migrate" => migrate: Option<Name>,
        /// Where to.
        "to" => to: Option<Name>,
        /// Name of the pod that it becomes; `NAME-moved` if left out.
        "as" => into: Option<Name>,
        /// How its containers are frozen: `together` (if left out), at one instant, before any is dumped; `each` for its
        /// own checkpoint, with the others going on.
        "freeze" => freeze: Option<Field<PodFreeze>>,
    }
}

impl PodStep {
    /// The pod that it makes.
    pub(super) fn made(&self) -> Option<String> {
        match (&self.start, &self.migrate) {
            (Some(pod), _) => Some(pod.text().to_owned()),
            (None, Some(pod)) => {
                Some(self.into.as_ref().map_or_else(|| format!("{}-moved", pod.text()), |n| n.text().to_owned()))
            }
            _ => None,
        }
    }
}

/// The names of a pod's containers, as instances.
pub(super) fn instances(pod: &str, containers: &[Name]) -> Vec<String> {
    containers.iter().map(|c| container_of(pod, c.text())).collect()
}
