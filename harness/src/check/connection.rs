use super::{Judged, Red, red};
use crate::record::{
    At, Connection, ConnectionCheck, ConnectionEnd, ConnectionExpectation, ErrorClass, Evidence, History, OpOutcome,
    Phase, StepRecord,
};
use std::time::Duration;

/// By the connection that the client had when the step began.
pub(super) fn judge(check: &ConnectionCheck, evidence: &Evidence) -> Judged {
    let wanted = match check.state {
        ConnectionExpectation::Kept => "one connection that goes on after the step, with answers",
        ConnectionExpectation::Closed => "that the other end ends it, and answers on a new one",
        ConnectionExpectation::Refused => "that the dump is refused for it, and that it goes on with answers",
    };
    let (client, step) = (&check.client, &check.step);
    let Some(done) = evidence.steps.iter().rev().find(|s| s.id == *step) else {
        return Err(red(format!("there is no record of step `{step}`"), wanted));
    };
    let Some(history) = evidence.histories.get(client) else {
        return Err(red(format!("there is no history of client `{client}`"), wanted));
    };
    let Some(connection) = at(history, done.from) else {
        return Err(red(format!("`{client}` had no connection when `{step}` began"), wanted));
    };
    let case = Case { check, evidence, done, history, connection };
    let judged = match check.state {
        ConnectionExpectation::Kept => case.kept(),
        ConnectionExpectation::Closed => case.closed(),
        ConnectionExpectation::Refused => case.refused(),
    };
    judged.map_err(|said| match said {
        Said::State(seen) => red(seen, wanted),
        Said::Red(red) => red,
    })
}

/// The connection that there was at a time.
pub(super) fn at(history: &History, time: At) -> Option<&Connection> {
    history.connections.iter().rev().find(|c| c.from <= time && c.ended.is_none_or(|(end, _)| end > time))
}

/// The longest that an operation which was answered between two times waited for that on a connection, from when it was
/// due: one that is lost on the way is answered when TCP has sent it again, however many others were answered before.
pub(super) fn stall(history: &History, on: &Connection, from: At, to: At) -> Option<Duration> {
    let end = on.ended.map_or(to, |(end, _)| end.min(to));
    let answered = history.ops.iter().filter(|op| op.outcome == OpOutcome::Ok && op.sent >= on.from);
    answered.filter(|op| op.done >= from && op.done <= end).map(|op| op.done.since(op.intended)).max()
}

enum Said {
    /// It is in another state than was wanted.
    State(String),
    Red(Red),
}

struct Case<'a> {
    check: &'a ConnectionCheck,
    evidence: &'a Evidence,
    done: &'a StepRecord,
    history: &'a History,
    connection: &'a Connection,
}

impl Case<'_> {
    fn name(&self) -> String {
        format!("the connection of `{}`", self.check.client)
    }

    /// How it ended, after the step's begin; `None`: it did not.
    fn ended(&self) -> Option<String> {
        let (end, how) = self.connection.ended?;
        let how = match how {
            ConnectionEnd::Closed => "was closed by the other end",
            ConnectionEnd::Reset => "was reset",
            ConnectionEnd::Unanswered => "was given up by the client, since nothing was answered on it",
            ConnectionEnd::Nonsense => "was given up by the client, since what came on it was no answer",
            ConnectionEnd::Left => "was given up, since the client was sent to another address",
        };
        let after = end.since(self.done.from).as_secs_f64() * 1e3;
        Some(format!("{} {how}, {after:.0} ms after `{}` began", self.name(), self.done.id))
    }

    /// Whether something that was asked on a connection after a time was answered.
    fn answers(&self, on: &Connection, after: At) -> bool {
        let end = on.ended.map_or(At(u64::MAX), |(end, _)| end);
        let asked = |op: &&crate::record::Op| op.sent >= after.max(on.from) && op.done <= end;
        self.history.ops.iter().filter(|op| op.outcome == OpOutcome::Ok).any(|op| asked(&op))
    }

    fn goes_on(&self) -> Result<(), Said> {
        if let Some(ended) = self.ended() {
            return Err(Said::State(ended));
        }
        if !self.answers(self.connection, self.done.to) {
            return Err(Said::State(format!("nothing was answered on {} after `{}`", self.name(), self.done.id)));
        }
        Ok(())
    }

    fn kept(&self) -> Result<String, Said> {
        if let Some(failure) = &self.done.failure {
            return Err(Said::State(format!("step `{}` failed with `{}`", self.done.id, failure.class)));
        }
        self.goes_on()?;
        let Some((frozen, restored)) = self.standstill() else {
            return Err(Said::State(format!("`{}` froze and restored nothing", self.done.id)));
        };
        let (stood, slack) = (restored.since(frozen), Duration::from_secs_f64(self.check.slack_ms / 1e3));
        // The next freeze is another step's matter.
        let later = self.evidence.phases.iter().filter(|p| matches!(p.phase, Phase::Freeze | Phase::Checkpoint));
        let next = later.map(|p| p.from).filter(|from| *from >= self.done.to).min().unwrap_or(At(u64::MAX));
        let Some(stall) = stall(self.history, self.connection, frozen, next) else {
            return Err(Said::State(format!("nothing was answered on {} after the freeze", self.name())));
        };
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        let seen = format!(
            "{} was kept; its longest wait for an answer was {:.0} ms, and the workload stood still for {:.0} ms",
            self.name(),
            ms(stall),
            ms(stood)
        );
        if stall <= stood + slack {
            return Ok(seen);
        }
        Err(Said::Red(red(seen, format!("at most {:.0} ms more than it stood still", self.check.slack_ms))))
    }

    /// From the call that froze (without one: the checkpoint's) until the restore call had returned.
    fn standstill(&self) -> Option<(At, At)> {
        let of_step = |phase| {
            let within = move |p: &&crate::record::PhaseSpan| p.from >= self.done.from && p.to <= self.done.to;
            self.evidence.phases.iter().filter(within).filter(move |p| p.phase == phase)
        };
        let frozen = of_step(Phase::Freeze).chain(of_step(Phase::Checkpoint)).map(|p| p.from).min()?;
        Some((frozen, of_step(Phase::Restore).map(|p| p.to).max()?))
    }

    fn closed(&self) -> Result<String, Said> {
        let Some(ended) = self.ended() else {
            return Err(Said::State(format!("{} was kept", self.name())));
        };
        let (end, how) = self.connection.ended.unwrap_or((At(0), ConnectionEnd::Left));
        if !matches!(how, ConnectionEnd::Closed | ConnectionEnd::Reset) {
            return Err(Said::State(ended));
        }
        let next = self.history.connections.iter().find(|c| c.from >= end && self.answers(c, end));
        match next {
            Some(next) => {
                Ok(format!("{ended}; a new one was there {:.0} ms later", next.from.since(end).as_secs_f64() * 1e3))
            }
            None => Err(Said::State(format!("{ended}, and nothing was answered on a new one"))),
        }
    }

    fn refused(&self) -> Result<String, Said> {
        match &self.done.failure {
            Some(failure) if failure.class == ErrorClass::ConnectedTcp => {}
            Some(other) => return Err(Said::State(format!("step `{}` failed with `{}`", self.done.id, other.class))),
            None => return Err(Said::State(format!("step `{}` succeeded", self.done.id))),
        }
        self.goes_on()?;
        Ok(format!("`{}` was refused for {}, which went on", self.done.id, self.name()))
    }
}

#[cfg(test)]
mod tests;
