use super::{Fault, failed, never_struck};
use crate::node::SharedNode;
use crate::process::Exec;
use crate::record::{Chain, Failure};
use crate::scenario::plan::CriuFault;
use async_trait::async_trait;
use std::path::Path;

/// Covers the program at `criu`. A file that is not executable is no program to whoever looks for one on the `PATH`.
const COVER: &str = r#"
set -e
at=$(readlink -f "$(command -v criu)")
mkdir -p "$1"
cat > "$1/criu"
chmod "$2" "$1/criu"
mount --bind "$1/criu" "$at"
echo "$at" > "$1/at"
"#;

const UNCOVER: &str = r#"
if [ -e "$1/at" ]; then umount -l "$(cat "$1/at")"; fi
rm -rf "$1"
"#;

/// What calls itself CRIU 2.6. Runtimes ask by RPC: the answer is a `criu_resp` of type VERSION (10) that succeeded, with
/// version 2.6 (rpc.proto of CRIU); to all else it answers nothing.
const OLD: &str = r#"#!/bin/sh
case "$1" in
swrk)
  dd of=/dev/null bs=4096 count=1 <&"$2" 2>/dev/null
  printf '\010\012\020\001\122\004\010\002\020\006' >&"$2"
  ;;
*)
  echo 'Version: 2.6'
  ;;
esac
"#;

/// What is killed as it begins to dump. Runtimes ask for the version first, each time: to that, and to nothing else, it
/// answers, with 4.2. The file says that it came so far.
const DIES: &str = r#"#!/bin/sh
[ "$1" = swrk ] || { echo 'Version: 4.2'; exit; }
case "$(dd bs=4096 count=1 <&"$2" 2>/dev/null | od -An -tx1 -N2)" in
*'08 0a')
  printf '\010\012\020\001\122\004\010\004\020\002' >&"$2"
  ;;
*)
  : > /run/podferry-fault-criu/started
  kill -9 $$
  ;;
esac
"#;

/// A CRIU that is not there, or too old, or dies.
pub(super) struct Criu {
    node: SharedNode,
    /// What stands where it stood, and its mode.
    text: &'static str,
    mode: &'static str,
    /// Whether it is no fault before it was started.
    must_start: bool,
}

impl Criu {
    pub(super) fn new(node: SharedNode, how: CriuFault) -> Self {
        let (text, mode) = match how {
            CriuFault::Absent => ("podferry: there is no criu here\n", "0644"),
            CriuFault::Old => (OLD, "0755"),
        };
        Criu { node, text, mode, must_start: false }
    }

    /// One that is killed as it begins to dump.
    pub(super) fn dying(node: SharedNode) -> Self {
        Criu { node, text: DIES, mode: "0755", must_start: true }
    }

    fn doing(&self) -> String {
        format!("cover criu on node {}", self.node.name())
    }
}

/// Of this fault alone, inside the node.
const FOLDER: &str = "/run/podferry-fault-criu";

#[async_trait]
impl Fault for Criu {
    async fn strike(&self) -> Result<(), Failure> {
        let script = Exec::new("/bin/sh").args(["-c", COVER, "cover", FOLDER, self.mode]).stdin(self.text);
        self.node.run(script).await.map(drop).map_err(|e| failed(self.doing(), Chain(&e)))
    }

    async fn mend(&self) -> Result<(), Failure> {
        let script = Exec::new("/bin/sh").args(["-c", UNCOVER, "uncover", FOLDER]);
        self.node.run(script).await.map(drop).map_err(|e| failed(format!("un{}", self.doing()), Chain(&e)))
    }

    async fn effect(&self) -> Result<(), Failure> {
        let started = self.node.host_path(Path::new(FOLDER)).join("started");
        if !self.must_start || started.exists() {
            return Ok(());
        }
        Err(never_struck(format!("no criu was started on node {} in time", self.node.name())))
    }
}
