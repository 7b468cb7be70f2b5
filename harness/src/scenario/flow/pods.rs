//! Pods: which there are, whose copies they are, and what becomes of their containers.

use super::super::action::Step;
use super::super::catalogue::kind_of;
use super::super::explain;
use super::super::pods::{Pod, PodStep, instances};
use super::super::read::error;
use super::super::value::Name;
use super::{Fate, Flow, Life, alive};
use std::collections::BTreeSet;

/// A pod that a step made: the one of the document that it is or comes from.
pub(in crate::scenario) struct Made<'a> {
    pub(in crate::scenario) containers: &'a [Name],
    node: String,
    gone: Option<u32>,
}

impl<'a> Flow<'a, '_> {
    fn declared(&self, name: &str) -> Option<&'a Pod> {
        self.document.spec.pods.iter().flat_map(|p| &p.0).find(|(n, _)| n.text() == name).map(|(_, pod)| pod)
    }

    /// The containers of a pod that a step makes, as instances: names that are given.
    pub(super) fn given_by(&self, step: &PodStep) -> Vec<String> {
        let Some(made) = step.made() else { return Vec::new() };
        let mut from = step.start.as_ref().or(step.migrate.as_ref()).map(|n| n.text().to_owned());
        // A pod that was moved comes from one that was moved, and so on.
        for _ in 0..=self.document.spec.all_steps().count() {
            let Some(name) = from.as_deref() else { break };
            if let Some(pod) = self.declared(name) {
                return instances(&made, &pod.containers);
            }
            from = self.document.spec.all_steps().find_map(|s| match &s.action {
                super::Action::Pod(p) if p.made().as_deref() == Some(name) => {
                    p.migrate.as_ref().map(|n| n.text().to_owned())
                }
                _ => None,
            });
        }
        Vec::new()
    }

    /// What is said of pods outside of the steps.
    pub(super) fn pods(&mut self) {
        for (name, pod) in self.document.spec.pods.iter().flat_map(|p| &p.0) {
            let mut seen = BTreeSet::new();
            for container in &pod.containers {
                self.known_workload(container);
                if !seen.insert(container.text()) {
                    let finding = error(explain::NAME_TAKEN, format!("`{}` is in this pod twice", container.text()));
                    self.r.tell(container.place, finding.help("declare a second workload: a container has its name"));
                }
            }
            if pod.containers.len() < 2 {
                let finding =
                    error(explain::MISMATCH, format!("the pod `{}` has less than two containers", name.text()));
                self.r.tell(name.place, finding.help("name two workloads in `containers`, or `deploy` the one"));
            }
        }
    }

    pub(super) fn pod_step(&mut self, p: &PodStep, index: usize, step: &Step) {
        let fails = step.around.expect.is_some();
        match (&p.start, &p.migrate) {
            (Some(pod), None) => self.start_pod(p, pod, fails),
            (None, Some(pod)) => self.migrate_pod(p, pod, index, step, fails),
            _ if step.spoiled => {}
            _ => {
                let finding = error(explain::NO_ACTION, "a pod step has one of `start` and `migrate`");
                self.r.tell(step.place, finding.help("write `pod: {start: NAME}` or `pod: {migrate: NAME, to: NODE}`"));
            }
        }
    }

    fn start_pod(&mut self, p: &PodStep, pod: &Name, fails: bool) {
        let node = p.node.as_ref().map_or_else(|| self.document.first_node(), |n| n.text().to_owned());
        if let Some(node) = &p.node {
            self.node(node);
        }
        self.only("migrate", &[("to", p.to.is_some()), ("as", p.into.is_some()), ("freeze", p.freeze.is_some())], pod);
        let Some(declared) = self.declared(pod.text()) else {
            let known = self.document.spec.pods.iter().flat_map(|p| &p.0).map(|(n, _)| n.text().to_owned()).collect();
            return self.unknown("pod", pod, known);
        };
        if self.made.contains_key(pod.text()) {
            let finding = error(explain::NAME_TAKEN, format!("the pod `{}` is started a second time", pod.text()));
            self.r.tell(pod.place, finding.help("declare a second pod"));
            return;
        }
        for (container, name) in declared.containers.iter().zip(instances(pod.text(), &declared.containers)) {
            let workload = self.workloads.get(container.text()).copied();
            let kind = workload.and_then(|w| kind_of(w, self.kinds));
            self.born(&name, pod.place, Life { fate: alive(fails), node: Some(node.clone()), kind, copy_of: None });
        }
        self.made.insert(pod.text().to_owned(), Made { containers: &declared.containers, node, gone: None });
    }

    fn migrate_pod(&mut self, p: &PodStep, pod: &Name, index: usize, step: &Step, fails: bool) {
        self.only("start", &[("node", p.node.is_some())], pod);
        let Some(to) = &p.to else {
            if !step.spoiled {
                let finding = error(explain::MISSING_KEY, "a pod that is migrated needs `to`");
                self.r.tell(pod.place, finding.help("add `to: NODE`"));
            }
            return;
        };
        self.node(to);
        let into = p.made().unwrap_or_default();
        let Some(source) = self.made.get(pod.text()) else {
            let known = self.made.keys().cloned().collect();
            return self.unknown("pod", pod, known);
        };
        let containers = source.containers;
        let wrong = match source.gone {
            Some(line) => {
                Some((pod.place, explain::TOO_LATE, format!("the pod `{}` is gone since line {line}", pod.text())))
            }
            None if source.node == to.text() => Some((
                to.place,
                explain::ALREADY_THERE,
                format!("the pod `{}` is on node `{}` already", pod.text(), to.text()),
            )),
            None => None,
        };
        if let Some((place, code, message)) = wrong {
            self.r.tell(place, error(code, message).help("name another one"));
            return;
        }
        for (old, new) in instances(pod.text(), containers).into_iter().zip(instances(&into, containers)) {
            let kind = self.lives.get(&old).and_then(|life| life.kind);
            let (node, copy_of) = (Some(to.text().to_owned()), Some((old.clone(), index)));
            self.born(&new, pod.place, Life { fate: alive(fails), node, kind, copy_of });
            if let (Some(life), false) = (self.lives.get_mut(&old), fails) {
                life.fate = Fate::Gone(step.place.line);
            }
        }
        if !fails {
            if let Some(source) = self.made.get_mut(pod.text()) {
                source.gone = Some(step.place.line);
            }
            self.made.insert(into, Made { containers, node: to.text().to_owned(), gone: None });
        }
    }

    /// Keys that belong to the other action.
    fn only(&mut self, other: &str, keys: &[(&str, bool)], pod: &Name) {
        for (key, _) in keys.iter().filter(|(_, given)| *given) {
            let finding = error(explain::MISMATCH, format!("`{key}` goes with `{other}`"));
            self.r.tell(pod.place, finding.help("take it away"));
        }
    }
}
