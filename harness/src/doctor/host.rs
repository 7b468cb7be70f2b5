//! What the machine and its kernel allow.

use super::Finding;
use crate::component::{find_program, missing_packages, with_system_path};
use crate::process::Exec;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Programs of the host that podferry calls, with the packages (Debian's names) that bring them.
const PROGRAMS: [(&str, &str); 6] = [
    ("ip", "iproute2"),
    ("mount", "mount"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("chroot", "coreutils"),
    ("sh", "dash"),
];

pub(super) fn root(euid: u32) -> Finding {
    if euid == 0 {
        return Finding::ok("root", "user 0");
    }
    Finding::missing(
        "root",
        format!(
            "podferry needs root: it makes namespaces, mounts and control groups, and CRIU reads other processes' \
             memory. This is user {euid}"
        ),
        "run the same command by sudo",
    )
}

/// `/proc/self/status`.
pub(super) fn status() -> String {
    fs::read_to_string("/proc/self/status").unwrap_or_default()
}

/// Capability numbers from capability.h. Without the first ones there is no node or no dump; root in a container
/// usually lacks some.
const NEEDED: [(u32, &str); 12] = [
    (0, "CAP_CHOWN"),
    (1, "CAP_DAC_OVERRIDE"),
    (5, "CAP_KILL"),
    (6, "CAP_SETGID"),
    (7, "CAP_SETUID"),
    (8, "CAP_SETPCAP"),
    (12, "CAP_NET_ADMIN"),
    (13, "CAP_NET_RAW"),
    (18, "CAP_SYS_CHROOT"),
    (19, "CAP_SYS_PTRACE"),
    (21, "CAP_SYS_ADMIN"),
    (27, "CAP_MKNOD"),
];
const CAP_SYS_RESOURCE: u32 = 24;

/// The capabilities of this process, by `/proc/self/status`.
fn effective(status: &str) -> Option<u64> {
    let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(bits.trim(), 16).ok()
}

/// Whether this process, and with it every node, has `CAP_SYS_RESOURCE`.
pub(super) fn may_raise_limits() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    effective(&status).is_some_and(|bits| bits >> CAP_SYS_RESOURCE & 1 == 1)
}

pub(super) fn capabilities(status: &str) -> Finding {
    let Some(bits) = effective(status) else {
        return Finding::warn("capabilities", "/proc/self/status does not tell them", "mount /proc");
    };
    let has = |number: u32| bits >> number & 1 == 1;
    let lacking: Vec<&str> = NEEDED.iter().filter(|(number, _)| !has(*number)).map(|(_, name)| *name).collect();
    if !lacking.is_empty() {
        return Finding::missing(
            "capabilities",
            format!("this process lacks {}", lacking.join(", ")),
            "run as root on the machine itself, or in a container with all capabilities (docker run --privileged)",
        );
    }
    if !has(CAP_SYS_RESOURCE) {
        return Finding::warn(
            "capabilities",
            "this process lacks CAP_SYS_RESOURCE: CRIU can't dump a process of another user than root (`Can't get rlimit \
             0: Operation not permitted`)",
            "run workloads as user 0 only, or run podferry where root has that capability",
        );
    }
    Finding::ok("capabilities", "all that are needed")
}

pub(super) fn namespaces() -> Finding {
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];
    let none = |kind: &&str| {
        let limit = fs::read_to_string(format!("/proc/sys/user/max_{kind}_namespaces"));
        !Path::new("/proc/self/ns").join(kind).exists() || limit.is_ok_and(|l| l.trim() == "0")
    };
    let lacking: Vec<&str> = kinds.into_iter().filter(none).collect();
    if lacking.is_empty() {
        return Finding::ok("namespaces", kinds.join(", "));
    }
    Finding::missing(
        "namespaces",
        format!("this kernel has no namespaces of kind {}, or allows none", lacking.join(", ")),
        "raise /proc/sys/user/max_*_namespaces, or use a kernel with CONFIG_NAMESPACES and all that is below it",
    )
}

pub(super) fn programs() -> Finding {
    let lacking = PROGRAMS.iter().filter(|(program, _)| find_program(program).is_none());
    let (programs, mut packages): (Vec<&str>, Vec<&str>) = lacking.copied().unzip();
    if programs.is_empty() {
        return Finding::ok("programs", PROGRAMS.map(|(program, _)| program).join(", "));
    }
    packages.dedup();
    let remedy = if find_program("apt-get").is_some() {
        format!("apt-get install {}", packages.join(" "))
    } else {
        format!("install them by this system's package manager (on Debian: {})", packages.join(", "))
    };
    Finding::missing("programs", format!("not found: {}", programs.join(", ")), remedy)
}

