//! Pods and what is done to them.

use super::super::plan::{Action, PodFreeze};
use super::super::pods::PodStep;
use super::super::value::Name;
use super::{Cellular, Resolved};
use std::collections::BTreeMap;

impl Cellular<'_> {
    pub(super) fn pods(&self) -> BTreeMap<String, Vec<String>> {
        let all = self.document().spec.pods.iter().flat_map(|p| &p.0);
        all.map(|(name, pod)| (name.text().to_owned(), pod.containers.iter().map(|c| c.text().to_owned()).collect()))
            .collect()
    }

    pub(super) fn pod_step(&self, written: &PodStep) -> Resolved<Action> {
        let text = |name: &Option<Name>| name.as_ref().map(|n| n.text().to_owned());
        Ok(match (text(&written.start), text(&written.migrate)) {
            (None, Some(pod)) => Action::MigratePod {
                pod,
                to: text(&written.to).unwrap_or_default(),
                into: written.made().unwrap_or_default(),
                freeze: self.or(&written.freeze, PodFreeze::Together)?,
            },
            (pod, _) => Action::StartPod {
                pod: pod.unwrap_or_default(),
                node: text(&written.node).unwrap_or_else(|| self.document().first_node()),
            },
        })
    }

    /// The instances that a pod's containers are, by the pod that it was once started as.
    pub(super) fn containers_of(&self, pod: &str) -> Vec<String> {
        let mut declared = pod.to_owned();
        let pods = self.pods();
        for _ in 0..=self.document().spec.all_steps().count() {
            if let Some(containers) = pods.get(&declared) {
                return containers.iter().map(|c| super::super::plan::container_of(pod, c)).collect();
            }
            let from = self.document().spec.all_steps().find_map(|s| match &s.action {
                super::Written::Pod(p) if p.made().as_ref() == Some(&declared) => p.migrate.as_ref(),
                _ => None,
            });
            match from {
                Some(name) => name.text().clone_into(&mut declared),
                None => break,
            }
        }
        Vec::new()
    }
}
