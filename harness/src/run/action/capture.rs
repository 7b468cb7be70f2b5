use crate::clock;
use crate::record::{Capture, ErrorClass, Failure, LogReport, OutsideReport, SelfReport};
use crate::run::case::{CaseRun, Live};
use crate::workload;
use std::time::Duration;

/// How long a workload may take to say what it is.
const PROBE: Duration = Duration::from_secs(10);

/// Looks at an instance from the inside and from the outside. A witness that has nothing to say leaves `None`: what
/// that means is for the checks. A workload that is frozen or gone is not asked; where none is expected to answer
/// (`expected` is false) it gets less time.
pub(in crate::run) async fn capture(run: &CaseRun<'_>, instance: &str, name: &str, expected: bool) -> Capture {
    let mut capture = Capture {
        name: name.to_owned(),
        instance: instance.to_owned(),
        at: clock::now(),
        inside: None,
        outside: None,
        log: None,
    };
    let Some(live) = run.instances.get(instance) else { return capture };
    capture.outside = match live.engine.inspect(&live.container).await {
        Ok(outside) => outside,
        Err(e) => Some(OutsideReport { engine_state: format!("unknown: {e}"), ..OutsideReport::default() }),
    };
    if capture.outside.as_ref().is_some_and(|o| o.engine_state == "running" && o.frozen != Some(true)) {
        let patience = if expected { PROBE } else { PROBE / 5 };
        capture.inside = probe(run, live, patience).await.ok();
    }
    capture.at = clock::now();
    if run.logs {
        capture.log = log(run, live);
    }
    capture
}

/// How long an instance that is to have gone on since a capture is given for it: the look may come between two counts.
const GOES_ON: Duration = Duration::from_secs(3);

/// The look when the steps are over. One that is to have counted beyond a number is looked at until it has, or
/// [`GOES_ON`] is over.
pub(in crate::run) async fn last(run: &CaseRun<'_>, of: &str, beyond: Option<u64>, expected: bool) -> Capture {
    let name = format!("final:{of}");
    let end = tokio::time::Instant::now() + GOES_ON;
    loop {
        let capture = capture(run, of, &name, expected).await;
        let counter = capture.inside.as_ref().and_then(|inside| inside.counter);
        let stands = matches!((counter, beyond), (Some(is), Some(was)) if is <= was);
        if !stands || tokio::time::Instant::now() >= end {
            return capture;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The largest log that is looked at: a workload whose log is of interest writes some KiB.
const LOG_LIMIT: u64 = 16 << 20;

/// The numbers in its log; of one that is gone with its container there is nothing to say.
fn log(run: &CaseRun<'_>, live: &Live) -> Option<LogReport> {
    let path = run.world.host_path(&live.node, &live.container.log)?;
    if std::fs::metadata(&path).ok()?.len() > LOG_LIMIT {
        return None;
    }
    LogReport::of(&workload::numbers(&String::from_utf8_lossy(&std::fs::read(path).ok()?)))
}

async fn probe(run: &CaseRun<'_>, live: &Live, patience: Duration) -> Result<SelfReport, Failure> {
    let prepared = run.world.workload(&run.case.workloads[&live.workload]).await?;
    prepared.probe(run.world.target(live), patience).await
}

/// Its counter; without one, why there is none.
fn counted(report: Result<SelfReport, Failure>) -> Result<u64, Failure> {
    report?.counter.ok_or_else(|| Failure {
        hint: Some(format!("a counter is told by {}", workload::counting().join(", "))),
        ..Failure::new(ErrorClass::WorkloadUnreachable, "its probe tells no counter")
    })
}

/// The instance's counter now.
pub(super) async fn counter(run: &CaseRun<'_>, instance: &str, patience: Duration) -> Result<u64, Failure> {
    let seen = counted(probe(run, run.live(instance)?, patience).await);
    seen.map_err(|e| Failure { message: format!("{instance} did not tell its counter: {}", e.message), ..e })
}

/// How long one look at a counter has at least, and how long after one that told none the next is taken.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until the instance's counter has come so far. Looked at each 2 ms over the workload's own protocol: the
/// workload offers nothing to wait on, and how exactly it is met does not matter.
pub(super) async fn await_counter(
    run: &CaseRun<'_>,
    instance: &str,
    at_least: u64,
    patience: Duration,
) -> Result<(), Failure> {
    let live = run.live(instance)?;
    let end = tokio::time::Instant::now() + patience;
    let mut last: Option<u64> = None;
    loop {
        let left = end.saturating_duration_since(tokio::time::Instant::now());
        let met = counted(probe(run, live, left.max(LOOK)).await);
        let pause = if met.is_ok() { Duration::from_millis(2) } else { LOOK };
        last = met.as_ref().ok().copied().or(last);
        if last.is_some_and(|v| v >= at_least) {
            return Ok(());
        }
        if tokio::time::Instant::now() >= end {
            let (seen, hint) = match (last, met) {
                (Some(v), _) => (format!("it is at {v}"), None),
                (None, Err(e)) => (format!("no counter was seen: {}", e.message), e.hint),
                (None, Ok(_)) => ("no counter was seen".to_owned(), None),
            };
            let message = format!("the counter of {instance} did not reach {at_least}: {seen}");
            return Err(Failure { hint, ..Failure::new(ErrorClass::Timeout, message) });
        }
        tokio::time::sleep(pause).await;
    }
}
