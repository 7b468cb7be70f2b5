//! Faults and their mending: whole, named, and at a stage that their step has.

use super::super::action::{Action, Step};
use super::super::explain;
use super::super::faults::{During, Fault};
use super::super::place::Place;
use super::super::plan::{LinkFault, Role, Stage};
use super::super::read::{Finding, error, quoted};
use super::super::value::Name;
use super::{Fate, Flow};
use crate::record::Strategy;

impl Flow<'_, '_> {
    pub(super) fn fault(&mut self, fault: &Fault, step: &Step) {
        self.node(&fault.node);
        if let Some(name) = &fault.name
            && self.fresh(name, "fault", self.faults.contains_key(name.text()))
        {
            self.faults.insert(name.text().to_owned(), None);
        }
        if !step.spoiled {
            self.whole(fault, step.place);
        }
        if let (Some(port), None) = (&fault.port, &step.around.during) {
            let finding = error(explain::BAD_FAULT, "nobody's network is there in which a port could be taken");
            self.bad(port.place, finding, "write it beside a restore: `during: {stage: restore, fault: {...}}`");
        }
        if let Some(image) = &fault.image {
            self.known_workload(&image.workload);
        }
        if let Some(corrupt) = &fault.corrupt {
            self.corrupt(&corrupt.checkpoint, &fault.node);
        }
        if let Some(of) = &fault.of {
            self.victim(of, &fault.node);
        }
        let unsure = match fault.kill.as_ref().map(|k| k.fixed()) {
            // A daemon that comes back thaws what it finds frozen.
            Some(Some(Role::Containerd)) => vec![],
            Some(_) => fault.of.iter().map(|of| of.text().to_owned()).collect(),
            None if fault.memory.is_some() => self.on(&fault.node, |_| true),
            None => return,
        };
        let frozen = self.on(&fault.node, |fate| fate == Fate::Alive { frozen: true });
        for name in unsure.into_iter().chain(frozen) {
            if let Some(life) = self.lives.get_mut(&name)
                && matches!(life.fate, Fate::Alive { .. })
            {
                life.fate = Fate::Unsure;
            }
        }
    }

    /// The instances of a node whose fate is such.
    fn on(&self, node: &Name, such: impl Fn(Fate) -> bool) -> Vec<String> {
        let here = self.lives.iter().filter(|(_, l)| l.node.as_deref() == Some(node.text()) && such(l.fate));
        here.map(|(name, _)| name.clone()).collect()
    }

    fn bad(&mut self, place: Place, finding: Finding, help: &str) {
        self.r.tell(place, finding.help(help));
    }

    /// One kind, with what belongs to it.
    fn whole(&mut self, fault: &Fault, place: Place) {
        let bad = |message: String| error(explain::BAD_FAULT, message);
        match fault.kinds()[..] {
            [_] => {}
            [] => self.bad(
                place,
                bad("this fault breaks nothing".into()),
                "add one of `kill`, `pause`, `link`, `disk`, `corrupt`, `memory`, `criu`, `port`, `image`, `runtimeCall`",
            ),
            ref many => self.bad(
                place,
                bad(format!("a fault breaks one thing, and this one has {}", quoted(many))),
                "make two steps of it",
            ),
        }
        if let Some(pause) = &fault.pause
            && pause.fixed() == Some(&false)
        {
            self.bad(
                pause.place,
                bad("a fault that does not pause is none".into()),
                "write `pause: true`, or use `mend`",
            );
        }
        if let Some(call) = &fault.runtime_call
            && (call.delay.is_some() == call.fail.is_some()
                || call.fail.as_ref().is_some_and(|f| f.fixed() == Some(&false)))
        {
            self.bad(
                call.call.place,
                bad("a call is either delayed or fails".into()),
                "add `delay: 2s` or `fail: true`",
            );
        }
        if let Some(LinkFault::Slow(0)) = fault.link.as_ref().and_then(|l| l.fixed()) {
            self.bad(place, bad("nothing goes through a link of 0 bytes a second".into()), "write `link: cut`");
        }
        if let Some(guard) = &fault.guard
            && !fault.kill.as_ref().is_some_and(|k| k.fixed() == Some(&Role::Containerd))
        {
            let finding = error(explain::UNGUARDED, "`guard` says how a daemon is brought back, and none is killed");
            self.r.tell(guard.place, finding.help("take it away, or write `kill: containerd`"));
        }
        let wants = fault.kill.as_ref().and_then(|k| k.fixed()).map(|role| matches!(role, Role::Shim | Role::Workload));
        match (wants, &fault.of) {
            (Some(true), None) => {
                let role = fault.kill.as_ref().map_or("", |k| k.text.as_str());
                self.bad(place, bad(format!("whose {role} is it?")), "add `of: INSTANCE`");
            }
            (Some(false), Some(of)) => {
                self.bad(of.place, bad("`of` says whose shim or workload is killed".into()), "leave `of` out")
            }
            (None, Some(of)) if fault.kill.is_none() => {
                self.bad(of.place, bad("`of` says whose shim or workload is killed".into()), "leave `of` out");
            }
            _ => {}
        }
    }

