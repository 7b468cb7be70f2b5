//! What the nodes of a cluster have said of themselves, as `kind export logs` has it: for who wants to know why something
//! failed. It is asked of dockerd, so that nodes tell too whose kubelet never came up, or that nobody has joined.

use super::dock::Dock;
use crate::process::Exec;
use crate::record::Failure;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
/// Under systemd.
const UNITS: [&str; 2] = ["containerd", "kubelet"];
/// Pods of the control plane's node.
const CONTROL_PLANE: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/// What the nodes said of a cluster that could not be made, until a case takes it for its own.
#[derive(Default)]
pub(in crate::provider) struct Said(Mutex<Option<PathBuf>>);

impl Said {
    /// Keeps it in a folder, and tells of it in the failure. See [`of_all`].
    pub(in crate::provider) async fn keep(
        &self,
        dock: &Dock,
        label: (&str, &str),
        control_plane: &str,
        folder: PathBuf,
        failure: &mut Failure,
    ) {
        match of_all(dock, label, control_plane, &folder).await {
            Ok(false) => {}
            Ok(true) => {
                let said = format!("what its nodes said is in {}", folder.display());
                failure.hint = failure.hint.take().or(Some(said));
                failure.log.extend(last_words(&folder));
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder);
            }
            Err(error) => failure.log.push(format!("can't keep what its nodes said: {error}")),
        }
    }

    /// Moves it into another folder, if there is any.
    pub(in crate::provider) fn move_into(&self, into: &Path) -> std::io::Result<()> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(said) = said else { return Ok(()) };
        std::fs::create_dir_all(into)?;
        for node in std::fs::read_dir(&said)? {
            let node = node?;
            std::fs::rename(node.path(), into.join(node.file_name()))?;
        }
        std::fs::remove_dir(&said)
    }
}

/// Of all nodes that have a label of this value, each in a folder of its own below `into`; whether there are any.
/// `control_plane`: what the control plane's is called.
async fn of_all(dock: &Dock, (label, value): (&str, &str), control_plane: &str, into: &Path) -> std::io::Result<bool> {
    let filter = format!("label={label}={value}");
    let list = Exec::new("docker").args(["ps", "--all", "--format", "{{.Names}}", "--filter", &filter]).timeout(LIMIT);
    let listed = dock.output(list).await.map(|output| output.text()).unwrap_or_default();
    for node in listed.lines() {
        of_node(dock, node, node == control_plane, &into.join(node)).await?;
    }
    Ok(!listed.is_empty())
}

/// The last lines that the kubelets said: whatever else is wrong with a node, its kubelet has most to say of it.
fn last_words(folder: &Path) -> Vec<String> {
    const LINES: usize = 4;
    let mut nodes: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    nodes.sort();
    let of_node = |node: &PathBuf| {
        let said = std::fs::read_to_string(node.join("kubelet.log")).unwrap_or_default();
        let lines: Vec<String> = said.lines().map(str::to_owned).collect();
        lines[lines.len().saturating_sub(LINES)..].to_vec()
    };
    nodes.iter().flat_map(of_node).collect()
}

/// Of one node, by its container's name. What can't be had has the reason in its file.
pub(in crate::provider) async fn of_node(
    dock: &Dock,
    node: &str,
    control_plane: bool,
    into: &Path,
) -> std::io::Result<()> {
    std::fs::create_dir_all(into)?;
    let keep = async |name: &str, args: &[&str]| {
        let said = match dock.output(Exec::new("docker").args(args).timeout(LIMIT)).await {
            Ok(output) if output.code == 0 => [output.stdout, output.stderr].concat(),
            Ok(output) => format!("# {}\n", String::from_utf8_lossy(&output.stderr).trim()).into_bytes(),
            Err(e) => format!("# {}\n", e.message).into_bytes(),
        };
        std::fs::write(into.join(format!("{name}.log")), said)
    };
    keep("node", &["logs", node]).await?;
    for unit in UNITS {
        keep(unit, &["exec", node, "journalctl", "--no-pager", "--output", "short-precise", "--unit", unit]).await?;
    }
    if control_plane {
        for pod in CONTROL_PLANE {
            let all = format!("cat /var/log/pods/kube-system_{pod}-*/*/*.log");
            keep(pod, &["exec", node, "sh", "-c", &all]).await?;
        }
    }
    Ok(())
}
