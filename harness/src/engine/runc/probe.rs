//! What runtime and CRIU of a node can do, by asking them.

use super::pipe_size;
use super::runtime::exec_error;
use crate::engine::{Capabilities, EngineError, Strategies, probe};
use crate::node::SharedNode;
use crate::process::Exec;
use crate::record::{EngineKind, ErrorClass, Strategy};

pub(super) async fn capabilities(node: &SharedNode, kind: EngineKind) -> Result<Capabilities, EngineError> {
    let what = format!("can't ask {kind} on node {} for its version", node.name());
    let version = node.output(Exec::new(kind.name()).arg("--version")).await.map_err(|e| {
        let mut error = exec_error(&what, &e);
        if matches!(e, crate::process::ExecError::Start { .. }) {
            error.class = ErrorClass::Unsupported;
        }
        error
    })?;
    if version.code != 0 {
        let said = String::from_utf8_lossy(&version.stderr).trim().to_owned();
        return Err(EngineError::new(
            ErrorClass::Unsupported,
            format!("{what}: it ended with {}: {said}", version.code),
        ));
    }
    let version = version.text();
    let able = with_criu(node, kind, &version).await;
    let shares = node.shared_dir().is_some();
    let tracks = match &able {
        Ok(()) => tracks_memory(node, shares).await,
        Err(reason) => Err(reason.clone()),
    };
    Ok(Capabilities {
        strategies: Strategies::default()
            .with(Strategy::Stream, stream(kind))
            .with(Strategy::PostCopy, post_copy(node, kind))
            .with(Strategy::PreCopy, tracks),
        checkpoint: able.clone(),
        restore: able,
        restore_image: Err(format!("{kind} knows no images")),
        archive: Err(format!("{kind} makes no archive: what it dumps is what is kept")),
        bare_checkpoint: Err(format!("{kind} has no daemon that a naive client could leave in the middle of a call")),
        daemon: Err(format!("{kind} has no daemon")),
        shared_images: shares,
        ..Capabilities::all(first_line(&version, kind))
    })
}

/// Whether a node's runc or crun can checkpoint and restore, with the node's CRIU.
pub(in crate::engine) async fn able(node: &SharedNode, kind: EngineKind) -> Result<(), String> {
    let version = node.output(Exec::new(kind.name()).arg("--version")).await;
    let version = version.map_err(|_| format!("node {} has no {kind}", node.name()))?;
    with_criu(node, kind, &version.text()).await
}

async fn with_criu(node: &SharedNode, kind: EngineKind, version: &str) -> Result<(), String> {
    built_with_criu(node, kind, version).await?;
    probe::criu(node).await
}

/// Streaming, on top of checkpoints and restores: CRIU is called as runc calls it, and runc's own file names the standard
/// streams.
fn stream(kind: EngineKind) -> Result<(), String> {
    if kind == EngineKind::Runc { Ok(()) } else { Err(format!("podferry streams what runc has made, not {kind}")) }
}

/// Post-copy, likewise.
fn post_copy(node: &SharedNode, kind: EngineKind) -> Result<(), String> {
    if kind != EngineKind::Runc {
        return Err(format!("{kind} has no `--lazy-pages`"));
    }
    if node.shared_dir().is_none() {
        return Err("the nodes share no folder for the images beside the memory".to_owned());
    }
    pipe_size::able()
}

/// `runc version 1.3.6+ds1` becomes `runc 1.3.6+ds1`.
fn first_line(said: &str, kind: EngineKind) -> String {
    let line = said.lines().next().unwrap_or_default();
    format!("{kind} {}", line.rsplit(' ').next().unwrap_or(line))
}

/// runc says it in its features (since 1.1), crun in its version.
async fn built_with_criu(node: &SharedNode, kind: EngineKind, version: &str) -> Result<(), String> {
    if kind == EngineKind::Crun {
        let has = version.split_whitespace().any(|word| word == "+CRIU");
        return if has { Ok(()) } else { Err("crun was built without CRIU".into()) };
    }
    let Ok(output) = node.output(Exec::new("runc").arg("features")).await else { return Ok(()) };
    let features: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    match features["annotations"]["org.opencontainers.runc.checkpoint.enabled"].as_str() {
        Some("false") => Err("runc was built without checkpoints".into()),
        _ => Ok(()),
    }
}

/// Whether the kernel tells which memory was written, as pre-copy needs it. CRIU finds out by doing.
async fn tracks_memory(node: &SharedNode, shares: bool) -> Result<(), String> {
    if !shares {
        return Err("the nodes share no folder that images could be written to".to_owned());
    }
    let asked = Exec::new("criu").args(["check", "--feature", "mem_dirty_track"]);
    let output = node.output(asked).await.map_err(|e| format!("criu check on node {}: {e}", node.name()))?;
    match output.code {
        0 => Ok(()),
        _ => {
            Err("the kernel does not track which memory is written (`criu check --feature mem_dirty_track`)".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_named() {
        assert_eq!(first_line("runc version 1.3.6+ds1\ncommit: x\n", EngineKind::Runc), "runc 1.3.6+ds1");
        assert_eq!(first_line("crun version 1.28\ncommit: x\n", EngineKind::Crun), "crun 1.28");
    }
}
