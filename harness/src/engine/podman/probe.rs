//! What podman, its OCI runtime and CRIU of a node can do, by asking them.

use crate::engine::failing::exec_error;
use crate::engine::runc::able;
use crate::engine::{Capabilities, EngineError};
use crate::node::SharedNode;
use crate::process::{Exec, ExecError};
use crate::record::{EngineKind, ErrorClass};

/// Why there is no restore from images.
pub(super) const IMAGES: &str =
    "its own checkpoint images (`--create-image`) are not of the form that containerd takes";
/// Why no daemon can be killed.
pub(super) const DAEMON: &str = "podman has no daemon that could be killed";

pub(super) async fn capabilities(node: &SharedNode, runtime: &'static str) -> Result<Capabilities, EngineError> {
    let podman = version(node, "podman").await?;
    let oci = version(node, runtime).await?;
    version(node, "conmon").await?;
    let kind = if runtime == "runc" { EngineKind::Runc } else { EngineKind::Crun };
    let able = able(node, kind).await;
    let shown = format!("podman {} ({runtime} {})", number(&podman), number(&oci));
    Ok(Capabilities {
        checkpoint: able.clone(),
        restore: able,
        restore_image: Err(IMAGES.to_owned()),
        image_changes: Err(
            "a file of the image that was changed is restored as the image has it, and a folder that was removed and made again is not there".to_owned()
        ),
        bare_checkpoint: Err("podman has no daemon that a naive client could leave in the middle of a call".to_owned()),
        daemon: Err(DAEMON.to_owned()),
        ..Capabilities::all(shown)
    })
}

/// `podman version 5.8.6` becomes `5.8.6`.
fn number(said: &str) -> &str {
    let line = said.lines().next().unwrap_or_default();
    line.rsplit(' ').next().unwrap_or(line)
}

async fn version(node: &SharedNode, program: &str) -> Result<String, EngineError> {
    let what = format!("can't ask {program} on node {} for its version", node.name());
    let unsupported = |text| {
        let hint = "the node image needs the packages podman, conmon, and crun or runc";
        EngineError::new(ErrorClass::Unsupported, text).hint(hint)
    };
    let output = node.output(Exec::new(program).arg("--version").env("HOME", "/root")).await.map_err(|e| {
        let error = exec_error(&what, &e);
        if matches!(e, ExecError::Start { .. }) { unsupported(error.message) } else { error }
    })?;
    if output.code != 0 {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(unsupported(format!("{what}: it ended with {}: {said}", output.code)));
    }
    Ok(output.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(number("podman version 5.8.6"), "5.8.6");
        assert_eq!(number("crun version 1.28\ncommit: x\n"), "1.28");
        assert_eq!(number("runc version 1.3.6+ds1\n"), "1.3.6+ds1");
    }
}