    fn victim(&mut self, of: &Name, node: &Name) {
        let Some(life) = self.instance(of) else { return };
        if let Some(there) = life.node
            && there != node.text()
        {
            let message = format!("the instance `{}` is on node `{there}`, not on `{}`", of.text(), node.text());
            self.bad(of.place, error(explain::BAD_FAULT, message), &format!("write `node: {there}`"));
        }
    }

    fn corrupt(&mut self, checkpoint: &Name, node: &Name) {
        let Some(held) = self.held(checkpoint) else { return };
        if held.nodes.as_ref().is_some_and(|nodes| !nodes.contains(node.text())) {
            let message = format!("the checkpoint `{}` is not on node `{}`", checkpoint.text(), node.text());
            self.bad(node.place, error(explain::ALREADY_THERE, message), "name a node that has it");
        }
    }

    pub(super) fn mend(&mut self, name: &Name, line: u32) {
        match self.faults.get_mut(name.text()) {
            Some(mended @ None) => *mended = Some(line),
            Some(Some(line)) => {
                let message = format!("the fault `{}` is mended at line {line} already", name.text());
                self.bad(name.place, error(explain::TOO_LATE, message), "take this step away");
            }
            None => match self.faults_given.get(name.text()) {
                Some(&line) => self.early("fault", name, line),
                None => self.unknown("fault", name, self.faults_given.keys().cloned().collect()),
            },
        }
    }

    /// Before the step itself is looked at: what it makes is not there yet.
    pub(super) fn during(&mut self, during: &During, step: &Step) {
        self.fault(&during.fault, step);
        if let (Some(port), Some(stage)) = (&during.fault.port, during.stage.fixed())
            && *stage != Stage::Restore
        {
            let finding = error(explain::BAD_FAULT, "the container's network is there when it is restored");
            self.bad(port.place, finding, "write `stage: restore`");
        }
        let (step_name, stages): (_, &[Stage]) = match &step.action {
            Action::Checkpoint(_) => ("checkpoint", &[Stage::Dump, Stage::Archive]),
            Action::Transfer(_) => ("transfer", &[Stage::Transfer]),
            Action::Restore(_) => ("restore", &[Stage::Restore]),
            // A strategy of the engine's own makes no archive, and what it sends passes no gate. A stream is dumped and sent at
            // once, and its runtime dumps nothing.
            Action::Migrate(m) if m.is_fixed(Strategy::Stream) => ("migrate", &[Stage::Transfer, Stage::Restore]),
            Action::Migrate(m) if m.of_engine() => ("migrate", &[Stage::Dump, Stage::Restore]),
            Action::Migrate(_) => ("migrate", Stage::ALL),
            _ => {
                let finding = error(explain::BAD_FAULT, "this step has no stages that a fault could be tied to");
                self.bad(
                    during.stage.place,
                    finding,
                    "`during` stands beside `checkpoint`, `transfer`, `restore` and `migrate`",
                );
                return;
            }
        };
        if let Some(stage) = during.stage.fixed()
            && !stages.contains(stage)
        {
            let finding = error(explain::BAD_FAULT, format!("a `{step_name}` has no stage `{}`", stage.name()));
            let stages: Vec<&str> = stages.iter().map(|s| s.name()).collect();
            self.bad(during.stage.place, finding, &format!("one of {}", quoted(&stages)));
        }
    }
}
