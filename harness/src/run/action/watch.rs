//! Waiting for what the kernel and the engine say of an instance.

use super::capture;
use crate::record::{ErrorClass, Event, Failure, MemoryReport};
use crate::run::case::{CaseRun, Live};
use std::time::Duration;
use tokio::time::Instant;

/// How often the kernel's figure is read. A control group of version 1 tells of its memory by an event only at its
/// limit, and reading a file costs next to nothing.
const MEMORY: Duration = Duration::from_millis(1);

/// How often an engine is asked whether a container has ended: not all engines tell by an event.
const ENGINE: Duration = Duration::from_millis(20);

/// How long the last word on an end may take to come after the end itself: an exit code by PID 1 of the node, the reason
/// by containerd's own event.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Waits until the kernel charges the instance with so much memory.
pub(super) async fn await_memory(
    run: &CaseRun<'_>,
    instance: &str,
    at_least: u64,
    patience: Duration,
) -> Result<(), Failure> {
    let live = run.live(instance)?;
    let end = Instant::now() + patience;
    let mut last: Option<MemoryReport> = None;
    loop {
        match live.engine.memory(&live.container) {
            Some(memory) if memory.bytes >= at_least => return Ok(()),
            Some(memory) if memory.oom_kills > 0 => {
                return Err(ended(live, at_least, "was killed by the kernel", last));
            }
            None if last.is_some() => return Err(ended(live, at_least, "has ended", last)),
            memory => last = memory.or(last),
        }
        if Instant::now() >= end {
            let seen = last.map_or("no figure was seen".to_owned(), |m| format!("it is at {} bytes", m.bytes));
            let message = format!("the memory of {instance} did not reach {at_least} bytes: {seen}");
            return Err(Failure::new(ErrorClass::Timeout, message));
        }
        tokio::time::sleep(MEMORY).await;
    }
}

fn ended(live: &Live, at_least: u64, how: &str, last: Option<MemoryReport>) -> Failure {
    let seen = last.map_or_else(String::new, |m| format!("; it was last seen at {} bytes", m.bytes));
    let name = &live.spec.name;
    Failure::new(ErrorClass::NoMemory, format!("container {name} {how} before it had {at_least} bytes{seen}"))
}

/// Waits until the instance has ended by itself, and keeps what is known of its end as the capture `end:NAME`.
pub(super) async fn await_end(run: &mut CaseRun<'_>, instance: &str, patience: Duration) -> Result<(), Failure> {
    let live = run.live(instance)?.clone();
    let end = Instant::now() + patience;
    loop {
        // What cannot be looked at may still run.
        let state = match live.engine.inspect(&live.container).await {
            Ok(Some(seen)) if seen.engine_state != "stopped" => seen.engine_state,
            Ok(_) => break,
            Err(e) => e.message,
        };
        if Instant::now() >= end {
            let message = format!("container {} on node {} did not end: it is {state}", live.spec.name, live.node);
            return Err(Failure::new(ErrorClass::Timeout, message));
        }
        tokio::time::sleep(ENGINE).await;
    }
    if let Some(live) = run.instances.get_mut(instance) {
        live.ended = true;
    }
    run.record(Event::InstanceEnded { name: instance.to_owned() });
    let until = Instant::now() + LAST_WORD;
    loop {
        let capture = capture::capture(run, instance, &format!("end:{instance}"), false).await;
        let told = capture.outside.as_ref().and_then(|o| o.end.as_ref()).and_then(|e| e.exit_code).is_some();
        if told || Instant::now() >= until {
            run.record(Event::Capture(Box::new(capture)));
            return Ok(());
        }
        tokio::time::sleep(ENGINE).await;
    }
}
