use super::super::wire::CgroupMounts;
use super::Doing;
use nix::mount::{MsFlags, mount};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Moves the calling process into all these groups.
pub(super) fn join(groups: &[PathBuf]) -> Result<(), String> {
    for group in groups {
        let procs = group.join("cgroup.procs");
        // "0": whoever writes.
        fs::write(&procs, "0").doing(format_args!("join {}", group.display()))?;
    }
    Ok(())
}

/// Mounts the control groups at `at`, to be called inside the cgroup namespace.
pub(super) fn mount_all(mounts: &CgroupMounts, at: &Path) -> Result<(), String> {
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    match mounts {
        CgroupMounts::V1(hierarchies) => {
            mount(Some("tmpfs"), at, Some("tmpfs"), quiet, Some("mode=755,size=1m"))
                .doing("mount tmpfs for cgroups")?;
            for (name, options) in hierarchies {
                let dir = at.join(name);
                fs::create_dir(&dir).doing(format_args!("make {}", dir.display()))?;
                mount(Some("cgroup"), &dir, Some("cgroup"), quiet, Some(options.as_str()))
                    .doing(format_args!("mount cgroup {options}"))?;
                // Controllers that share a hierarchy (`cpu,cpuacct`) are looked up one by one.
                for single in name.split(',').filter(|single| single != name) {
                    symlink(name, at.join(single)).doing(format_args!("link cgroup {single}"))?;
                }
            }
            Ok(())
        }
        CgroupMounts::V2 => {
            mount(Some("cgroup2"), at, Some("cgroup2"), quiet, None::<&str>).doing("mount cgroup2")?;
            hand_down_controllers(at)
        }
    }
}

/// In version 2 a group with processes can't hand controllers down (the root of a cgroup namespace is no true root), so
/// PID 1 moves into a leaf first. Its programs start there too; containers get groups beside it.
fn hand_down_controllers(root: &Path) -> Result<(), String> {
    let leaf = root.join("init");
    fs::create_dir(&leaf).doing("make the cgroup of PID 1")?;
    join(std::slice::from_ref(&leaf))?;
    let controllers = fs::read_to_string(root.join("cgroup.controllers")).doing("read cgroup.controllers")?;
    for controller in controllers.split_whitespace() {
        fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"))
            .doing(format_args!("hand down the cgroup controller {controller}"))?;
    }
    Ok(())
}

/// Thaws all that is frozen in the node. SIGKILL does not reach frozen tasks of cgroup version 1, so PID 1 could not
/// end as long as one is there.
pub(super) fn thaw_all() {
    thaw_below(Path::new("/sys/fs/cgroup/freezer"));
}

fn thaw_below(group: &Path) {
    // From the top down: a child can't thaw under a frozen parent. The root has no such file; groups may vanish.
    let _ = fs::write(group.join("freezer.state"), "THAWED");
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            thaw_below(&entry.path());
        }
    }
}
