//! The steps that deal in checkpoints: who is gone after one, which node holds it, and what is made of it.

use super::super::action::{Checkpoint, Migrate, Restore, Step, Tamper, Transfer};
use super::super::explain;
use super::super::field::Field;
use super::super::place::Place;
use super::super::plan::{Address, Medium};
use super::super::read::error;
use super::super::units::DamageKind;
use super::super::value::Name;
use super::{Fate, Flow, Held, Life, alive};
use crate::record::{ErrorClass, SourceFate};
use std::collections::BTreeSet;

impl<'a> Flow<'a, '_> {
    fn ends(&mut self, of: &Name, source: Option<SourceFate>, line: u32) {
        let fate = match source {
            Some(SourceFate::Running) => return,
            Some(SourceFate::Stopped | SourceFate::Fenced) => Fate::Gone(line),
            None => Fate::Unsure,
        };
        if let Some(life) = self.lives.get_mut(of.text()) {
            life.fate = fate;
        }
    }

    pub(super) fn checkpoint(&mut self, c: &Checkpoint, index: usize, step: &Step) {
        let (fails, place) = (step.around.expect.is_some(), step.place);
        // That the engine knows none that is gone is worth asking.
        let life = match self.lives.get(c.of.text()) {
            Some(life) if matches!(life.fate, Fate::Gone(_)) && step.expects(ErrorClass::UnknownContainer) => {
                Some(life.clone())
            }
            _ => self.instance(&c.of),
        };
        self.bare_checkpoint(c);
        if !self.fresh(&c.name, "checkpoint", self.checkpoints.contains_key(c.name.text())) {
            return;
        }
        let anywhere = c.medium.as_ref().is_some_and(|m| m.fixed() != Some(&Medium::Native));
        let nodes = life.as_ref().and_then(|l| l.node.clone()).filter(|_| !anywhere);
        for name in c.all_names() {
            let kind = life.as_ref().and_then(|l| l.kind);
            let nodes = nodes.clone().map(|n| BTreeSet::from([n]));
            self.checkpoints.insert(name, Held { of: c.of.text().to_owned(), taken: index, kind, nodes });
        }
        if c.guard.is_some() && fails && life.is_some() {
            // What a bare call leaves when it fails is what such a scenario is about.
            self.ends(&c.of, None, place.line);
        }
        if !fails && life.is_some() {
            let source = c.source.as_ref().map_or(Some(SourceFate::Running), |s| s.fixed().copied());
            self.ends(&c.of, source, place.line);
        }
    }

    /// What belongs to a bare call has no place in a guarded one, and the other way round.
    fn bare_checkpoint(&mut self, c: &Checkpoint) {
        if let Some(over) = &c.over {
            self.held(over);
        }
        let bare = [
            ("deadline", c.deadline.as_ref().map(|f| f.place)),
            ("cancel", c.cancel.as_ref().map(|f| f.place)),
            ("over", c.over.as_ref().map(|n| n.place)),
        ];
        self.only_bare(c.guard.as_ref(), &bare);
        if let (Some(cancel), true) = (&c.cancel, c.deadline.is_some()) {
            let finding = error(explain::UNGUARDED, "a call is given up by `deadline` or by `cancel`, not by both");
            self.r.tell(cancel.place, finding.help("take one of them away"));
        }
        if c.guard.as_ref().is_some_and(|g| g.fixed() == Some(&false)) {
            let guarded =
                [("source", c.source.as_ref().map(|f| f.place)), ("medium", c.medium.as_ref().map(|f| f.place))];
            for (key, place) in guarded.into_iter().filter_map(|(k, p)| Some((k, p?))) {
                let finding =
                    error(explain::UNGUARDED, format!("`{key}` is the harness's doing, and this call is bare"));
                self.r.tell(place, finding.help("take it away: the source of a bare checkpoint goes on"));
            }
        }
    }

    fn only_bare(&mut self, guard: Option<&Field<bool>>, keys: &[(&str, Option<Place>)]) {
        if guard.is_some_and(|g| g.fixed() != Some(&true)) {
            return;
        }
        for (key, place) in keys.iter().filter_map(|(k, p)| Some((k, (*p)?))) {
            let finding = error(explain::UNGUARDED, format!("`{key}` is for bare calls, and this one is guarded"));
            self.r.tell(place, finding.help("add `guard: false`, or give the step a `timeout`"));
        }
    }

    pub(super) fn held(&mut self, name: &Name) -> Option<&mut Held<'a>> {
        if !self.checkpoints.contains_key(name.text()) {
            match self.checkpoints_given.get(name.text()) {
                Some(&line) => self.early("checkpoint", name, line),
                None => self.unknown("checkpoint", name, self.checkpoints_given.keys().cloned().collect()),
            }
        }
        self.checkpoints.get_mut(name.text())
    }

    pub(super) fn transfer(&mut self, t: &Transfer, fails: bool) {
        self.node(&t.to);
        let to = t.to.text().to_owned();
        let Some(held) = self.held(&t.checkpoint) else { return };
        let Some(nodes) = &mut held.nodes else { return };
        if nodes.contains(&to) {
            let message = format!("the checkpoint `{}` is on node `{to}` already", t.checkpoint.text());
            self.r.tell(
                t.to.place,
                error(explain::ALREADY_THERE, message).help("name the other node, or drop this step"),
            );
        } else if !fails {
            nodes.insert(to);
        }
    }

    pub(super) fn tamper(&mut self, t: &Tamper, step: &Step) {
        let copy = self.held(&t.checkpoint).map(|h| (h.of.clone(), h.taken, h.kind, h.nodes.clone()));
        if self.fresh(&t.name, "checkpoint", self.checkpoints.contains_key(t.name.text()))
            && let Some((of, taken, kind, nodes)) = copy
        {
            self.checkpoints.insert(t.name.text().to_owned(), Held { of, taken, kind, nodes });
        }
        let missing = match t.damage.fixed() {
            _ if step.spoiled => return,
            Some(DamageKind::Truncate | DamageKind::CutEntry) if t.keep.is_none() => "keep",
            Some(DamageKind::DropEntry | DamageKind::CutEntry) if t.entry.is_none() => "entry",
            _ => return,
        };
        let finding = error(explain::MISSING_KEY, format!("the damage `{}` needs `{missing}`", t.damage.text));
        self.r.tell(step.place, finding.help(format!("add `{missing}: ...`")));
    }

    pub(super) fn restore(&mut self, d: &Restore, step: &Step) {
        let fails = step.around.expect.is_some();
        let node = d.node.as_ref().map_or_else(|| self.document.first_node(), |n| n.text().to_owned());
        if let Some(name) = &d.node {
            self.node(name);
        }
        self.mounts(d.volumes.as_ref());
        let mut life = Life { fate: alive(fails), node: Some(node.clone()), kind: None, copy_of: None };
        let known = self.nodes.contains(&node) && !self.r.lost.contains(d.checkpoint.text());
        if let Some(held) = self.held(&d.checkpoint) {
            life.kind = held.kind;
            life.copy_of = Some((held.of.clone(), held.taken));
            if known && held.nodes.as_ref().is_some_and(|n| !n.contains(&node)) {
                let name = d.checkpoint.text();
                let message = format!("the checkpoint `{name}` is not on node `{node}`");
                let place = d.node.as_ref().map_or(d.checkpoint.place, |n| n.place);
                let help = format!("add `- transfer: {{checkpoint: {name}, to: {node}}}` before this step");
                self.r.tell(place, error(explain::ALREADY_THERE, message).help(help));
            }
        }
        self.only_bare(d.guard.as_ref(), &[("deadline", d.deadline.as_ref().map(|f| f.place))]);
        // That the name is taken is what such a step asks; on another node it is not.
        let taken = self.lives.get(d.instance.text()).is_some_and(|l| l.node.as_deref() == Some(&*node));
        if !(taken && step.expects(ErrorClass::NameTaken)) {
            self.born(d.instance.text(), d.instance.place, life);
        }
    }

    pub(super) fn migrate(&mut self, m: &Migrate, index: usize, step: &Step) {
        let (fails, place) = (step.around.expect.is_some(), step.place);
        // The copy ran until its memory did not come, and its source was kept from going on, if it lives at all.
        let lost = step.expects(ErrorClass::PagesLost);
        self.node(&m.to);
        self.mounts(m.volumes.as_ref());
        self.fenced_address(m);
        let to = m.to.text().to_owned();
        let source = self.instance(&m.of);
        if let Some(life) = &source
            && life.node.as_ref() == Some(&to)
            && !self.r.lost.contains(m.of.text())
        {
            let message = format!("the instance `{}` is on node `{to}` already", m.of.text());
            let help = match self.nodes.iter().find(|n| **n != to) {
                Some(other) => format!("write `to: {other}`"),
                None => "give the scenario a second node".to_owned(),
            };
            self.r.tell(m.to.place, error(explain::ALREADY_THERE, message).help(help));
        }
        let copy_of = Some((m.of.text().to_owned(), index));
        let kind = source.as_ref().and_then(|l| l.kind);
        let name_place = m.into.as_ref().map_or(m.of.place, |n| n.place);
        let fate = if lost { Fate::Ended(place.line) } else { alive(fails) };
        self.born(&m.new_name(), name_place, Life { fate, node: Some(to), kind, copy_of });
        self.strategy(m);
        if source.is_some() && lost {
            self.set(&m.of, Fate::Unsure);
        }
        if source.is_some() && !fails {
            let fate = m.source.as_ref().map_or(Some(SourceFate::Fenced), |s| s.fixed().copied());
            // Whatever the strategy, the source is gone.
            let fate = m.strategy.as_ref().map_or(fate, |_| Some(SourceFate::Fenced));
            self.ends(&m.of, fate, place.line);
        }
    }

    /// A strategy says what becomes of the source, and those of an engine's own leave no choice of the way either.
    fn strategy(&mut self, m: &Migrate) {
        let Some(strategy) = &m.strategy else { return };
        if let Some(source) = &m.source {
            let finding =
                error(explain::BAD_STRATEGY, "`strategy` says what becomes of the source, and so does `source`");
            self.r
                .tell(source.place, finding.help("take `source` away: `live-copy` is `stopped`, the others `fenced`"));
        }
        if !m.of_engine() {
            return;
        }
        let ways = [("medium", m.medium.as_ref().map(|f| f.place)), ("over", m.over.as_ref().map(|f| f.place))];
        if let Some(address) = m.address.as_ref().filter(|a| a.fixed() != Some(&Address::New)) {
            let message = format!("`{}` freezes and dumps in one call, and an address moves in between", strategy.text);
            let finding = error(explain::BAD_STRATEGY, message);
            self.r.tell(address.place, finding.help("take `address` away, or write `strategy: stop-copy`"));
        }
        for (key, place) in ways.into_iter().filter_map(|(k, p)| Some((k, p?))) {
            let message = format!("`{key}` is for checkpoints that are carried, and `{}` carries none", strategy.text);
            let help = format!("take `{key}` away, or write `strategy: stop-copy`");
            self.r.tell(place, error(explain::BAD_STRATEGY, message).help(help));
        }
    }
}
