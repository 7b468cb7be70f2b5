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
    pub fn of(run: &Run, deny_skips: bool, timed_out: bool) -> Exit {
        if run.interrupted {
            return Exit::Interrupted;
        }
        let unfinished = run.cases.iter().any(|c| c.outcome.is_none());
        // That the time ran out is an error of the run too, and has a code of its own.
        let other = |e: &Failure| !(timed_out && e.class == ErrorClass::Timeout);
        if run.errors.iter().any(other) || run.count(Outcome::Errored) > 0 || (unfinished && !timed_out) {
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
