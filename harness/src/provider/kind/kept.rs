//! Clusters under the user's dockerd that a run leaves, and the next one takes over: what is noted of them in the ledger, and
//! whether one is as a run would make it.

use super::config::{self, Shape};
use super::creation::known_as;
use super::{LABEL, failure};
use crate::ledger::{self, Claim, KEPT_KIND_CLUSTER};
use crate::process::Exec;
use crate::provider::containers::dock::Dock;
use crate::provider::containers::joined::ADMIN;
use crate::provider::containers::sweep::labelled;
use crate::provider::local::Claims;
use crate::record::{CaseId, Chain, Failure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Its API server answers within some milliseconds.
const LIMIT: Duration = Duration::from_secs(30);
const PASSED: &str = "passed";
const FAILED: &str = "failed";

/// A cluster that an earlier run left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) name: String,
    /// Whether a case did not pass on it.
    failed: bool,
    pub(super) socket: PathBuf,
}

impl Kept {
    pub(super) fn new(name: &str, failed: bool, socket: &Path) -> Kept {
        Kept { name: name.to_owned(), failed, socket: socket.to_owned() }
    }

    /// As it is noted: `NAME passed SOCKET`.
    pub(super) fn claim(&self) -> String {
        let state = if self.failed { FAILED } else { PASSED };
        format!("{} {state} {}", self.name, self.socket.display())
    }

    fn of(claim: &str) -> Option<Kept> {
        let mut words = claim.splitn(3, ' ');
        let (name, state, socket) = (words.next()?, words.next()?, words.next()?);
        [PASSED, FAILED].contains(&state).then(|| Kept::new(name, state == FAILED, Path::new(socket)))
    }

    /// Has it stay: a kubeconfig that leads to it without the harness is written beside the run's own, and it is noted, so that
    /// no start of a run sweeps it. What a person needs to know of it. `workers`: their names in scenarios.
    pub(super) async fn keep(
        &self,
        dock: &Dock,
        case: Option<&CaseId>,
        kubeconfig: &Path,
        workers: &[String],
        claims: &dyn Claims,
    ) -> Result<String, Failure> {
        let output = dock.output(Exec::new(dock.tool()).args(["get", "kubeconfig", "--name", &self.name])).await?;
        if output.code != 0 {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Failure::surroundings(format!("can't keep the kind cluster {}: {said}", self.name)));
        }
        let path = kubeconfig.with_file_name(format!("kubeconfig-{}", self.name));
        let written = crate::cluster::write_secret(&path, &format!("{}\n", output.text()));
        written.map_err(|e| failure(&format!("can't write {}", path.display()), &e))?;
        let noted = claims.claim(KEPT_KIND_CLUSTER, &self.claim());
        noted.map_err(|e| failure("can't note that the kind cluster stays", &e))?;
        let nodes = workers.iter().enumerate();
        let nodes: Vec<_> = nodes.map(|(i, name)| (name.as_str(), known_as(&self.name, Some(i)))).collect();
        Ok(told(self, case, &path, &nodes))
    }

    /// Takes it over from the run that left it; `noted` notes a claim of the caller's before. `false`: another run was faster.
    pub(super) fn take(&self, noted: impl FnOnce() -> std::io::Result<()>) -> Result<bool, String> {
        let claim = Claim { kind: KEPT_KIND_CLUSTER.to_owned(), name: self.claim() };
        ledger::take_over(&claim, noted).map_err(|e| Chain(&e).to_string())
    }

    /// Why it is not as a run would make it now, if so.
    pub(super) async fn misfit(&self, dock: &Dock, shape: &Shape) -> Option<String> {
        if self.failed {
            return Some("a case failed on it".to_owned());
        }
        let control_plane = known_as(&self.name, None);
        let ask = async |what: &[&str]| {
            let exec = Exec::new("docker").args(["exec", &control_plane, "kubectl", "--kubeconfig", ADMIN]).args(what);
            let output = dock.output(exec.arg("--request-timeout=10s").timeout(LIMIT)).await.map_err(|e| e.message)?;
            match output.code {
                0 => Ok(output.text()),
                _ => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            }
        };
        let nodes = match ask(&["get", "nodes", "--output", "json"]).await {
            Ok(nodes) => nodes,
            Err(why) => return Some(format!("its control plane does not answer: {why}")),
        };
        let all = std::iter::once(None).chain((0..shape.workers).map(Some));
        let names = all.map(|worker| known_as(&self.name, worker)).collect();
        let unlike = difference(&serde_json::from_str(&nodes).unwrap_or_default(), &names, &shape.digest());
        if unlike.is_some() {
            return unlike;
        }
        match ask(&["get", "pods", "--namespace", crate::cluster::NAMESPACE, "--output", "name"]).await {
            Ok(pods) if pods.is_empty() => None,
            Ok(pods) => Some(format!("it still has {}", pods.lines().collect::<Vec<_>>().join(", "))),
            Err(why) => Some(format!("its pods can't be listed: {why}")),
        }
    }
}

