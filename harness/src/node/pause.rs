//! A node that stands still: all of its processes are frozen but PID 1, which has to answer for the node's end.

use super::CONTAINERS;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the node's own programs (containerd, shims, CRIU) are frozen; containers have groups below [`CONTAINERS`].
const ASIDE: &str = "podferry-paused";
/// A task in the middle of a system call that cannot be interrupted keeps its group from freezing.
const PATIENCE: Duration = Duration::from_secs(5);
/// The kernel tells nobody when a group of version 1 is frozen.
const GLANCE: Duration = Duration::from_millis(1);

/// Freezes or thaws; `mounted` is the node's `/sys/fs/cgroup` on the host, `init` PID 1's id there.
///
/// PID 1 thaws all groups below its own before it ends, so a node that stands still when the harness dies is gone too.
pub(super) fn set(mounted: &Path, init: u32, paused: bool) -> io::Result<()> {
    let freezer = mounted.join("freezer");
    let (root, v1) = if freezer.is_dir() { (freezer, true) } else { (mounted.to_owned(), false) };
    // Version 2: programs start in the leaf of PID 1.
    let home = if v1 { root.clone() } else { root.join("init") };
    let aside = root.join(ASIDE);
    let groups: Vec<PathBuf> = [aside.clone(), root.join(&CONTAINERS[1..])].into();
    if paused {
        fs::create_dir_all(&aside)?;
        gather(&home, &aside, init)?;
        frozen(&groups, v1, true)
    } else {
        frozen(&groups, v1, false)?;
        if aside.is_dir() {
            gather(&aside, &home, init)?;
            fs::remove_dir(&aside)?;
        }
        Ok(())
    }
}

/// Moves all processes but PID 1, until none is left: one may fork meanwhile.
fn gather(from: &Path, to: &Path, init: u32) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let procs = fs::read_to_string(from.join("cgroup.procs"))?;
        let others: Vec<&str> = procs.lines().filter(|pid| *pid != init.to_string()).collect();
        if others.is_empty() {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{} does not get empty", from.display())));
        }
        for pid in others {
            match fs::write(to.join("cgroup.procs"), pid) {
                // It has just ended.
                Err(e) if e.raw_os_error() == Some(nix::libc::ESRCH) => {}
                moved => moved?,
            }
        }
    }
}

fn frozen(groups: &[PathBuf], v1: bool, frozen: bool) -> io::Result<()> {
    // Where no container was ever made, there is no group of theirs.
    for group in groups.iter().filter(|g| g.is_dir()) {
        let (file, words) = if v1 { ("freezer.state", ["THAWED", "FROZEN"]) } else { ("cgroup.freeze", ["0", "1"]) };
        let until = Instant::now() + PATIENCE;
        loop {
            fs::write(group.join(file), words[usize::from(frozen)])?;
            if is_frozen(group, v1)? == frozen {
                break;
            }
            if Instant::now() > until {
                let doing = if frozen { "freeze" } else { "thaw" };
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{} does not {doing}", group.display())));
            }
            std::thread::sleep(GLANCE);
        }
    }
    Ok(())
}

fn is_frozen(group: &Path, v1: bool) -> io::Result<bool> {
    Ok(if v1 {
        fs::read_to_string(group.join("freezer.state"))?.trim() == "FROZEN"
    } else {
        fs::read_to_string(group.join("cgroup.events"))?.lines().any(|line| line == "frozen 1")
    })
}
