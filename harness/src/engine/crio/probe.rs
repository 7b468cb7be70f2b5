//! What a node's CRI-O can do, by asking.

use crate::engine::daemon::PATH;
use crate::engine::{Capabilities, EngineError, probe};
use crate::node::SharedNode;
use crate::process::Exec;
use crate::record::{EngineKind, ErrorClass};

const HINT: &str = "give it one by `--component crio=PATH`; `CGO_ENABLED=0 go build -tags \
    containers_image_openpgp,exclude_graphdriver_btrfs ./cmd/crio` makes it (docs/engines.md)";

/// As podman 5.8, from which CRI-O has the code (containers/common, `CRCreateRootFsDiffTar`).
const IMAGE_CHANGES: &str = "CRI-O carries what was added and deleted: a file of the image that was changed is restored as \
    the image has it";

/// With `internal_wipe` and without: `Deleting all containers under sandbox ... since it could not be restored`.
const REMEMBERS: &str = "CRI-O 1.34 deletes what ended with its node when it is started again";

/// What the node's CRI-O is and can do. `Unsupported` if there is none, or nothing that it needs.
pub(super) async fn capabilities(node: &SharedNode) -> Result<Capabilities, EngineError> {
    let name = node.name();
    let lacks = |what: &str, hint: &str| {
        EngineError::new(ErrorClass::Unsupported, format!("node {name} has no {what}")).hint(hint)
    };
    let said = asked(node, "crio").await.ok_or_else(|| lacks("crio", HINT))?;
    let needs = |program| format!("{} needs a node image with the package `{program}`", EngineKind::CriCrio);
    asked(node, "conmon").await.ok_or_else(|| lacks("conmon", &needs("conmon")))?;
    let runc = asked(node, "runc").await.ok_or_else(|| lacks("runc", &needs("runc")))?;
    let runc = runc.lines().next().and_then(|line| line.rsplit(' ').next()?.split('+').next()).unwrap_or_default();
    let criu = probe::criu(node).await;
    let number = version(&said).unwrap_or("of no version");
    Ok(Capabilities {
        checkpoint: criu.clone(),
        restore: criu.clone(),
        restore_image: criu,
        image_changes: Err(IMAGE_CHANGES.to_owned()),
        remembers: Err(REMEMBERS.to_owned()),
        refused_locks: Err("CRI-O has CRIU carry them, always".to_owned()),
        bare_checkpoint: Err("what a naive client leaves behind at CRI-O is not known yet".to_owned()),
        ..Capabilities::all(format!("CRI-O {number} over runc {runc}"))
    })
}

/// What a program says of its version; `None` if there is no such program, or it does not run.
async fn asked(node: &SharedNode, program: &str) -> Option<String> {
    let said = node.output(Exec::new(program).arg("--version").env("PATH", PATH)).await.ok()?;
    (said.code == 0).then(|| said.text())
}

/// The path of CRI-O's own `pinns`, if the node has it.
pub(super) async fn pinns(node: &SharedNode) -> Option<String> {
    let find = Exec::new("/bin/sh").args(["-c", "command -v pinns"]).env("PATH", PATH);
    let said = node.output(find).await.ok()?;
    (said.code == 0).then(|| said.text().trim().to_owned())
}

/// The number in `crio version 1.34.0` and the lines below it.
fn version(said: &str) -> Option<&str> {
    said.lines().next()?.strip_prefix("crio version ").map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_number_is_in_the_first_line() {
        let said = "crio version 1.34.0\n   GitCommit:      unknown\n   GoVersion:      go1.26.8\n";
        assert_eq!(version(said), Some("1.34.0"));
        assert_eq!(version("something else"), None);
    }
}
