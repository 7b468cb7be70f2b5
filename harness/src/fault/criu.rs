use super::{Fault, failed};
use crate::node::SharedNode;
use crate::process::Exec;
use crate::record::{Chain, Failure};
use crate::scenario::plan::CriuFault;
use async_trait::async_trait;

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

/// A CRIU that is not there, or too old.
pub(super) struct Criu {
    node: SharedNode,
    how: CriuFault,
}

impl Criu {
    pub(super) fn new(node: SharedNode, how: CriuFault) -> Self {
        Criu { node, how }
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
        let (mode, text) = match self.how {
            CriuFault::Absent => ("0644", "podferry: there is no criu here\n"),
            CriuFault::Old => ("0755", OLD),
        };
        let script = Exec::new("/bin/sh").args(["-c", COVER, "cover", FOLDER, mode]).stdin(text);
        self.node.run(script).await.map(drop).map_err(|e| failed(self.doing(), Chain(&e)))
    }

    async fn mend(&self) -> Result<(), Failure> {
        let script = Exec::new("/bin/sh").args(["-c", UNCOVER, "uncover", FOLDER]);
        self.node.run(script).await.map(drop).map_err(|e| failed(format!("un{}", self.doing()), Chain(&e)))
    }
}
