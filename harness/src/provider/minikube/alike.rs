//! Whether the workers of a cluster are alike, and have what they are there for: looked at before anything runs on them.

use crate::node::{Guest, Node};
use crate::process::Exec;
use crate::record::{Chain, Failure};

/// What is asked of each worker by a shell, since minikube keeps the kubelet in a folder of its version. All must answer alike.
const QUESTIONS: [(&str, &str); 6] = [
    ("containerd", "containerd --version"),
    ("runc", "runc --version"),
    ("CRIU", "criu --version"),
    ("the kubelet", "/var/lib/minikube/binaries/*/kubelet --version"),
    ("containerd's configuration", "containerd config dump"),
    ("the kubelet's configuration", "cat /var/lib/kubelet/config.yaml"),
];

/// Asks all workers, and compares what they answer.
pub(super) async fn look(workers: &[&Guest]) -> Result<(), Failure> {
    for (what, question) in QUESTIONS {
        let mut first: Option<(&str, String)> = None;
        for worker in workers {
            let said = worker.run(Exec::new("sh").args(["-c", question])).await;
            let said = said.map_err(|e| Failure::surroundings(format!("{what}: {}", Chain(&e))))?.text();
            match &first {
                None => first = Some((worker.name(), said)),
                Some((_, there)) if *there == said => {}
                Some((other, there)) => {
                    let differs = there.lines().zip(said.lines()).find(|(was, is)| was != is);
                    let (was, is) = differs.unwrap_or(("one says more than the other", "the other less"));
                    let (name, was, is) = (worker.name(), was.trim(), is.trim());
                    let message = format!("nodes {other} and {name} differ in {what}: `{was}` and `{is}`");
                    return Err(Failure::surroundings(message));
                }
            }
        }
    }
    Ok(())
}
