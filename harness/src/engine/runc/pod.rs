//! Pods: containers that share a network namespace and a parent of their control groups. runc knows of no such thing; what
//! makes a pod of them is where they are put.

use super::runtime::Inner;
use crate::engine::group::Group;
use crate::engine::{Container, ContainerSpec, EngineError, Slot, network, pods};
use crate::node::CONTAINERS;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{MutexGuard, PoisonError};

impl Inner {
    fn pods(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pod that a container is in.
    pub(super) fn pod_of(&self, container: &str) -> Option<String> {
        self.pods().get(container).cloned()
    }

    /// Whether others are in its pod.
    pub(super) fn has_company(&self, container: &str) -> bool {
        let pods = self.pods();
        pods.get(container).is_some_and(|pod| pods.iter().any(|(name, of)| of == pod && name != container))
    }

    /// Takes a container out of its pod, if it is in one: which, and whether it was the last. With that the pod's group goes.
    pub(super) fn leave_pod(&self, container: &str) -> Option<(String, bool)> {
        let mut pods = self.pods();
        let pod = pods.remove(container)?;
        let last = !pods.values().any(|of| *of == pod);
        drop(pods);
        if last {
            Group::of(&self.node, self.pod_group(&pod)).remove();
        }
        Some((pod, last))
    }

    fn pod_group(&self, pod: &str) -> String {
        format!("{CONTAINERS}/{}-{pod}", self.kind)
    }

    /// Gives an address back, if it is one of this node's.
    pub(super) fn free(&self, owner: &str, address: Ipv4Addr) {
        let octet = address.octets()[3];
        if address == network::address(self.node.pod_network(), octet) {
            self.addresses.lock().unwrap_or_else(PoisonError::into_inner).free(octet, owner);
        }
    }

    pub(super) async fn prepare_pod(&self, pod: &str, specs: &[ContainerSpec]) -> Result<Vec<Slot>, EngineError> {
        let address = network::choose(&self.addresses, &self.node, pod, None)?;
        let mut slots = Vec::new();
        for spec in specs {
            self.pods().insert(spec.name.clone(), pod.to_owned());
            match self.slot(spec, address, slots.is_empty()).await {
                Ok(slot) => slots.push(slot),
                Err(e) => {
                    // The first error is the one to tell.
                    for slot in &slots {
                        let _ = self.discard(slot).await;
                    }
                    if let Some((_, true)) = self.leave_pod(&spec.name) {
                        self.free(pod, address);
                    }
                    return Err(e);
                }
            }
        }
        Ok(slots)
    }

    pub(super) async fn freeze_pod(&self, pod: &str, containers: &[Container]) -> Result<(), EngineError> {
        let each = async {
            for container in containers {
                // A group that is frozen from above reads as frozen: it is told so itself all the same.
                self.freeze_itself(&container.id).await?;
            }
            Ok(())
        };
        pods::frozen_together(&self.node, pod, &self.pod_group(pod), each).await?;
        for container in containers {
            self.stands_still(&container.id).await?;
        }
        Ok(())
    }
}
