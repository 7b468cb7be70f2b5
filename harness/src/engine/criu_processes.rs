//! The CRIUs that run in a node below a containerd.

use super::EngineError;
use crate::node::{SharedNode, processes};
use crate::process::Exec;
use crate::record::ErrorClass;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long CRIU may take to finish a dump that containerd no longer waits for.
const CRIU_LIMIT: Duration = Duration::from_secs(120);
/// There is no event to wait for: the processes are no children of ours, and of another PID namespace.
const POLL: Duration = Duration::from_millis(2);

/// Waits until no CRIU runs in the node.
pub(super) async fn ended(node: &SharedNode) -> Result<(), EngineError> {
    let began = Instant::now();
    while processes(node).values().any(|process| process.comm == "criu") {
        if began.elapsed() > CRIU_LIMIT {
            let message = format!("a CRIU on node {} did not end within {CRIU_LIMIT:?}", node.name());
            return Err(EngineError::new(ErrorClass::Timeout, message));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Kills the CRIU processes that belong to one sandbox (or container, where each has a monitor of its own): those below its
/// monitor, containerd's shim or conmon, whose command line names it. The tasks that CRIU is just making carry its name too, until they are restored.
pub(super) async fn kill(node: &SharedNode, sandbox: &str) {
    let all = processes(node);
    let is_shim = |pid: u32| {
        let cmdline = node.host_path(Path::new(&format!("/proc/{pid}/cmdline")));
        let is_monitor = |line: &str| line.contains("containerd-shim") || line.contains("conmon");
        std::fs::read_to_string(cmdline).is_ok_and(|line| is_monitor(&line) && line.contains(sandbox))
    };
    let below_shim = |mut pid: u32| {
        while let Some(process) = all.get(&pid).filter(|process| process.parent > 1) {
            pid = process.parent;
            if is_shim(pid) {
                return true;
            }
        }
        false
    };
    let spinning = all.iter().filter(|(pid, process)| process.comm == "criu" && below_shim(**pid));
    let pids: Vec<String> = spinning.map(|(pid, _)| pid.to_string()).collect();
    if pids.is_empty() {
        return;
    }
    // By the node's own shell, since the ids are the node's. One that has just ended is no error.
    let _ = node.output(Exec::new("/bin/sh").args(["-c", "kill -9 \"$@\"", "kill"]).args(pids)).await;
}
