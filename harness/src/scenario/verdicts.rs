//! Tells of checks that name what is not there, and of those that can never pass.

mod connection;
mod consistent;

use super::action::Action;
use super::catalogue::others;
use super::document::Workload;
use super::explain;
use super::flow::{Fate, Flow, Life, Taken};
use super::judge::{
    AckedWrites, ArchiveOf, Budget, CheckKind, Counter, ErrorIs, Exclusive, Faster, Held, Instance, Log, SameProcess,
    WorkLost, WrittenCheck,
};
use super::place::Place;
use super::plan::{ClientKind, Repeat};
use super::read::{error, warning};
use super::units::Bound;
use super::value::Name;
use crate::record::{InstanceExpectation, Metric, Strategy};
use std::collections::BTreeSet;

/// Checks the checks, after all steps.
pub(super) fn check(flow: &mut Flow<'_, '_>) {
    for check in flow.document.spec.checks.iter().flatten() {
        flow.certain = !check.spoiled && check.names().iter().all(|n| !flow.r.lost.contains(*n));
        flow.judge(check);
    }
}

impl<'a> Flow<'a, '_> {
    fn judge(&mut self, check: &WrittenCheck) {
        match &check.kind {
            CheckKind::Counter(c) => self.counter(c),
            CheckKind::AckedWrites(a) => self.acked_writes(a),
            CheckKind::SameProcess(s) => self.same_process(s),
            CheckKind::Exclusive(e) => self.exclusive(e, check.place),
            CheckKind::Instance(i) => self.instance_state(i),
            CheckKind::Held(h) => self.held_by(h),
            CheckKind::Consistent(c) => self.consistent(c),
            CheckKind::Connection(c) => self.connection(c),
            CheckKind::Log(l) => self.log(l, check.place),
            CheckKind::Archive(a) => self.archive(a),
            CheckKind::Error(e) => self.error_of(e),
            CheckKind::Faster(f) => self.faster(f),
            CheckKind::WorkLost(w) => self.work_lost(w),
            CheckKind::Budget(b) => self.budget(b, check.place),
        }
    }

    fn impossible(&mut self, place: Place, why: impl Into<String>, help: &str) {
        if self.certain {
            self.r.tell(place, error(explain::CANNOT_PASS, why).label("can never pass").help(help));
        }
    }

    fn life(&mut self, name: &Name) -> Option<Life<'a>> {
        let life = self.lives.get(name.text()).cloned();
        if life.is_none() && !self.instances_given.contains_key(name.text()) {
            self.unknown("instance", name, self.instances_given.keys().cloned().collect());
        }
        life
    }

    /// An instance that is there at some time of the scenario.
    fn lived(&mut self, name: &Name) -> Option<Life<'a>> {
        let life = self.life(name)?;
        if life.fate == Fate::Never {
            let why = format!("the instance `{}` never is there: its step is expected to fail", name.text());
            self.impossible(name.place, why, "look at another instance, or expect `state: absent`");
            return None;
        }
        Some(life)
    }

    fn capture(&mut self, name: &Name) -> Option<Taken> {
        let taken = self.captures.get(name.text()).cloned();
        if taken.is_none() && !self.captures_given.contains_key(name.text()) {
            self.unknown("capture", name, self.captures_given.keys().cloned().collect());
        }
        taken
    }

    /// Whether `name` is `source` or a copy of it; for a copy, also the step that checkpointed `source` for it.
    fn descends(&self, name: &str, source: &str) -> Option<Option<usize>> {
        let mut now = name.to_owned();
        let mut taken = None;
        // Each life is made by one step, and of an earlier one; the bound is for scenarios that say otherwise.
        for _ in 0..=self.lives.len() {
            if now == source {
                return Some(taken);
            }
            let (of, step) = self.lives.get(&now)?.copy_of.clone()?;
            now = of;
            taken = Some(step);
        }
        None
    }

    fn counter(&mut self, c: &Counter) {
        let life = self.lived(&c.of);
        let capture = self.capture(&c.resumes_from);
        let (Some(life), Some((source, captured))) = (life, capture) else { return };
        match self.descends(c.of.text(), &source) {
            None => self.unrelated(&c.of, &c.resumes_from, &source),
            Some(None) => {
                let why = format!("the instance `{}` is not restored: it has nothing to go on from", c.of.text());
                self.impossible(c.of.place, why, "look at the instance that was restored");
            }
            Some(Some(taken)) if captured > taken => {
                let why = format!("the capture `{}` is taken after the checkpoint", c.resumes_from.text());
                self.impossible(c.resumes_from.place, why, "capture before the checkpoint");
            }
            Some(Some(_)) => {}
        }
        if let Some(kind) = life.kind
            && !kind.counter
        {
            let why = format!("`{}` tells no counter", kind.name);
            let help = self.told_by(kind, |k| k.counter, "use `sameProcess`, or a workload that counts");
            self.impossible(c.of.place, why, &help);
        }
    }

    fn unrelated(&mut self, of: &Name, capture: &Name, source: &str) {
        let why =
            format!("the capture `{}` is of `{source}`, and `{}` is not a copy of that", capture.text(), of.text());
        self.impossible(capture.place, why, "name a capture of its source");
    }

    fn same_process(&mut self, s: &SameProcess) {
        let life = self.lived(&s.of);
        let capture = self.capture(&s.as_of);
        let (Some(life), Some((source, _))) = (life, capture) else { return };
        if self.descends(s.of.text(), &source).is_none() {
            self.unrelated(&s.of, &s.as_of, &source);
        }
        let Some(kind) = life.kind else { return };
        if !kind.identity {
            let why = format!("`{}` tells nothing of itself that a cold start would change", kind.name);
            let help = match others(kind, self.kinds, |k| k.identity) {
                None => "use `counter`, or another workload".to_owned(),
                Some(others) if kind.counter => format!("use `counter`; {others}"),
                Some(others) => others,
            };
            self.impossible(s.of.place, why, &help);
        }
        if let Some(memory) = &s.memory
            && memory.fixed() == Some(&true)
            && !kind.memory_digest
        {
            let why = format!("`{}` tells no digest of its memory", kind.name);
            let help = self.told_by(kind, |k| k.memory_digest, "leave `memory` out");
            self.impossible(memory.place, why, &help);
        }
    }

    fn acked_writes(&mut self, a: &AckedWrites) {
        let Some(client) = self.clients.get(a.client.text()).copied() else {
            self.unknown("client", &a.client, self.clients.keys().map(|k| (*k).to_owned()).collect());
            return;
        };
        if let Some(kind) = client.kind.fixed()
            && *kind != ClientKind::RedisWriter
        {
            let why = format!("the client `{}` is a `{}` and writes nothing", a.client.text(), kind.name());
            self.impossible(a.client.place, why, "name a `redis-writer`");
        } else if !self.is_started(a.client.text()) {
            let why = format!("the client `{}` is never started", a.client.text());
            self.impossible(a.client.place, why, "start it");
        }
    }

    fn exclusive(&mut self, e: &Exclusive, place: Place) {
        let mut different = BTreeSet::new();
        for name in &e.between {
            if self.lived(name).is_some() && !different.insert(name.text()) {
                self.impossible(name.place, format!("`{}` is here twice", name.text()), "name two different instances");
                return;
            }
        }
        if e.between.len() < 2 {
            self.impossible(place, "`exclusive` needs two instances", "name the source and its copy");
        } else if !self.observed() && self.clients.is_empty() && self.r.lost.is_empty() {
            let why = "no client is there to see who serves";
            self.impossible(place, why, "start a client that talks to the instances");
        }
    }

    fn instance_state(&mut self, i: &Instance) {
        let life = self.life(&i.of);
        if let Some(at) = &i.at {
            self.capture_of(at, &i.of);
        } else if let (Some(life), Some(state)) = (&life, i.state.fixed())
            && let Some(why) = contradiction(life.fate, *state)
        {
            self.impossible(
                i.state.place,
                format!("the instance `{}` {why} at the end", i.of.text()),
                "change `state`",
            );
        }
        if let (Some(reason), Some(state)) = (&i.reason, i.state.fixed())
            && *state != InstanceExpectation::Stopped
        {
            self.impossible(reason.place, "only an instance that is `stopped` has ended for a reason", "leave it out");
        }
        let Some(since) = &i.progressed_since else { return };
        let Some((source, _)) = self.capture(since) else { return };
        if life.is_some() && self.descends(i.of.text(), &source).is_none() {
            self.unrelated(&i.of, since, &source);
        }
        if let Some(Life { kind: Some(kind), .. }) = life
            && !kind.counter
        {
            let help = self.told_by(kind, |k| k.counter, "leave it out");
            self.impossible(since.place, format!("`{}` tells no counter that could grow", kind.name), &help);
        }
    }

    fn held_by(&mut self, h: &Held) {
        if self.lived(&h.of).is_none() {
            return;
        }
        let Some(workload) = self.workload_of(h.of.text()) else { return };
        if !workload.with.iter().flat_map(|w| &w.0).any(|(key, ..)| key == "hold") {
            let why = format!("`{}` holds nothing that could be kept", h.of.text());
            self.impossible(h.of.place, why, "give its workload a `hold`, or name another instance");
        }
    }

    /// The workload that the first ancestor of an instance was deployed with.
    fn workload_of(&self, instance: &str) -> Option<&'a Workload> {
        let mut first = instance;
        for _ in 0..=self.lives.len() {
            match self.lives.get(first).and_then(|l| l.copy_of.as_ref()) {
                Some((source, _)) => first = source,
                None => break,
            }
        }
        let deployed = self.document.spec.all_steps().find_map(|s| match &s.action {
            Action::Deploy(d) if d.instance.as_ref().unwrap_or(&d.workload).text() == first => Some(d.workload.text()),
            _ => None,
        })?;
        self.document.spec.workloads.0.iter().find(|(name, _)| name.text() == deployed).map(|(_, w)| w)
    }

    /// A capture that must be of this instance.
    fn capture_of(&mut self, at: &Name, of: &Name) {
        if let Some((source, _)) = self.capture(at)
            && source != of.text()
        {
            let why = format!("the capture `{}` is of `{source}`, not of `{}`", at.text(), of.text());
            self.impossible(at.place, why, "name a capture of the instance");
        }
    }

    fn log(&mut self, l: &Log, place: Place) {
        let life = self.lived(&l.of);
        if let Some(at) = &l.at {
            self.capture_of(at, &l.of);
        }
        if let Some(before) = &l.keeps
            && let Some((source, _)) = self.capture(before)
            && life.is_some()
            && self.descends(l.of.text(), &source).is_none()
        {
            self.unrelated(&l.of, before, &source);
        }
        if l.each_once.is_none() && l.keeps.is_none() && self.certain {
            let finding = error(explain::MISSING_KEY, "a `log` needs what it is to hold");
            self.r.tell(place, finding.help("add `eachOnce: true` or `keeps: CAPTURE`"));
        }
    }

    fn archive(&mut self, a: &ArchiveOf) {
        let known = self.document.spec.all_steps().filter_map(|s| match &s.action {
            Action::Checkpoint(c) => Some(c.name.text().to_owned()),
            _ => None,
        });
        let known: Vec<String> = known.collect();
        if !known.iter().any(|n| n == a.of.text()) {
            self.unknown("checkpoint", &a.of, known);
        }
    }

    fn error_of(&mut self, e: &ErrorIs) {
        let Some(&(_, step)) = self.steps.get(e.step.text()) else {
            let known = self.document.spec.all_steps().filter_map(|s| s.around.id.as_ref());
            self.unknown("step", &e.step, known.map(|n| n.text().to_owned()).collect());
            return;
        };
        match &step.around.expect {
            None => {
                let why = format!("the step `{}` must succeed, since it expects no error", e.step.text());
                self.impossible(e.step.place, why, "add `expect: {error: {class: ...}}` to the step");
            }
            Some(expect) => {
                if let (Some(wanted), Some(expected)) = (e.class.fixed(), expect.error.class.fixed())
                    && wanted != expected
                {
                    let why = format!("the step `{}` expects `{expected}`, not `{wanted}`", e.step.text());
                    self.impossible(e.class.place, why, "name the same class in both");
                }
            }
        }
    }

    /// A step that is there and must succeed: one that fails has no time to compare.
    fn timed(&mut self, name: &Name) -> Option<usize> {
        let Some(&(index, step)) = self.steps.get(name.text()) else {
            let known = self.document.spec.all_steps().filter_map(|s| s.around.id.as_ref());
            self.unknown("step", name, known.map(|n| n.text().to_owned()).collect());
            return None;
        };
        if step.around.expect.is_some() {
            let why = format!("the step `{}` is expected to fail: its time says nothing", name.text());
            self.impossible(name.place, why, "name a step that succeeds");
            return None;
        }
        Some(index)
    }

    fn faster(&mut self, f: &Faster) {
        if let (Some(step), Some(than)) = (self.timed(&f.step), self.timed(&f.than))
            && step == than
        {
            self.impossible(f.than.place, "a step is not faster than itself", "name another step");
        }
    }

    fn work_lost(&mut self, w: &WorkLost) {
        let (copy, source) = (self.lived(&w.of), self.lived(&w.since));
        let (Some(copy), Some(source)) = (copy, source) else { return };
        if copy.copy_of.as_ref().is_none_or(|(of, _)| of != w.since.text()) {
            let why = format!("`{}` is not restored from a checkpoint of `{}`", w.of.text(), w.since.text());
            self.impossible(w.since.place, why, "name the instance that was checkpointed");
        } else if let Some(kind) = source.kind
            && !kind.counter
        {
            let why = format!("`{}` tells no counter", kind.name);
            let help = self.told_by(kind, |k| k.counter, "use a workload that counts");
            self.impossible(w.since.place, why, &help);
        }
    }

    fn budget(&mut self, b: &Budget, place: Place) {
        if b.bounds().next().is_none() && self.certain {
            let finding = error(explain::MISSING_KEY, "a budget needs a bound");
            self.r.tell(place, finding.help("add `max: ...` or one of `p50`, `p90`, `p95`, `p99`"));
        }
        let repetitions = self.document.spec.measure.as_ref().and_then(|m| m.repetitions.as_ref());
        let repetitions = repetitions.map_or(Some(1), |f| {
            f.fixed().and_then(|repeat| if let Repeat::Times(n) = repeat { Some(*n) } else { None })
        });
        for (percentile, needed) in [(95.0, 20), (99.0, 100)] {
            if let (Some((_, field)), Some(given)) = (b.bounds().find(|(p, _)| *p == percentile), repetitions)
                && given < needed
            {
                let message = format!("a p{percentile} of {given} repetitions is their maximum; it wants {needed}");
                let help = format!("set `measure: {{repetitions: {needed}}}`, or bound `max`");
                self.r.tell(field.place, warning(explain::FEW_REPETITIONS, message).help(help));
            }
        }
        let Some(metric) = b.metric.fixed().copied() else { return };
        for (_, field) in b.bounds() {
            let fits = match field.fixed() {
                Some(Bound::Time(_)) => metric.unit() == "ms",
                // `0` is a size by its spelling, and no time has it.
                Some(Bound::Bytes(_)) => metric.unit() == "bytes",
                None => true,
            };
            if !fits {
                let wanted = if metric.unit() == "ms" { "a time such as `250ms`" } else { "a size such as `64Mi`" };
                let finding = error(explain::INVALID_VALUE, format!("`{}` is not {wanted}", field.text));
                self.r.tell(field.place, finding.help(format!("`{}` is bounded by {wanted}", metric.name())));
            }
        }
        if !self.gives_samples(metric) && self.r.lost.is_empty() {
            let of_clients = matches!(metric, Metric::Downtime | Metric::Stall) && !self.observed();
            let (why, help) = match of_clients {
                true => ("is what a client sees, and none is started", "start a client: `- client: {start: NAME}`"),
                false => ("is given by no step", "add the step that it measures, or take it away"),
            };
            self.impossible(b.metric.place, format!("`{}` {why}", metric.name()), help);
        }
    }

    fn gives_samples(&self, metric: Metric) -> bool {
        self.document.spec.all_steps().any(|s| match metric {
            Metric::Downtime => self.observed(),
            Metric::Stall => self.observed() && self.moves_address(),
            Metric::Freeze => {
                matches!(s.action, Action::Freeze(_) | Action::Checkpoint(_) | Action::Migrate(_) | Action::Pod(_))
            }
            Metric::Checkpoint | Metric::CheckpointSize => {
                matches!(s.action, Action::Checkpoint(_) | Action::Migrate(_) | Action::Pod(_))
            }
            Metric::Transfer => matches!(s.action, Action::Transfer(_) | Action::Migrate(_) | Action::Pod(_)),
            Metric::Restore => matches!(s.action, Action::Restore(_) | Action::Migrate(_) | Action::Pod(_)),
            Metric::Total => matches!(s.action, Action::Migrate(_) | Action::Pod(_)),
            Metric::BytesMoved | Metric::BytesSent => matches!(s.action, Action::Migrate(_)),
            // Of a strategy that depends on the cell, it may be.
            Metric::Pages | Metric::PagesLatency => {
                let post_copy = |strategy: Option<&Strategy>| strategy.is_none_or(|s| *s == Strategy::PostCopy);
                matches!(&s.action, Action::Migrate(m) if m.strategy.as_ref().is_some_and(|s| post_copy(s.fixed())))
            }
        })
    }
}

/// Why an instance of this fate cannot be in the state.
fn contradiction(fate: Fate, state: InstanceExpectation) -> Option<&'static str> {
    use InstanceExpectation as S;
    match (fate, state) {
        (Fate::Unsure, _) => None,
        (Fate::Gone(_), S::Absent) | (Fate::Never, S::Absent) => None,
        (Fate::Ended(_), S::Stopped) => None,
        (Fate::Ended(_), S::Absent) => Some("is there, though it has ended,"),
        (Fate::Ended(_), _) => Some("has ended, and does not run"),
        (Fate::Gone(_), _) => Some("is gone"),
        (Fate::Never, _) => Some("was never there"),
        (Fate::Created, S::Created) => None,
        (Fate::Created, S::Absent) | (Fate::Alive { .. }, S::Absent) => Some("is there"),
        (Fate::Created, _) => Some("was never started"),
        (Fate::Alive { .. }, S::Created) => Some("was started"),
        (Fate::Alive { frozen: true }, S::Running) => Some("is frozen"),
        (Fate::Alive { frozen: false }, S::Frozen) => Some("is not frozen"),
        (Fate::Alive { .. }, _) => None,
    }
}
