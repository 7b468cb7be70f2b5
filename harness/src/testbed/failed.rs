use crate::cli::run::Refusal;
use crate::record::{CheckRecord, ErrorClass, Failure, Leak, Origin};
use crate::run::Exit;
use crate::run::open::Stop;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why a test does not go on, or did not go well. Shows itself at length, with the folder that holds the evidence, since it is
/// what a failed test prints.
#[derive(Clone)]
pub struct Failed(Box<Kept>);

#[derive(Clone)]
struct Kept {
    what: What,
    at: Option<Origin>,
    dir: Option<PathBuf>,
}

#[derive(Clone)]
enum What {
    Skipped(String),
    Step { title: String, failure: Failure, surroundings: bool },
    Checks(Vec<CheckRecord>),
    Left(Vec<Leak>),
    Other(Failure),
}

impl Failed {
    fn new(what: What, at: Option<&Origin>, dir: Option<&Path>) -> Failed {
        Failed(Box::new(Kept { what, at: at.cloned(), dir: dir.map(Path::to_owned) }))
    }

    pub(super) fn stopped(stop: Stop, at: &Origin, dir: &Path) -> Failed {
        let what = match stop {
            Stop::Skipped(reason) => What::Skipped(reason),
            Stop::Usage(message) => What::Other(Failure::new(ErrorClass::Other, message)),
            Stop::Failed { step, failure, surroundings } => What::Step { title: step, failure, surroundings },
        };
        Failed::new(what, Some(at), Some(dir))
    }

    pub(super) fn checks(red: Vec<CheckRecord>, at: &Origin, dir: &Path) -> Failed {
        Failed::new(What::Checks(red), Some(at), Some(dir))
    }

    pub(super) fn left(leaks: Vec<Leak>, dir: &Path) -> Failed {
        Failed::new(What::Left(leaks), None, Some(dir))
    }

    pub(super) fn surroundings(failure: Failure, dir: &Path) -> Failed {
        Failed::new(What::Other(failure), None, Some(dir))
    }

    pub(super) fn usage(message: String) -> Failed {
        Failed::new(What::Other(Failure::new(ErrorClass::Other, message)), None, None)
    }

    pub(super) fn skip(reason: String) -> Failed {
        Failed::new(What::Skipped(reason), None, None)
    }

    pub(super) fn over(dir: &Path) -> Failed {
        let message = "the bed has ended: its thread takes nothing any more";
        Failed::new(What::Other(Failure::surroundings(message)), None, Some(dir))
    }

    /// Why the test is skipped, if it is: the host or the engine lacks something.
    pub fn skipped(&self) -> Option<&str> {
        match &self.0.what {
            What::Skipped(reason) => Some(reason),
            _ => None,
        }
    }

    /// What a step met, or what else went wrong; `None` for checks and skips.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.0.what {
            What::Step { failure, .. } | What::Other(failure) => Some(failure),
            _ => None,
        }
    }

    /// The checks that do not hold, with what they saw.
    pub fn checks_broken(&self) -> &[CheckRecord] {
        match &self.0.what {
            What::Checks(red) => red,
            _ => &[],
        }
    }
}

/// Why a bed did not come to be.
impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        let Refusal { exit, failure } = refusal;
        match exit {
            Exit::HostLacks => Failed::skip(
                failure.hint.map_or(failure.message.clone(), |hint| format!("{} ({hint})", failure.message)),
            ),
            _ => Failed::new(What::Other(failure), None, None),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.what {
            What::Skipped(reason) => write!(f, "skipped: {reason}")?,
            What::Step { title, failure, surroundings } => {
                let blame = if *surroundings { " (the surroundings' fault)" } else { "" };
                write!(f, "can't {title}{blame}: {}: {}", failure.class, failure.message)?;
                tail(f, failure)?;
            }
            What::Checks(red) => {
                for (i, record) in red.iter().enumerate() {
                    let gap = if i == 0 { "" } else { "\n" };
                    write!(
                        f,
                        "{gap}check {} does not hold\n  seen:   {}",
                        record.check.spec.name(),
                        record.verdict.seen
                    )?;
                    if let Some(wanted) = &record.verdict.wanted {
                        write!(f, "\n  wanted: {wanted}")?;
                    }
                }
            }
            What::Left(leaks) => {
                let all: Vec<String> = leaks.iter().map(|l| format!("{} {} ({})", l.kind, l.name, l.reason)).collect();
                write!(f, "left behind: {}", all.join(", "))?;
            }
            What::Other(failure) => {
                f.write_str(&failure.message)?;
                tail(f, failure)?;
            }
        }
        if let Some(at) = &self.0.at {
            write!(f, "\n  at {at}")?;
        }
        match &self.0.dir {
            Some(dir) => write!(f, "\n  evidence: {}", dir.join("report.html").display()),
            None => Ok(()),
        }
    }
}

fn tail(f: &mut fmt::Formatter<'_>, failure: &Failure) -> fmt::Result {
    for line in &failure.log {
        write!(f, "\n  | {line}")?;
    }
    failure.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  hint: {hint}"))
}

/// The same: a test that gives an error back is shown like this.
impl fmt::Debug for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failed {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Check, CheckSpec, HeldCheck, HeldExpectation, Verdict};

    fn origin() -> Origin {
        Origin { file: "tests/mine.rs".to_owned(), line: 12, column: 9 }
    }

    fn dir() -> &'static Path {
        Path::new("target/e2e/x")
    }

    #[test]
    fn a_check_tells_what_it_saw_and_where_the_evidence_is() {
        let spec = CheckSpec::Held(HeldCheck { of: "counter".to_owned(), state: HeldExpectation::Kept });
        let verdict =
            Verdict { passed: false, seen: "it is gone".to_owned(), wanted: Some("that it works".to_owned()) };
        let record = CheckRecord { check: Check { origin: origin(), spec, violation: None }, verdict };
        let failed = Failed::checks(vec![record.clone(), record], &origin(), dir());
        insta::assert_snapshot!(failed, @r"
        check held does not hold
          seen:   it is gone
          wanted: that it works
        check held does not hold
          seen:   it is gone
          wanted: that it works
          at tests/mine.rs:12:9
          evidence: target/e2e/x/report.html
        ");
        assert_eq!(failed.checks_broken().len(), 2);
    }

    #[test]
    fn a_step_tells_what_it_met() {
        let failure = Failure {
            hint: Some("look at the log".to_owned()),
            log: vec!["Error (criu/x.c:1): no".to_owned()],
            ..Failure::new(ErrorClass::DumpFailed, "criu refused")
        };
        let stop = Stop::Failed { step: "migrate redis to b".to_owned(), failure, surroundings: false };
        let failed = Failed::stopped(stop, &origin(), dir());
        insta::assert_snapshot!(failed, @r"
        can't migrate redis to b: dump-failed: criu refused
          | Error (criu/x.c:1): no
          hint: look at the log
          at tests/mine.rs:12:9
          evidence: target/e2e/x/report.html
        ");
        assert_eq!(failed.failure().map(|f| f.class), Some(ErrorClass::DumpFailed));
    }

    #[test]
    fn a_host_that_lacks_something_is_a_skip() {
        let failure =
            Failure { hint: Some("run it as root".to_owned()), ..Failure::surroundings("root: you are 1000") };
        let failed = Failed::from(Refusal { exit: Exit::HostLacks, failure: failure.clone() });
        assert_eq!(failed.skipped(), Some("root: you are 1000 (run it as root)"));
        assert_eq!(Failed::from(Refusal { exit: Exit::Surroundings, failure }).skipped(), None);
    }
}