pub(super) fn bootstrap_tool() -> Finding {
    const NAME: &str = "bootstrap tool";
    let lacking = missing_packages();
    if lacking.is_empty() {
        return Finding::ok(NAME, "mmdebstrap and Debian's archive keys");
    }
    let list = lacking.join(", ");
    if find_program("apt-get").is_some() {
        let remedy = "nothing to do: it is installed by apt-get when a node image is to be made";
        return Finding::warn(NAME, format!("not installed: {list}"), remedy);
    }
    Finding::warn(
        NAME,
        format!("not installed, and no apt-get to install it by: {list}; without it only an image in the cache serves"),
        "install mmdebstrap and Debian's archive keyring by this system's package manager",
    )
}

/// `ns_last_pid` is there only on kernels with CONFIG_CHECKPOINT_RESTORE (kernel/pid_namespace.c).
pub(super) fn kernel() -> Finding {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    if Path::new("/proc/sys/kernel/ns_last_pid").exists() {
        return Finding::ok("kernel", format!("{release}, with CONFIG_CHECKPOINT_RESTORE"));
    }
    Finding::missing(
        "kernel",
        format!("{release} is built without CONFIG_CHECKPOINT_RESTORE: CRIU can't work"),
        "use a distribution's kernel; microVM and container-host kernels often lack it",
    )
}

/// Mounts an overlay over a folder of the cache's file system, as nodes do.
pub(super) async fn overlay(cache: &Path) -> Finding {
    const SCRIPT: &str = "mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/both && \
                          mount -t overlay -o lowerdir=\"$1\",upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/both";
    let lower = super::room::nearest(cache);
    let exec = Exec::new("unshare").args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"]).arg(lower);
    match with_system_path(exec).timeout(Duration::from_secs(10)).run().await {
        Ok(_) => Finding::ok("overlay", format!("mounted over {}", lower.display())),
        Err(e) => Finding::missing(
            "overlay",
            format!("can't mount an overlay over {}: {e}", lower.display()),
            "modprobe overlay; if the cache itself lies on an overlay (inside a container), name another place by \
             PODFERRY_CACHE",
        ),
    }
}

pub(super) fn cgroups() -> Finding {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    match cgroup_kind(&mounts) {
        Some(kind) => Finding::ok("cgroups", kind),
        None => Finding::missing(
            "cgroups",
            "no control group file system is mounted",
            "mount -t cgroup2 none /sys/fs/cgroup (in a container: docker run --privileged)",
        ),
    }
}

/// `v2`, `v1` or `hybrid` by a machine's mounts.
fn cgroup_kind(mounts: &str) -> Option<&'static str> {
    let any = |kind: &str| mounts.lines().any(|line| line.split(' ').nth(2) == Some(kind));
    match (any("cgroup"), any("cgroup2")) {
        (true, true) => Some("hybrid"),
        (true, false) => Some("v1"),
        (false, true) => Some("v2"),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_user_who_is_not_root_is_told() {
        let finding = root(1000);
        assert_eq!(finding.state, State::Missing);
        assert!(finding.detail.starts_with("podferry needs root: "), "{}", finding.detail);
        assert_eq!(root(0).state, State::Ok);
    }

    #[test]
    fn lacking_capabilities_are_named() {
        let of = |bits: &str| capabilities(&format!("Name:\tx\nCapEff:\t{bits}\n"));
        assert_eq!(of("000001ffffffffff").state, State::Ok);
        assert_eq!(of("000001fffeffffff").state, State::Warn);
        // What Docker gives a container by default.
        let docker = of("00000000a80425fb");
        assert_eq!(docker.state, State::Missing);
        assert_eq!(docker.detail, "this process lacks CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN");
        assert_eq!(capabilities("").state, State::Warn);
    }

    #[test]
    fn tells_the_kinds_of_control_groups_apart() {
        let (v1, v2) = ("cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
        assert_eq!(cgroup_kind(v1), Some("v1"));
        assert_eq!(cgroup_kind(v2), Some("v2"));
        assert_eq!(cgroup_kind(&format!("{v1}{v2}")), Some("hybrid"));
        assert_eq!(cgroup_kind("cgroup2 / ext4 rw 0 0\n"), None);
    }
}
