use crate::record::{ErrorClass, Failure, Outcome, Run};

/// Why podferry ended, as its exit code tells it. README.md and `podferry --help` list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything passed; skips are listed.
    Passed = 0,
    /// A bug in podferry.
    Bug = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A scenario is invalid.
    InvalidScenario = 3,
    /// Nothing was selected.
    NothingSelected = 4,
    /// A scenario failed: the stack under test is wrong.
    Failed = 10,
    /// A comparison that was to gate found something slower.
    Regressed = 12,
    /// A case was skipped under `--deny-skips`.
    Skipped = 13,
    /// Provisioning or the surroundings failed.
    Surroundings = 20,
    /// The host lacks something; `podferry doctor` says what.
    HostLacks = 21,
    /// The run timed out.
    TimedOut = 22,
    /// Something was left behind.
    Leaked = 23,
    /// The user interrupted it.
    Interrupted = 130,
}

impl Exit {
    /// The code of a finished run. When several apply, the one that most calls for action first: errored surroundings
    /// make every other word doubtful, a failure is worth more than a leak.
    pub fn of(run: &Run, deny_skips: bool) -> Exit {
        if run.interrupted {
            return Exit::Interrupted;
        }
        let unfinished = run.cases.iter().any(|c| c.outcome.is_none());
        // The one error outside any case of this class is that the run as a whole took too long.
        let (late, errors): (Vec<&Failure>, Vec<&Failure>) =
            run.errors.iter().partition(|e| e.class == ErrorClass::Timeout);
        let timed_out = !late.is_empty();
        if !errors.is_empty() || run.count(Outcome::Errored) > 0 || (unfinished && !timed_out) {
            return Exit::Surroundings;
        }
        if run.count(Outcome::Failed) > 0 {
            return Exit::Failed;
        }
        if !run.leaks.is_empty() || run.count(Outcome::Leaked) > 0 {
            return Exit::Leaked;
        }
        if timed_out {
            return Exit::TimedOut;
        }
        if deny_skips && run.count(Outcome::Skipped) > 0 {
            return Exit::Skipped;
        }
        Exit::Passed
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;
    use crate::record::{
        At, CaseId, ErrorClass, Event, Failure, HostRecord, Leak, Line, Origin, Outcome, Run, RunId, fold,
    };
    use std::collections::BTreeMap;

    fn line(case: Option<&str>, event: Event) -> Line {
        Line { at: At(1), case: case.map(|c| CaseId(c.to_owned())), event }
    }

    /// A run whose cases ended so; `None`: the case has no end.
    fn run(outcomes: &[Option<Outcome>], more: Vec<Event>) -> Run {
        let mut lines = vec![line(
            None,
            Event::RunStarted {
                id: RunId("r".to_owned()),
                podferry: String::new(),
                command: Vec::new(),
                started: String::new(),
                host: HostRecord::default(),
                image: String::new(),
            },
        )];
        for (i, outcome) in outcomes.iter().enumerate() {
            let id = i.to_string();
            let planned = Event::CasePlanned {
                scenario: id.clone(),
                title: String::new(),
                origin: Origin::default(),
                engine: crate::record::EngineKind::Runc,
                params: BTreeMap::new(),
                labels: BTreeMap::new(),
                rerun: String::new(),
            };
            lines.push(line(Some(&id), planned));
            if let Some(outcome) = *outcome {
                lines.push(line(Some(&id), Event::CaseFinished { outcome, reason: None }));
            }
        }
        lines.extend(more.into_iter().map(|event| line(None, event)));
        fold(&lines)
    }

    fn leak() -> Event {
        Event::Leaked(Leak { kind: "cgroup".to_owned(), name: "x".to_owned(), reason: String::new() })
    }

    fn late() -> Event {
        Event::RunError(Failure::new(ErrorClass::Timeout, "the run did not end within 1s"))
    }

    #[test]
    fn one_word_for_each_kind_of_end() {
        use Outcome as O;
        let of = |outcomes: &[Option<Outcome>]| Exit::of(&run(outcomes, Vec::new()), false);
        assert_eq!(of(&[Some(O::Passed), Some(O::Skipped)]), Exit::Passed);
        assert_eq!(of(&[Some(O::Passed), Some(O::Failed)]), Exit::Failed);
        assert_eq!(of(&[Some(O::Errored)]), Exit::Surroundings);
        assert_eq!(of(&[Some(O::Leaked)]), Exit::Leaked);
        assert_eq!(of(&[Some(O::Passed), None]), Exit::Surroundings);
        assert_eq!(Exit::of(&run(&[Some(O::Skipped)], Vec::new()), true), Exit::Skipped);
        assert_eq!(Exit::of(&run(&[Some(O::Passed), None], vec![late()]), false), Exit::TimedOut);
    }

    #[test]
    fn of_several_the_one_that_most_calls_for_action() {
        use Outcome as O;
        let all = [Some(O::Failed), Some(O::Errored), Some(O::Skipped)];
        assert_eq!(Exit::of(&run(&all, vec![leak(), late()]), true), Exit::Surroundings);
        assert_eq!(Exit::of(&run(&[Some(O::Failed)], vec![leak(), late()]), true), Exit::Failed);
        assert_eq!(Exit::of(&run(&[Some(O::Skipped)], vec![leak(), late()]), true), Exit::Leaked);
        assert_eq!(Exit::of(&run(&[Some(O::Skipped)], vec![late()]), true), Exit::TimedOut);
        let error = Event::RunError(Failure::surroundings("no network"));
        assert_eq!(Exit::of(&run(&[Some(O::Passed)], vec![error]), false), Exit::Surroundings);
        assert_eq!(Exit::of(&run(&[Some(O::Failed)], vec![Event::Interrupted]), false), Exit::Interrupted);
    }
}
