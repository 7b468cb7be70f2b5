use super::{Cellular, Resolved};
use crate::record::{
    AckedWritesCheck, ArchiveCheck, BudgetCheck, Check, CheckSpec, ConnectionCheck, ConsistentCheck, CounterCheck,
    ErrorCheck, ExclusiveCheck, FasterCheck, HeldCheck, InstanceCheck, LogCheck, LossPolicy, SameProcessCheck,
    WorkLostCheck,
};
use crate::scenario::judge::{CheckKind, WrittenCheck};
use crate::scenario::units::Bound;
use crate::scenario::value::Name;
use std::time::Duration;

const SLACK: Duration = Duration::from_millis(50);

impl Cellular<'_> {
    /// A check with all its values.
    pub(super) fn check(&self, written: &WrittenCheck) -> Resolved<Check> {
        let text = |name: &Name| name.text().to_owned();
        let spec = match &written.kind {
            CheckKind::Counter(c) => CheckSpec::Counter(CounterCheck {
                of: text(&c.of),
                resumes_from: text(&c.resumes_from),
                tolerance: self.or(&c.tolerance, 2)?,
            }),
            CheckKind::AckedWrites(a) => CheckSpec::AckedWrites(AckedWritesCheck {
                client: text(&a.client),
                lost: self.or(&a.lost, LossPolicy::None)?,
                duplicated: self.or(&a.duplicated, 0)?,
                at_least: self.or(&a.at_least, 1)?,
            }),
            CheckKind::SameProcess(s) => CheckSpec::SameProcess(SameProcessCheck {
                of: text(&s.of),
                as_of: text(&s.as_of),
                memory: self.or(&s.memory, false)?,
            }),
            CheckKind::Exclusive(e) => CheckSpec::Exclusive(ExclusiveCheck {
                between: e.between.iter().map(text).collect(),
                overlap_ms: self.or(&e.overlap, Duration::ZERO)?.as_secs_f64() * 1e3,
            }),
            CheckKind::Instance(i) => CheckSpec::Instance(InstanceCheck {
                of: text(&i.of),
                state: self.get(&i.state)?,
                progressed_since: i.progressed_since.as_ref().map(text),
                at: i.at.as_ref().map(text),
                engine_says: self.given(&i.engine_says)?,
                mounted: self.given(&i.mounted)?,
                reason: i.reason.as_ref().map(|r| self.get(r)).transpose()?,
            }),
            CheckKind::Faster(f) => CheckSpec::Faster(FasterCheck {
                step: text(&f.step),
                than: text(&f.than),
                times: self.get(&f.times)?.0,
            }),
            CheckKind::WorkLost(w) => CheckSpec::WorkLost(WorkLostCheck {
                of: text(&w.of),
                since: text(&w.since),
                at_most: w.at_most.as_ref().map(|m| self.get(m)).transpose()?,
            }),
            CheckKind::Held(h) => CheckSpec::Held(HeldCheck { of: text(&h.of), state: self.get(&h.state)? }),
            CheckKind::Consistent(c) => {
                CheckSpec::Consistent(ConsistentCheck { of: text(&c.of), containers: self.containers_of(c.of.text()) })
            }
            CheckKind::Connection(c) => CheckSpec::Connection(ConnectionCheck {
                client: text(&c.client),
                step: text(&c.step),
                state: self.get(&c.state)?,
                slack_ms: self.or(&c.slack, SLACK)?.as_secs_f64() * 1e3,
            }),
            CheckKind::Log(l) => CheckSpec::Log(LogCheck {
                of: text(&l.of),
                at: l.at.as_ref().map(text),
                each_once: self.or(&l.each_once, false)?,
                keeps: l.keeps.as_ref().map(text),
            }),
            CheckKind::Archive(a) => CheckSpec::Archive(ArchiveCheck { of: text(&a.of) }),
            CheckKind::Error(e) => CheckSpec::Error(ErrorCheck {
                step: text(&e.step),
                class: self.get(&e.class)?,
                text: e.text.as_ref().map(|t| self.get(t)).transpose()?.map(|p| p.0),
            }),
            CheckKind::Budget(b) => {
                let value = |bound: Bound| match bound {
                    Bound::Time(t) => t.as_secs_f64() * 1e3,
                    Bound::Bytes(n) => n as f64,
                };
                let bounds = b.bounds().map(|(p, f)| Ok((p, value(self.get(f)?)))).collect::<Resolved<_>>()?;
                CheckSpec::Budget(BudgetCheck { metric: self.get(&b.metric)?, bounds })
            }
        };
        let violation = written.expect.as_ref().map(|e| self.get(&e.violation)).transpose()?.map(|p| p.0);
        Ok(Check { origin: self.origin(written.place), spec, violation })
    }
}
