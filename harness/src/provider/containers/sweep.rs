//! What a dead run left of a cluster under the user's dockerd.

use crate::process::Exec;
use crate::record::Chain;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// Removes the containers, volumes and networks that have a label of this value: the program that made them need not know of them
/// any more. `socket`: dockerd's. Blocks, on a thread of its own: the caller's may belong to a runtime.
///
/// # Errors
/// Why something is still there.
pub(in crate::provider) fn labelled(label: &str, value: &str, socket: &str) -> Result<(), String> {
    let (label, host) = (format!("label={label}={value}"), format!("unix://{socket}"));
    let docker = move |args: &[&str]| {
        let exec = Exec::new("docker").args(args).env("DOCKER_HOST", &host).timeout(LIMIT);
        crate::process::output_here(&exec).map(|output| output.text()).map_err(|e| Chain(&e).to_string())
    };
    let work = || {
        for (list, remove) in [
            (&["ps", "--all", "--quiet"][..], &["rm", "--force", "--volumes"][..]),
            (&["volume", "ls", "--quiet"], &["volume", "rm", "--force"]),
            (&["network", "ls", "--quiet"], &["network", "rm"]),
        ] {
            let found = docker(&[list, &["--filter", &label]].concat())?;
            let found: Vec<&str> = found.split_whitespace().collect();
            if !found.is_empty() {
                docker(&[remove, &found].concat())?;
            }
        }
        Ok(())
    };
    std::thread::scope(|s| s.spawn(work).join().unwrap_or_else(|_| Err("a thread ended early".to_owned())))
}