/// What clusters earlier runs left under a dockerd, the last one first. Those of runs that live are not among them.
pub(super) fn all(socket: &Path) -> Result<Vec<Kept>, String> {
    let dead = ledger::dead().map_err(|e| Chain(&e).to_string())?;
    let claims = dead.iter().rev().flat_map(|run| run.claims.iter().rev());
    let kept = claims.filter(|claim| claim.kind == KEPT_KIND_CLUSTER).filter_map(|claim| Kept::of(&claim.name));
    Ok(kept.filter(|kept| kept.socket == socket).collect())
}

/// How the nodes that a cluster has differ from those that it is to have, as `kubectl get nodes` tells of them. Pure.
fn difference(told: &Value, names: &BTreeSet<String>, digest: &str) -> Option<String> {
    let nodes = told["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |node: &Value| node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let there: BTreeSet<String> = nodes.iter().map(name).collect();
    if there != *names {
        return Some(format!("it has {} nodes, where {} are needed", there.len(), names.len()));
    }
    nodes.iter().find_map(|node| {
        let label = node["metadata"]["labels"][config::LABEL].as_str().unwrap_or("none");
        if label != digest {
            return Some(format!("it was made of something else: configuration {label}, not {digest}"));
        }
        let conditions = node["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ready = conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
        (!ready).then(|| format!("node {} is not ready", name(node)))
    })
}

/// What a person needs to know of a cluster that stays. `nodes`: the names in scenarios, each with its container's.
fn told(kept: &Kept, case: Option<&CaseId>, kubeconfig: &Path, nodes: &[(&str, String)]) -> String {
    let why = match case {
        Some(case) => format!("where {case} did not pass"),
        None => "for the next run with --reuse".to_owned(),
    };
    let nodes: Vec<String> = nodes.iter().map(|(name, container)| format!("{name}: {container}")).collect();
    let container = known_as(&kept.name, Some(0));
    format!(
        "kind: the cluster {} stays, {why}\n  \
         KUBECONFIG={} kubectl get pods --namespace {}\n  \
         docker --host unix://{} exec -it {container} bash   # {}\n  \
         podferry clean   # removes it\n",
        kept.name,
        kubeconfig.display(),
        crate::cluster::NAMESPACE,
        kept.socket.display(),
        nodes.join(", "),
    )
}

/// Removes what a dead run left of its cluster under the user's dockerd. `claim`: what it noted.
///
/// # Errors
/// Why something is still there.
pub fn sweep(claim: &Claim) -> Result<(), String> {
    let (cluster, socket) = match claim.kind.as_str() {
        KEPT_KIND_CLUSTER => Kept::of(&claim.name).map(|kept| (kept.name, kept.socket.display().to_string())),
        _ => claim.name.split_once(' ').map(|(name, socket)| (name.to_owned(), socket.to_owned())),
    }
    .ok_or("the claim names no socket")?;
    labelled(LABEL, &cluster, &socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_noted_is_read_again() {
        for failed in [false, true] {
            let kept = Kept::new("podferry-x", failed, Path::new("/run/my docker.sock"));
            assert_eq!(Kept::of(&kept.claim()), Some(kept));
        }
        assert_eq!(Kept::of("podferry-x /run/docker.sock"), None);
        assert_eq!(Kept::of("podferry-x well /run/docker.sock"), None);
    }

    fn node(name: &str, label: &str, ready: &str) -> Value {
        json!({
            "metadata": {"name": name, "labels": {config::LABEL: label}},
            "status": {"conditions": [{"type": "DiskPressure", "status": "False"}, {"type": "Ready", "status": ready}]},
        })
    }

    #[test]
    fn only_a_cluster_that_is_alike_and_ready_is_taken() {
        let names = BTreeSet::from(["c".to_owned(), "w".to_owned()]);
        let of = |nodes: &[Value]| difference(&json!({"items": nodes}), &names, "1234");
        assert_eq!(of(&[node("c", "1234", "True"), node("w", "1234", "True")]), None);
        let told = |nodes: &[Value]| of(nodes).unwrap();
        assert_eq!(told(&[node("c", "1234", "True")]), "it has 1 nodes, where 2 are needed");
        assert_eq!(
            told(&[node("c", "1234", "True"), node("w", "5678", "True")]),
            "it was made of something else: configuration 5678, not 1234"
        );
        assert_eq!(told(&[node("c", "1234", "Unknown"), node("w", "1234", "True")]), "node c is not ready");
        assert_eq!(difference(&Value::Null, &names, "1234").unwrap(), "it has 0 nodes, where 2 are needed");
    }

    #[test]
    fn who_wants_to_look_is_told_how() {
        let kept = Kept::new("podferry-x", true, Path::new("/var/run/docker.sock"));
        let nodes = [("a", "podferry-x-worker".to_owned()), ("b", "podferry-x-worker2".to_owned())];
        let case = CaseId("looper-migrates[engine=kubelet]".to_owned());
        insta::assert_snapshot!(told(&kept, Some(&case), Path::new("/out/kubeconfig-podferry-x"), &nodes));
    }
}
