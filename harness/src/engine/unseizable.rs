//! Tasks that CRIU can't seize, since they were frozen at a bad moment.

use super::EngineError;
use crate::node::{SharedNode, processes};
use std::time::{Duration, Instant};

/// How often a dump is tried again that CRIU gave up since a task would not be seized.
pub(super) const AGAIN: u32 = 2;
/// How long a task may take to come out of the kernel once it is thawed, and how often it is looked at: there is no event.
const STIRS: Duration = Duration::from_secs(2);
const GLANCE: Duration = Duration::from_millis(2);

/// The task that CRIU could not seize: it waits for it for 10 s and gives up (crun 1.28 and runc 1.3.6, criu 4.2.1; seen five
/// times, of shells that start programs all the while, so most likely one that was frozen while it waits in the kernel for
/// the child that is to become a program). Nothing was dumped then, and the source is as it was.
pub(super) fn unseizable(e: &EngineError) -> Option<u32> {
    e.log.iter().find_map(|line| {
        let (_, rest) = line.split_once("Unseizable non-zombie ")?;
        rest.split_once(' ')?.0.parse().ok()
    })
}

/// Waits until a task that was thawed has come out of the kernel: frozen again at once, it would be where it was.
pub(super) async fn stirs(node: &SharedNode, task: u32) {
    let end = Instant::now() + STIRS;
    while processes(node).get(&task).is_some_and(|process| process.uninterruptible) && Instant::now() < end {
        tokio::time::sleep(GLANCE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ErrorClass;

    #[test]
    fn the_task_that_criu_could_not_seize_is_named() {
        let line =
            "(10.003569) Error (compel/src/lib/infect.c:262): Unseizable non-zombie 1223 found, state D, err -1/4";
        let error =
            |log: &str| EngineError { log: vec![log.to_owned()], ..EngineError::new(ErrorClass::DumpFailed, "x") };
        assert_eq!(unseizable(&error(line)), Some(1223));
        assert_eq!(unseizable(&error("(0.1) Error (criu/cr-dump.c:1975): Dumping FAILED.")), None);
    }
}
