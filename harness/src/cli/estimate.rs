//! How long cases will take: as long as when they last passed here, else by a guess from their steps.

use crate::scenario::plan::{Action, Case};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How many runs are looked at, the newest first.
const RUNS: usize = 30;

/// What passed cases of stored runs took.
#[derive(Default)]
pub struct Past(BTreeMap<String, Duration>);

/// As much of `run.json` as is of use here.
#[derive(Deserialize)]
struct Stored {
    cases: Vec<StoredCase>,
}

#[derive(Deserialize)]
struct StoredCase {
    id: String,
    status: String,
    ms: Option<f64>,
}

/// A time, and whether it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) time: Duration,
    pub(super) measured: bool,
}

impl Past {
    /// Of the runs in a folder; one that has none, or that cannot be read, tells nothing.
    pub(super) fn read(out: &Path) -> Past {
        let mut runs: Vec<_> =
            std::fs::read_dir(out).into_iter().flatten().filter_map(Result::ok).map(|e| e.path()).collect();
        // Their names begin with the time.
        runs.sort();
        let mut past = Past::default();
        for run in runs.iter().rev().filter(|run| !run.is_symlink()).take(RUNS) {
            let Ok(text) = std::fs::read(run.join("run.json")) else { continue };
            let Ok(stored) = serde_json::from_slice::<Stored>(&text) else { continue };
            past.add(stored);
        }
        past
    }

    fn add(&mut self, stored: Stored) {
        for case in stored.cases.into_iter().filter(|case| case.status == "passed") {
            let Some(ms) = case.ms.filter(|ms| ms.is_finite() && *ms >= 0.0) else { continue };
            self.0.entry(case.id).or_insert(Duration::from_secs_f64(ms / 1e3));
        }
    }

    /// Of a case.
    pub(super) fn estimate(&self, case: &Case) -> Estimate {
        match self.0.get(&case.id.0) {
            Some(time) => Estimate { time: *time, measured: true },
            None => Estimate { time: guess(case), measured: false },
        }
    }

    /// Of all cases, one after the other.
    pub(super) fn total<'a>(&self, cases: impl IntoIterator<Item = &'a Case>) -> Estimate {
        let none = Estimate { time: Duration::ZERO, measured: true };
        cases
            .into_iter()
            .map(|case| self.estimate(case))
            .fold(none, |sum, next| Estimate { time: sum.time + next.time, measured: sum.measured && next.measured })
    }
}

/// What a case's own look and removal take.
const ROUND: Duration = Duration::from_millis(400);

/// By what such steps take on two cores (`docs/performance.md` has the figures); more data takes longer.
fn guess(case: &Case) -> Duration {
    let steps: Duration = case.steps.iter().map(|step| step_guess(&step.action)).sum();
    (ROUND + steps) * (case.warmup + case.repetitions)
}

fn step_guess(action: &Action) -> Duration {
    match action {
        Action::Pause { time } => *time,
        Action::Migrate(_) | Action::MigratePod { .. } => Duration::from_millis(700),
        Action::Deploy { .. } | Action::StartPod { .. } | Action::Checkpoint { .. } | Action::Restore { .. } => {
            Duration::from_millis(400)
        }
        Action::AwaitAnswers { .. } | Action::AwaitCounter { .. } => Duration::from_millis(300),
        Action::AwaitEnd { .. } | Action::AwaitMemory { .. } | Action::Restart { .. } => Duration::from_secs(1),
        _ => Duration::from_millis(50),
    }
}

/// `2.3 s`, `1 min 20 s`; a guess is `about` so long.
pub(super) fn shown(estimate: Estimate) -> String {
    let seconds = estimate.time.as_secs_f64();
    let text = if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else {
        let whole = seconds.round() as u64;
        format!("{} min {} s", whole / 60, whole % 60)
    };
    if estimate.measured { text } else { format!("about {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(dir: &Path, name: &str, status: &str, ms: f64) {
        let dir = dir.join(name);
        std::fs::create_dir(&dir).unwrap();
        let text = format!(r#"{{"cases":[{{"id":"x[engine=cri]","status":"{status}","ms":{ms},"more":1}}]}}"#);
        std::fs::write(dir.join("run.json"), text).unwrap();
    }

    #[test]
    fn the_newest_run_that_passed_tells() {
        let out = tempfile::tempdir().unwrap();
        run(out.path(), "20260101-000000-1", "passed", 1000.0);
        run(out.path(), "20260102-000000-1", "passed", 2500.0);
        run(out.path(), "20260103-000000-1", "failed", 9000.0);
        std::fs::create_dir(out.path().join("20260104-000000-1")).unwrap();
        let past = Past::read(out.path());
        assert_eq!(past.0.get("x[engine=cri]"), Some(&Duration::from_millis(2500)));
        assert!(Past::read(Path::new("/no/such")).0.is_empty());
    }

    #[test]
    fn a_guess_is_called_one() {
        let estimate = |ms, measured| shown(Estimate { time: Duration::from_millis(ms), measured });
        assert_eq!(estimate(2340, true), "2.3 s");
        assert_eq!(estimate(2340, false), "about 2.3 s");
        assert_eq!(estimate(59_990, true), "1 min 0 s");
        assert_eq!(estimate(140_000, false), "about 2 min 20 s");
    }
}
