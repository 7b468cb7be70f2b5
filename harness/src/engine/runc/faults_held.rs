//! A lazy-pages daemon that is killed closes its userfaultfds, and from that instant the kernel gives the process zeros for
//! every page that has not come: it goes on, and answers wrongly (Linux 6.18; seen in a redis that knew of keys no more).
//! While somebody else has such a descriptor open as well, the process waits instead, and can be ended.

use crate::node::{SharedNode, host_id};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// What `/proc/PID/fd` says of such a descriptor.
const LINK: &str = "anon_inode:[userfaultfd]";

/// The userfaultfds of a daemon of the node, open once more. None are left of one that has ended.
pub(super) fn hold(node: &SharedNode, daemon: u32) -> io::Result<Vec<OwnedFd>> {
    match copies(node, daemon) {
        Err(e) if e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {
            Ok(Vec::new())
        }
        copies => copies,
    }
}

fn copies(node: &SharedNode, daemon: u32) -> io::Result<Vec<OwnedFd>> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let id = host_id(node, daemon).and_then(Pid::from_raw).ok_or_else(gone)?;
    let process = pidfd_open(id, PidfdFlags::empty())?;
    let mut held = Vec::new();
    for entry in fs::read_dir(node.host_path(Path::new(&format!("/proc/{daemon}/fd"))))? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|n| n.parse().ok());
        let wanted = fs::read_link(entry.path()).is_ok_and(|to| to == Path::new(LINK));
        if let Some(number) = number.filter(|_| wanted) {
            held.push(pidfd_getfd(&process, number, PidfdGetfdFlags::empty())?);
        }
    }
    Ok(held)
}
