//! What outlives containers: the disks of nodes, and the volumes on them.

use super::super::explain;
use super::super::read::{error, warning};
use super::super::value::Name;
use super::super::volumes::{CopyVolume, Mounts, Restart};
use super::{Fate, Flow};
use crate::scenario::action::Action;
use std::collections::BTreeSet;

impl Flow<'_, '_> {
    fn volume_names(&self) -> Vec<&Name> {
        self.document.spec.volumes.iter().flat_map(|v| &v.0).map(|(name, _)| name).collect()
    }

    fn volume(&mut self, name: &Name) {
        let known: Vec<String> = self.volume_names().iter().map(|n| n.text().to_owned()).collect();
        if !known.iter().any(|k| k == name.text()) {
            self.unknown("volume", name, known);
        }
    }

    /// What is said of volumes and nodes outside of the steps.
    pub(super) fn disks(&mut self) {
        let document = self.document;
        for (_, workload) in &document.spec.workloads.0 {
            self.mounts(workload.volumes.as_ref());
        }
        for (node, _) in document.spec.allocatable.iter().flat_map(|a| &a.0) {
            self.node(node);
        }
        let mounted = document.spec.workloads.0.iter().filter_map(|(_, w)| w.volumes.as_ref());
        let again = document.spec.all_steps().filter_map(|s| match &s.action {
            Action::Restore(r) => r.volumes.as_ref(),
            Action::Migrate(m) => m.volumes.as_ref(),
            _ => None,
        });
        let used: BTreeSet<&str> = mounted.chain(again).flat_map(|m| &m.0).map(|(name, _)| name.text()).collect();
        for (name, _) in document.spec.volumes.iter().flat_map(|v| &v.0) {
            if !used.contains(name.text()) && !self.r.lost.contains(name.text()) {
                let finding = warning(explain::UNUSED, format!("the volume `{}` is never mounted", name.text()));
                let help = format!("give a workload `volumes: {{{}: /vol}}`, or take it away", name.text());
                self.r.tell(name.place, finding.help(help));
            }
        }
    }

    /// Volumes that a container gets: each is there, and no two in one place.
    pub(super) fn mounts(&mut self, mounts: Option<&Mounts>) {
        let mut paths = BTreeSet::new();
        for (name, path) in mounts.iter().flat_map(|m| &m.0) {
            self.volume(name);
            if !paths.insert(&path.value.0) {
                let message = format!("two volumes are mounted on `{}`", path.value.0);
                self.r.tell(path.place, error(explain::NAME_TAKEN, message).help("give one of them another path"));
            }
        }
    }

    pub(super) fn copy_volume(&mut self, c: &CopyVolume) {
        self.volume(&c.volume);
        self.node(&c.from);
        self.node(&c.to);
        let volumes = self.document.spec.volumes.iter().flat_map(|v| &v.0);
        let written = volumes.map(|(n, v)| (n.text(), v)).find(|(n, _)| *n == c.volume.text());
        let shared = written.and_then(|(_, v)| v.shared.as_ref()).is_some_and(|s| s.fixed() == Some(&true));
        if shared {
            let message = format!("the volume `{}` is shared: all nodes have what is in it", c.volume.text());
            self.r.tell(c.volume.place, error(explain::ALREADY_THERE, message).help("take this step away"));
        } else if c.from.text() == c.to.text() {
            let message = format!("the volume `{}` would be copied onto itself", c.volume.text());
            self.r.tell(c.to.place, error(explain::ALREADY_THERE, message).help("name the other node"));
        }
    }

    /// Nothing that ran on the node runs any more. Instances whose node depends on the matrix may have been there.
    pub(super) fn restart(&mut self, r: &Restart, line: u32) {
        self.node(&r.node);
        for life in self.lives.values_mut() {
            match (life.fate, life.node.as_deref()) {
                (Fate::Gone(_) | Fate::Never, _) => {}
                (_, Some(node)) if node == r.node.text() => life.fate = Fate::Ended(line),
                (_, Some(_)) => {}
                (_, None) => life.fate = Fate::Unsure,
            }
        }
    }

    /// The instance has ended by itself.
    pub(super) fn ended(&mut self, name: &Name, line: u32) {
        if let Some(life) = self.lives.get_mut(name.text()) {
            life.fate = Fate::Ended(line);
        }
    }
}
