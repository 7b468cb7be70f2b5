//! containerd over crun: a wrapper leaves out the one option of containerd's that crun does not know.

use super::{CriEngine, CriOptions};
use crate::engine::containerd::{self, Places};
use crate::engine::daemon::PATH;
use crate::engine::{Engine, EngineError};
use crate::node::SharedNode;
use crate::process::Exec;
use crate::record::{EngineKind, ErrorClass};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// containerd's shim calls `restore` with `-no-subreaper`, hard-coded and with one dash; crun 1.28 takes that for short
/// options and ends with 64 (`invalid option -- 'n'`). Its standard error must not be redirected: it becomes the container's.
const WRAPPER: &str = "#!/bin/sh\n\
    for word; do\n  shift\n  case $word in -no-subreaper | --no-subreaper) ;; *) set -- \"$@\" \"$word\" ;; esac\ndone\n\
    exec crun \"$@\"\n";

/// The engine `cri-crun`.
pub(super) async fn connect(node: SharedNode, mut options: CriOptions) -> Result<Arc<dyn Engine>, EngineError> {
    let name = node.name();
    let version = node.output(Exec::new("crun").arg("--version").env("PATH", PATH)).await;
    let version = version.ok().filter(|said| said.code == 0).map(|said| said.text()).ok_or_else(|| {
        EngineError::new(ErrorClass::Unsupported, format!("node {name} has no crun"))
            .hint("give it one by `--component crun=PATH`, or a node image with the package `crun`")
    })?;
    let kind = EngineKind::CriCrun;
    let wrapper = Places::of(kind).in_home("crun");
    containerd::write(&node, [(wrapper.clone(), WRAPPER.to_owned())], &[])?;
    let path = node.host_path(Path::new(&wrapper));
    let made = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755));
    made.map_err(|e| containerd::broken(&node, "make the wrapper of crun", e))?;
    options.runtime = wrapper;
    CriEngine::connect_as(kind, node, options, first_line(&version)).await
}

/// `crun version 1.28` becomes `crun 1.28`.
fn first_line(said: &str) -> String {
    let line = said.lines().next().unwrap_or_default();
    format!(" over crun {}", line.rsplit(' ').next().unwrap_or(line))
}
