//! What the nodes of a cluster have said of themselves, as `kind export logs` has it: for who wants to know why something
//! failed. It is asked of dockerd, so that nodes tell too whose kubelet never came up, or that nobody has joined.

use super::super::dock::Dock;
use super::LABEL;
use crate::process::Exec;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
/// Under systemd.
const UNITS: [&str; 2] = ["containerd", "kubelet"];
/// Pods of the control plane's node.
const CONTROL_PLANE: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/// Of all nodes that a cluster has, each in a folder of its own below `into`; whether there are any.
pub(super) async fn of_all(dock: &Dock, cluster: &str, into: &Path) -> std::io::Result<bool> {
    let filter = format!("label={LABEL}={cluster}");
    let list = Exec::new("docker").args(["ps", "--all", "--format", "{{.Names}}", "--filter", &filter]).timeout(LIMIT);
    let listed = dock.output(list).await.map(|output| output.text()).unwrap_or_default();
    for node in listed.lines() {
        of_node(dock, node, &into.join(node)).await?;
    }
    Ok(!listed.is_empty())
}

/// The last lines that the kubelets said: whatever else is wrong with a node, its kubelet has most to say of it.
pub(super) fn last_words(folder: &Path) -> Vec<String> {
    const LINES: usize = 4;
    let mut nodes: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    nodes.sort();
    let of_node = |node: &std::path::PathBuf| {
        let said = std::fs::read_to_string(node.join("kubelet.log")).unwrap_or_default();
        let lines: Vec<String> = said.lines().map(str::to_owned).collect();
        lines[lines.len().saturating_sub(LINES)..].to_vec()
    };
    nodes.iter().flat_map(of_node).collect()
}

/// Of one node, by its container's name. What can't be had has the reason in its file.
pub(super) async fn of_node(dock: &Dock, node: &str, into: &Path) -> std::io::Result<()> {
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
    if node.ends_with("-control-plane") {
        for pod in CONTROL_PLANE {
            let all = format!("cat /var/log/pods/kube-system_{pod}-*/*/*.log");
            keep(pod, &["exec", node, "sh", "-c", &all]).await?;
        }
    }
    Ok(())
}
