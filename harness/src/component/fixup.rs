//! What packages do to a system by their maintainer scripts, as far as a node needs it. The image is only unpacked, not
//! installed: that takes a third of the time, and the scripts would need a running system. Found out with Debian sid of
//! late 2026; what a package does not bring is left alone, so that a short list of packages makes an image as well.

use super::contained::Contained;
use std::io;

/// Raised when what is done here changes, so that images made before are made anew.
pub(super) const VERSION: u32 = 1;

/// Folders that programs of the stack expect, which no package brings.
const DIRS: [&str; 12] = [
    "data",
    "dev",
    "etc/cni/net.d",
    "etc/containers",
    "etc/criu",
    "mnt",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "var/tmp",
];

/// Users that the packages' scripts would add: name, number, home.
const USERS: [(&str, u32, &str); 2] = [("redis", 900, "/var/lib/redis"), ("memcache", 902, "/nonexistent")];

/// The commands that `update-alternatives` would point at the nft flavour.
const IPTABLES: [&str; 6] =
    ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

/// Makes an unpacked image fit to run. Gives the path, inside the image, that the error is about.
pub(super) fn fix_up(root: &Contained) -> Result<(), (String, io::Error)> {
    for dir in DIRS {
        root.make_dir(dir).map_err(at(dir))?;
    }
    accounts(root)?;
    for (path, content) in [
        ("etc/hostname", "node\n"),
        ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
        // The bootstrap tool copies the host's. A node reaches no name server, and must not wait for one.
        ("etc/resolv.conf", ""),
        // podman and skopeo refuse any image without it.
        ("etc/containers/policy.json", "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}\n"),
    ] {
        root.write(path, content).map_err(at(path))?;
    }
    links(root)?;
    for dir in ["var/cache/apt", "var/lib/apt/lists", "var/cache/ldconfig"] {
        root.remove_dir(dir).map_err(at(dir))?;
    }
    Ok(())
}

fn at(path: &str) -> impl FnOnce(io::Error) -> (String, io::Error) {
    let path = path.to_owned();
    move |e| (path, e)
}

/// base-passwd keeps the first users and groups as master copies; its script makes /etc/passwd and /etc/group of them.
fn accounts(root: &Contained) -> Result<(), (String, io::Error)> {
    let (mut passwd, mut group) = (Vec::new(), Vec::new());
    for (master, into) in [("passwd", &mut passwd), ("group", &mut group)] {
        let master = format!("usr/share/base-passwd/{master}.master");
        *into = root.read(&master).map_err(at(&master))?;
    }
    for (name, id, home) in USERS {
        passwd.extend_from_slice(format!("{name}:x:{id}:{id}::{home}:/usr/sbin/nologin\n").as_bytes());
        group.extend_from_slice(format!("{name}:x:{id}:\n").as_bytes());
    }
    root.write("etc/passwd", passwd).map_err(at("etc/passwd"))?;
    root.write("etc/group", group).map_err(at("etc/group"))
}

fn links(root: &Contained) -> Result<(), (String, io::Error)> {
    let link = |path: &str, target: &str| root.link(path, target).map_err(at(path));
    if root.exists("usr/sbin/xtables-nft-multi") {
        for command in IPTABLES {
            link(&format!("usr/sbin/{command}"), "xtables-nft-multi")?;
        }
    }
    for (command, program) in [("awk", "mawk"), ("nc", "busybox")] {
        if root.exists(&format!("usr/bin/{program}")) && !root.exists(&format!("usr/bin/{command}")) {
            link(&format!("usr/bin/{command}"), program)?;
        }
    }
    link("etc/mtab", "../proc/self/mounts")?;
    // base-files' script makes these two; some packages bring one of them as a folder, which then must go: programs
    // look for each other's sockets under both names.
    for (path, target) in [("var/run", "/run"), ("var/lock", "/run/lock")] {
        root.remove_dir(path).map_err(at(path))?;
        link(path, target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn unpacked() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["usr/share/base-passwd", "usr/sbin", "usr/bin", "etc", "var/lock/sub"] {
            fs::create_dir_all(dir.path().join(sub)).unwrap();
        }
        fs::write(dir.path().join("usr/share/base-passwd/passwd.master"), "root:*:0:0::/root:/bin/bash\n").unwrap();
        fs::write(dir.path().join("usr/share/base-passwd/group.master"), "root:*:0:\n").unwrap();
        fs::write(dir.path().join("usr/sbin/xtables-nft-multi"), "").unwrap();
        symlink("/etc/resolv.conf", dir.path().join("etc/resolv.conf")).unwrap();
        dir
    }

    #[test]
    fn an_unpacked_image_becomes_fit_and_a_second_time_changes_nothing() {
        let dir = unpacked();
        let read = |path: &str| fs::read_to_string(dir.path().join(path)).unwrap();
        for _ in 0..2 {
            fix_up(&Contained::open(dir.path()).unwrap()).unwrap();
            assert!(read("etc/passwd").ends_with("memcache:x:902:902::/nonexistent:/usr/sbin/nologin\n"));
            assert_eq!(read("etc/group").lines().count(), 3);
            assert_eq!(read("etc/resolv.conf"), "");
            let target = |path: &str| fs::read_link(dir.path().join(path)).unwrap();
            assert_eq!(target("var/run").to_str(), Some("/run"));
            assert_eq!(target("var/lock").to_str(), Some("/run/lock"));
            assert_eq!(target("usr/sbin/ip6tables-save").to_str(), Some("xtables-nft-multi"));
            assert!(!dir.path().join("usr/bin/awk").exists(), "no mawk, no link to it");
        }
    }

    #[test]
    fn an_image_without_base_passwd_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (path, error) = fix_up(&Contained::open(dir.path()).unwrap()).unwrap_err();
        assert_eq!((path.as_str(), error.kind()), ("usr/share/base-passwd/passwd.master", io::ErrorKind::NotFound));
    }
}
