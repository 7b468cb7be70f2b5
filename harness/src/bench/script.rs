//! Shell scripts in two nodes, with nothing of the harness between their commands.

use super::{broke, broken};
use crate::node::SharedNode;
use crate::process::Exec;
use crate::record::Failure;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// Where the scripts of both nodes meet: the folder that nodes share. They tell each other by FIFOs there, and leave
/// the times of what they did.
pub(super) const PLACE: &str = "/shared/bench";

/// Said at the head of each script. `stamp NAME` leaves the wall time in microseconds, by the shell itself; `tell` and
/// `await` wake the other node's script.
const HEAD: &str = "set -eu\ncd /shared/bench\nstamp() { echo \"${EPOCHREALTIME/[.,]/}\" >\"$1\"; }\n\
                    tell() { echo >\"$1\"; }\nawait() { read -r _ <\"$1\"; }\n";

/// Makes the place anew, with FIFOs of these names.
pub(super) async fn clear(node: &SharedNode, fifos: &[&str]) -> Result<(), Failure> {
    let text = format!("rm -rf {PLACE}; mkdir {PLACE}; cd {PLACE}; mkfifo {}", fifos.join(" "));
    let done = node.run(Exec::new("sh").args(["-ec", &text]).timeout(LIMIT)).await;
    done.map(drop).map_err(|e| broke("can't make room for the bare scripts", &e))
}

/// Runs one script in each node at the same time, until both have ended. Their standard output and error are pipes, as
/// CRIU wants them of what is restored.
pub(super) async fn both(a: (&SharedNode, &str), b: (&SharedNode, &str)) -> Result<(), Failure> {
    // A script that fails leaves the other waiting, until its node ends: that is what a failed measurement comes to.
    tokio::try_join!(one(a.0, a.1), one(b.0, b.1)).map(drop)
}

async fn one(node: &SharedNode, script: &str) -> Result<(), Failure> {
    let log = PathBuf::from(format!("/tmp/bench-{}.log", node.name()));
    let exec = Exec::new("bash").args(["-c", &format!("{HEAD}{script}")]);
    let cannot = |e: &crate::process::ExecError| broke(format!("a bare script on node {}", node.name()), e);
    let mut program = node.spawn_piped(exec, &log).await.map_err(|e| cannot(&e))?;
    let ended = tokio::time::timeout(LIMIT, program.wait()).await;
    let why = match ended {
        Ok(Ok(0)) => return Ok(()),
        Ok(Ok(code)) => format!("ended with {code}"),
        Ok(Err(e)) => return Err(cannot(&e)),
        Err(_) => {
            // Its own end matters no more.
            let _ = program.signal(9).await;
            format!("did not end within {LIMIT:?}")
        }
    };
    let said = fs::read_to_string(node.host_path(&log)).unwrap_or_default();
    let tail: Vec<&str> = said.lines().rev().take(8).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    Err(broken(format!("a bare script on node {} {why}: {}", node.name(), tail.join("\n"))))
}

/// From one stamp to another, in ms.
pub(super) fn between(node: &SharedNode, from: &str, to: &str) -> Result<f64, Failure> {
    let read = |name: &str| -> Result<f64, Failure> {
        let path = node.host_path(&Path::new(PLACE).join(name));
        let text = fs::read_to_string(&path).map_err(|e| broke(format!("no stamp {name}"), &e))?;
        text.trim().parse().map_err(|e| broke(format!("stamp {name}"), &e))
    };
    Ok((read(to)? - read(from)?) / 1e3)
}
