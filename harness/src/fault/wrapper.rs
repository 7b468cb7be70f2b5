//! A script in the place of a node's OCI runtime, which hands every call on to the runtime itself, and on order delays
//! one, fails one, or tells of one and waits.

use super::failed;
use crate::engine::Engine;
use crate::node::SharedNode;
use crate::process::Exec;
use crate::record::{Chain, Failure};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// In the node.
const FOLDER: &str = "/run/podferry-fault-runtime";

/// The runtime stays reachable by a copy, under its own name, which is what its processes are called. A copy and no mount:
/// runc 1.3 starts a container's init from an overlay over the folder that its own binary lies in, and such an overlay sees
/// what is below a mount (`unable to start init: fork/exec /proc/self/fd/6: permission denied`).
const COVER: &str = r#"
set -e
mkdir -p "$1"
cd "$1"
at=$(readlink -f "$(command -v "$2")")
name=$(basename "$2")
cat > script
chmod 755 script
mkfifo told gate
cp -p "$at" "$name"
echo "$name" > name
mount --bind script "$at"
echo "$at" > at
"#;

/// Lazily, since a call that is under way holds it.
const UNCOVER: &str = r#"
cd "$1" 2>/dev/null || exit 0
[ ! -e at ] || umount -l "$(cat at)" || exit
cd /
rm -rf "$1"
"#;

/// An order is a file; who renames it carries it out, so each is carried out once. `exec` wherever it can be, so that the
/// runtime has the process that its caller started: signals, and the end of the parent, reach it as without the script.
const SCRIPT: &str = r#"#!/bin/sh
d=/run/podferry-fault-runtime
read -r name < $d/name
call=
for word; do
  case $word in create | start | run | checkpoint | restore | pause | resume | delete) call=$word; break ;; esac
done
# podman asks `checkpoint --help` whether the runtime can do it at all.
for word; do
  case $word in --help) call= ;; esac
done
taken() { [ -e "$d/$1-$call" ] && mv "$d/$1-$call" "$d/done-$1-$call" 2>/dev/null; }
if taken fail; then
  said="podferry made this call of the runtime fail"
  echo "$said" >&2
  # Callers read the cause from the log that they asked for.
  while [ $# -gt 1 ]; do
    if [ "$1" = --log ]; then echo "{\"level\":\"error\",\"msg\":\"$said\"}" >> "$2"; fi
    shift
  done
  exit 1
fi
if taken delay; then sleep "$(cat "$d/done-delay-$call")"; fi
if taken begin; then
  echo begin > $d/told
  read -r go < $d/gate
fi
if taken end; then
  "$d/$name" "$@"
  code=$?
  echo end > $d/told
  read -r go < $d/gate
  exit $code
fi
exec "$d/$name" "$@"
"#;

/// The script on one node.
pub(crate) struct Wrapper {
    node: SharedNode,
    /// The script's two pipes, held open so that what is written to them waits for who comes to read it, and that nobody
    /// waits for another to open an end.
    pipes: OnceLock<[File; 2]>,
}

impl Wrapper {
    /// Lays it over the runtime of an engine. To be removed by [`Wrapper::remove`], also after an error.
    pub(crate) fn new(engine: &Arc<dyn Engine>) -> Wrapper {
        Wrapper { node: Arc::clone(engine.node()), pipes: OnceLock::new() }
    }

    /// Puts it in its place.
    pub(crate) async fn lay(&self, runtime: &str) -> Result<(), Failure> {
        let script = Exec::new("/bin/sh").args(["-c", COVER, "cover", FOLDER, runtime]).stdin(SCRIPT);
        let doing = format!("lay a wrapper over {runtime} on node {}", self.node());
        self.node.run(script).await.map_err(|e| failed(&doing, Chain(&e)))?;
        let open = |name| OpenOptions::new().read(true).write(true).open(self.file(name));
        let pipes = open("told").and_then(|told| Ok([told, open("gate")?])).map_err(|e| failed(doing, e))?;
        let _ = self.pipes.set(pipes);
        Ok(())
    }

    /// Lets one call through that waits, or that is about to.
    pub(super) fn let_through(&self) {
        if let Some([_, gate]) = self.pipes.get() {
            // A pipe holds thousands of these.
            let _ = (&*gate).write_all(b"go\n");
        }
    }

    /// Takes it away.
    pub(crate) async fn remove(&self) -> Result<(), Failure> {
        let script = Exec::new("/bin/sh").args(["-c", UNCOVER, "uncover", FOLDER]);
        let doing = format!("take the wrapper of the runtime away on node {}", self.node());
        self.node.run(script).await.map(drop).map_err(|e| failed(doing, Chain(&e)))
    }

    /// The node's name.
    pub(super) fn node(&self) -> &str {
        self.node.name()
    }

    /// A file of the script, on the host.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.node.host_path(&Path::new(FOLDER).join(name))
    }

    /// Gives an order for the next call of a name.
    pub(super) fn order(&self, order: &str, call: &str, with: &str) -> Result<(), Failure> {
        let _ = fs::remove_file(self.file(&format!("done-{order}-{call}")));
        let path = self.file(&format!("{order}-{call}"));
        // Renamed into place: a call that comes just now must find it whole.
        let made =
            fs::write(path.with_extension("new"), with).and_then(|()| fs::rename(path.with_extension("new"), path));
        made.map_err(|e| failed(format!("order the runtime of node {} to {order}", self.node()), e))
    }

    /// Takes an order back; says whether it had not been carried out.
    pub(super) fn withdraw(&self, order: &str, call: &str) -> Result<bool, Failure> {
        match fs::remove_file(self.file(&format!("{order}-{call}"))) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(failed(format!("take back an order on node {}", self.node()), e)),
        }
    }

    /// Whether an order was carried out.
    pub(super) fn done(&self, order: &str, call: &str) -> bool {
        self.file(&format!("done-{order}-{call}")).exists()
    }
}
