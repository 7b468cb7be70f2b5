//! The agents' pods, and the way to each.

use super::exec::exec;
use super::nodes::Worker;
use super::{RUN_LABEL, failure};
use crate::cluster::{ACCOUNT, Api, running, wait_for, warnings};
use crate::node::{Place, Remote};
use crate::record::{Failure, RunId};
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::PostParams;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Its image may have to be pulled.
const START_LIMIT: Duration = Duration::from_secs(180);
/// An agent answers at once.
const JOIN_LIMIT: Duration = Duration::from_secs(60);
/// It removes some files.
const END_LIMIT: Duration = Duration::from_secs(20);
const PROGRAM: &str = "/podferry";
const PLACE: &str = "__node-place";
const AGENT: &str = "__node-agent";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes the run's namespace, and the account of its pods.
pub(super) async fn make_namespace(client: &kube::Client, name: &str, run: &RunId) -> Result<(), Failure> {
    let cannot = format!("can't make the namespace {name}");
    let labels = json!({
        RUN_LABEL: run.0,
        // The agents are privileged, and workloads have folders of their node.
        "pod-security.kubernetes.io/enforce": "privileged",
    });
    let namespace: Namespace = object(json!({"metadata": {"name": name, "labels": labels}}));
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &namespace).await.map_err(|e| failure(&cannot, &e))?;
    let account: ServiceAccount = object(json!({"metadata": {"name": ACCOUNT}, "automountServiceAccountToken": false}));
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    accounts.create(&PostParams::default(), &account).await.map_err(|e| failure(&cannot, &e))?;
    Ok(())
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it has the form of the object")
}

/// The pod of an agent. Its node is named, so that no scheduler has a say: what keeps pods away from a node that the user
/// has named shall not keep this.
fn pod(namespace: &str, image: &str, worker: &Worker) -> Pod {
    object(json!({
        "metadata": {"name": name(worker), "namespace": namespace, "labels": {"app": "podferry-agent"}},
        "spec": {
            "nodeName": worker.known_as,
            "hostPID": true,
            "hostNetwork": true,
            "dnsPolicy": "Default",
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "serviceAccountName": ACCOUNT,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{
                "name": "agent",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": [PROGRAM, PLACE],
                "env": [{"name": "PATH", "value": PATH}],
                "securityContext": {"privileged": true, "runAsUser": 0},
            }],
        },
    }))
}

fn name(worker: &Worker) -> String {
    format!("agent-{}", worker.name)
}

/// Makes the agents' pods and waits until all run.
pub(super) async fn make(client: &kube::Client, namespace: &str, image: &str, on: &[&Worker]) -> Result<(), Failure> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for worker in on {
        let made = pods.create(&PostParams::default(), &pod(namespace, image, worker)).await;
        made.map_err(|e| failure(&format!("can't make an agent for node {}", worker.known_as), &e))?;
    }
    for worker in on {
        let runs = |pod: Option<&Pod>| Ok(running(pod)?.map(drop));
        let runs = wait_for(&pods, &name(worker), START_LIMIT, runs).await;
        if let Err(e) = runs {
            let hint = format!(
                "bring the archive that `podferry agent-image` writes to each node (`ctr -n k8s.io images import`, \
                 `kind load image-archive`), or name an image that nodes can pull (--agent-image, now {image})"
            );
            let cannot = failure(&format!("the agent on node {} does not start", worker.known_as), &e);
            let log = warnings(client, namespace, &name(worker)).await;
            return Err(Failure { hint: Some(hint), log, ..cannot });
        }
    }
    Ok(())
}

/// Starts the agent in its pod and greets it. To be called where its streams are to be carried (`on`).
pub(super) async fn join(
    client: &kube::Client,
    namespace: &str,
    worker: &Worker,
    on: &Handle,
) -> Result<(Remote, Ended), Failure> {
    let cannot = format!("can't join node {}", worker.known_as);
    let (streams, said, ended) = exec(client, namespace, &name(worker), &[PROGRAM, AGENT]).await?;
    let place = Place {
        name: worker.name.clone(),
        known_as: worker.known_as.clone(),
        address: worker.address,
        pod_network: worker.pod_network,
    };
    let joined = tokio::time::timeout(JOIN_LIMIT, Remote::new(place, streams, on)).await;
    let late = |_| std::io::Error::new(std::io::ErrorKind::TimedOut, format!("not joined within {JOIN_LIMIT:?}"));
    let stop = ended.abort_handle();
    let ended = Ended { node: worker.known_as.clone(), task: ended };
    joined.map_err(late).flatten().map(|remote| (remote, ended)).map_err(|e| {
        stop.abort();
        Failure { log: said.lines(), ..failure(&cannot, &e) }
    })
}

/// The end of an agent.
pub(super) struct Ended {
    node: String,
    task: JoinHandle<()>,
}

impl Ended {
    /// Waits for it, when its node has been let go of.
    pub(super) async fn wait(mut self) -> Result<(), String> {
        match tokio::time::timeout(END_LIMIT, &mut self.task).await {
            // How it ended matters to nobody any more.
            Ok(_) => Ok(()),
            Err(_) => {
                self.task.abort();
                Err(format!("existing: the agent on node {} did not end within {END_LIMIT:?}", self.node))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_on_the_node_that_was_chosen() {
        let worker = Worker {
            name: "a".to_owned(),
            known_as: "node-1".to_owned(),
            address: [10, 0, 0, 1].into(),
            pod_network: [10, 244, 1, 0].into(),
        };
        let pod = pod("podferry-1", "podferry/agent:1", &worker);
        assert_eq!(pod.spec.as_ref().unwrap().node_name.as_deref(), Some("node-1"));
        let seen = |state: Value| {
            let status =
                json!({"name": "agent", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
            let pod: Pod = object(json!({"status": {"containerStatuses": [status]}}));
            running(Some(&pod)).map(|runs| runs.map(drop))
        };
        assert_eq!(seen(json!({"running": {}})), Ok(Some(())));
        assert_eq!(seen(json!({"waiting": {"reason": "ContainerCreating"}})), Ok(None));
        let never = seen(json!({"waiting": {"reason": "ErrImagePull", "message": "no such host"}}));
        assert_eq!(never, Err("ErrImagePull: no such host".to_owned()));
        assert_eq!(running(None).map(|_| ()), Err("its pod is gone".to_owned()));
        assert_eq!(running(Some(&pod)).map(|runs| runs.is_some()), Ok(false));
    }
}
