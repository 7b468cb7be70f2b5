//! What a node's CRIU can do, by asking and by doing. For every engine that has CRIU dump.

use super::criu_log;
use crate::node::SharedNode;
use crate::process::Exec;

/// The first major version of CRIU whose images this room reads (`nr_pages` as a 64-bit field).
const LEAST_CRIU: u32 = 4;

/// That there is a CRIU, not too old, which finds what it needs of the kernel. An error says why not.
pub(super) async fn criu(node: &SharedNode) -> Result<(), String> {
    let name = node.name();
    let output = node.output(Exec::new("criu").arg("--version")).await;
    let output = output.map_err(|_| format!("node {name} has no criu"))?;
    let text = output.text();
    let version = text.lines().find_map(|l| l.strip_prefix("Version: ")).unwrap_or_default();
    let major: Option<u32> = version.split('.').next().and_then(|m| m.parse().ok());
    match major {
        _ if output.code == 127 => Err(format!("node {name} has no criu")),
        None => Err(format!("criu on node {name} does not say its version: {text}")),
        Some(major) if major < LEAST_CRIU => Err(format!("criu {version} on node {name} is older than {LEAST_CRIU}.0")),
        Some(_) => check(node, version).await,
    }
}

async fn check(node: &SharedNode, version: &str) -> Result<(), String> {
    let name = node.name();
    let output =
        node.output(Exec::new("criu").arg("check")).await.map_err(|e| format!("criu check on node {name}: {e}"))?;
    if output.code == 0 {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = criu_log::errors(&said);
    let reason = lines.last().cloned().unwrap_or_else(|| said.trim().to_owned());
    Err(format!("criu {version} cannot work on node {name}: {reason}"))
}
