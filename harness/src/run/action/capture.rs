use crate::clock;
use crate::record::{Capture, ErrorClass, Failure, LogReport, OutsideReport};
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
        capture.inside = probe(run, live, patience).await;
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

async fn probe(run: &CaseRun<'_>, live: &Live, patience: Duration) -> Option<crate::record::SelfReport> {
    let prepared = run.world.workload(&run.case.workloads[&live.workload]).await.ok()?;
    prepared.probe(run.world.target(live), patience).await.ok()
}

/// The instance's counter now.
pub(super) async fn counter(run: &CaseRun<'_>, instance: &str, patience: Duration) -> Result<u64, Failure> {
    let seen = probe(run, run.live(instance)?, patience).await.and_then(|report| report.counter);
    seen.ok_or_else(|| Failure::new(ErrorClass::WorkloadUnreachable, format!("{instance} did not tell its counter")))
}

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
    let mut last = None;
    loop {
        if let Some(report) = probe(run, live, patience).await {
            last = report.counter.or(last);
        }
        if last.is_some_and(|v| v >= at_least) {
            return Ok(());
        }
        if tokio::time::Instant::now() >= end {
            let seen = last.map_or("no counter was seen".to_owned(), |v| format!("it is at {v}"));
            return Err(Failure {
                class: ErrorClass::Timeout,
                message: format!("the counter of {instance} did not reach {at_least}: {seen}"),
                hint: None,
                log: Vec::new(),
            });
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
