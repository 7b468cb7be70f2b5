//! Pods that are to be of one instant.

use super::super::action::Action;
use super::super::flow::Flow;
use super::super::judge::ConsistentOf;

impl Flow<'_, '_> {
    pub(super) fn consistent(&mut self, c: &ConsistentOf) {
        let Some(made) = self.made.get(c.of.text()) else {
            let known = self.made.keys().cloned().collect();
            return self.unknown("pod", &c.of, known);
        };
        let containers = made.containers;
        let moved = self.document.spec.all_steps().any(
            |s| matches!(&s.action, Action::Pod(p) if p.start.is_none() && p.made().as_deref() == Some(c.of.text())),
        );
        if !moved {
            let why = format!("the pod `{}` was never restored: it is of one instant in any case", c.of.text());
            self.impossible(c.of.place, why, "name the pod that it became");
        }
        let silent = containers.iter().find(|name| {
            let workload = self.document.spec.workloads.0.iter().find(|(n, _)| n.text() == name.text());
            workload.and_then(|(_, w)| w.kind.fixed()).is_some_and(|kind| kind != "exchange")
        });
        if let Some(name) = silent {
            let why = format!("`{}` says nothing of the others in its pod", name.text());
            self.impossible(c.of.place, why, "use `exchange` for both containers");
        }
    }
}
