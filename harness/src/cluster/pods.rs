//! What a pod says of its container.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Event, Pod};
use kube::Api;
use kube::api::ListParams;

/// The only service account that podferry's pods have; it has no rights, and no token of it is mounted.
pub const ACCOUNT: &str = "workload";

/// For what a container waits that will come.
const WAITS: [&str; 3] = ["", "ContainerCreating", "PodInitializing"];

/// The only container of a pod, if it runs; `None`: not yet.
///
/// # Errors
/// Why it never will, in the words of its kubelet.
pub fn running(pod: Option<&Pod>) -> Result<Option<&ContainerStatus>, String> {
    let pod = pod.ok_or("its pod is gone")?;
    let Some(status) = &pod.status else { return Ok(None) };
    let Some(container) = status.container_statuses.iter().flatten().next() else {
        return match status.phase.as_deref() {
            Some("Failed") => Err(join(&[status.reason.as_deref(), status.message.as_deref()])),
            _ => Ok(None),
        };
    };
    match container.state.as_ref() {
        Some(ContainerState { running: Some(_), .. }) => Ok(Some(container)),
        Some(ContainerState { terminated: Some(end), .. }) => {
            let code = format!("exit code {}", end.exit_code);
            Err(join(&[end.reason.as_deref(), Some(&code), end.message.as_deref()]))
        }
        Some(ContainerState { waiting: Some(waiting), .. }) => {
            let reason = waiting.reason.as_deref().unwrap_or_default();
            match WAITS.contains(&reason) {
                true => Ok(None),
                false => Err(join(&[Some(reason), waiting.message.as_deref()])),
            }
        }
        _ => Ok(None),
    }
}

/// What kubelet and scheduler warn of about a pod: `FailedCreatePodSandBox: Failed to pull image ...`, the newest last. Empty also if they
/// can't be asked.
pub async fn warnings(client: &kube::Client, namespace: &str, pod: &str) -> Vec<String> {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let of_pod = ListParams::default().fields(&format!("involvedObject.name={pod},type=Warning"));
    let mut events = events.list(&of_pod).await.map(|list| list.items).unwrap_or_default();
    events.sort_by_key(|event| event.last_timestamp.as_ref().map(|time| time.0));
    events.iter().map(|event| join(&[event.reason.as_deref(), event.message.as_deref()])).collect()
}

fn join(words: &[Option<&str>]) -> String {
    words.iter().flatten().filter(|w| !w.is_empty()).copied().collect::<Vec<_>>().join(": ")
}
