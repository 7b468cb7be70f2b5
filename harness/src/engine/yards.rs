//! What CRIU leaves mounted when it is killed in a restore.

use crate::node::SharedNode;
use crate::process::Exec;
use std::path::{Path, PathBuf};

/// A restore mounts the control groups once more, below a folder of this name in its working folder, and takes that
/// away when it ends by itself (criu 4.2.1, `cgroup.c`). A CRIU that had to be killed leaves it in the node: all
/// controllers, writable, where logs are looked for.
const YARD: &str = ".criu.cgyard.";

/// Takes away the yards below a folder of the node. Only while no CRIU that may still use one works there.
pub(super) async fn clear(node: &SharedNode, below: &Path) {
    for yard in yards(&mounts(node), below) {
        // Lazy, since what CRIU had begun to make may still end in it. A yard that stays does no harm but to the log's
        // readers, who step over it.
        let umount = Exec::new("umount").args(["--lazy", "--recursive"]).arg(&yard);
        if node.output(umount).await.is_ok_and(|done| done.code == 0) {
            let _ = std::fs::remove_dir(node.host_path(&yard));
        }
    }
}

/// The yards that are there, for the leak check.
pub(super) fn left(node: &SharedNode, below: &Path) -> Vec<String> {
    yards(&mounts(node), below).iter().map(|yard| format!("mount {}", yard.display())).collect()
}

fn mounts(node: &SharedNode) -> String {
    std::fs::read_to_string(node.host_path(Path::new("/proc/1/mountinfo"))).unwrap_or_default()
}

/// Whether a folder is, or was, a yard.
pub(super) fn is_yard(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with(YARD)
}

/// The yards that `/proc/PID/mountinfo` tells of, see proc_pid_mountinfo(5).
fn yards(mountinfo: &str, below: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    points.filter(|p| p.starts_with(below) && p.file_name().is_some_and(is_yard)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yard_is_found_and_nothing_else() {
        let mountinfo = "36 35 0:32 / /data rw,relatime - tmpfs tmpfs rw\n\
                         90 36 0:71 / /data/runc/logs/x/.criu.cgyard.XVNRKf rw - tmpfs none rw\n\
                         91 90 0:72 / /data/runc/logs/x/.criu.cgyard.XVNRKf/unified rw - cgroup2 none rw\n\
                         92 36 0:71 / /data/runc/logs/y/.criu.cgyard.abcdef rw - tmpfs none rw\n";
        let found = |below: &str| yards(mountinfo, Path::new(below));
        assert_eq!(found("/data/runc/logs/x"), [PathBuf::from("/data/runc/logs/x/.criu.cgyard.XVNRKf")]);
        assert_eq!(found("/").len(), 2);
        assert!(found("/run").is_empty());
    }
}
