//! What a dead run left under the user's dockerd.

use crate::process::Exec;
use crate::record::Chain;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// What minikube labels containers, volumes and networks with; the value is the profile's name (1.38.1, `oci.ProfileLabelKey`).
const LABEL: &str = "name.minikube.sigs.k8s.io";

/// Removes what a dead run left of its profile under the user's dockerd: minikube's home is gone with the run, so minikube itself
/// would find nothing to delete. `claimed`: the claim's name.
///
/// # Errors
/// Why something is still there.
pub fn sweep(claimed: &str) -> Result<(), String> {
    let (profile, socket) = claimed.split_once(' ').ok_or("the claim names no socket")?;
    let (label, host) = (format!("label={LABEL}={profile}"), format!("unix://{socket}"));
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
    // A thread of its own: the caller's may belong to a runtime.
    std::thread::scope(|s| s.spawn(work).join().unwrap_or_else(|_| Err("a thread ended early".to_owned())))
}
