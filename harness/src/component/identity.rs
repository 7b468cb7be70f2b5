//! Which binary this is: its own word on its version, and its digest.

use super::manifest;
use crate::process::{Exec, Output};
use crate::record::ComponentRecord;
use regex::Regex;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

/// A program of the stack, and where Debian puts it in a node. All else of it is in the manifest.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
}

/// The programs that are recorded, and that a user can replace by `--component`.
pub(super) const KNOWN: [Known; 13] = [
    Known { name: "containerd", path: "/usr/bin/containerd" },
    Known { name: "containerd-shim-runc-v2", path: "/usr/bin/containerd-shim-runc-v2" },
    Known { name: "crio", path: "/usr/bin/crio" },
    Known { name: "runc", path: "/usr/sbin/runc" },
    Known { name: "crun", path: "/usr/bin/crun" },
    Known { name: "criu", path: "/usr/sbin/criu" },
    Known { name: "podman", path: "/usr/bin/podman" },
    Known { name: "conmon", path: "/usr/bin/conmon" },
    Known { name: "dockerd", path: "/usr/sbin/dockerd" },
    Known { name: "redis-server", path: "/usr/bin/redis-server" },
    Known { name: "bridge", path: "/usr/lib/cni/bridge" },
    Known { name: "ptp", path: "/usr/lib/cni/ptp" },
    Known { name: "host-local", path: "/usr/lib/cni/host-local" },
];

pub(super) fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|k| k.name == name)
}

/// The command that asks a program for its version in a node image: with the image as its root and the libraries that
/// are there, `own` (a binary of the host's) in the place of the image's if there is one, or in `/tmp` where the image has
/// none. All of it in a mount namespace that ends with it, so the image stays as it is. With `/proc`: crun copies itself to memory before anything else, and
/// says `Failed to re-execute libcrun via memory file descriptor` without it (1.28).
pub(super) fn ask_version(rootfs: &Path, known: &Known, own: Option<&Path>) -> Exec {
    const SCRIPT: &str = r#"
        root=$1 place=$2 own=$3
        shift 3
        mount -t proc proc "$root/proc" || exit
        if [ -n "$own" ]; then
            if [ ! -e "$root$place" ]; then
                place=/tmp/${place##*/}
                mount -t tmpfs tmpfs "$root/tmp" && : > "$root$place" || exit
            fi
            mount --bind "$own" "$root$place" || exit
        fi
        exec chroot "$root" "$place" "$@""#;
    let exec = Exec::new("unshare").args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"]);
    let exec = exec.arg(rootfs).arg(known.path).arg(own.unwrap_or(Path::new(""))).args(manifest::says(known.name));
    super::with_system_path(exec).timeout(Duration::from_secs(20))
}

/// The version in what a program says of itself: the first word that begins with a number and a dot.
/// `containerd github.com/containerd/containerd/v2 2.1.9+ds1 2.1.9+ds1-5`, `runc version 1.3.6+ds1`, `Version: 4.2.1`
/// and `Redis server v=8.0.6 sha=00000000:1` are the forms seen.
pub(super) fn version_in(text: &str) -> Option<String> {
    static VERSION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?:^|\s|=)v?(\d+\.\d+[\w.+~-]*)").expect("a valid expression"));
    // A plugin's own version stands above those of the protocol.
    let own = text.split("CNI protocol versions").next()?;
    Some(VERSION.captures(own)?[1].to_owned())
}

/// What a program says of itself; CNI's plugins say it on standard error.
pub(super) fn said(output: &Output) -> String {
    let text = output.text();
    if text.trim().is_empty() { output.tail() } else { text }
}

/// The sha256 of a file, as `sha256:<hex>`.
pub(super) fn digest(mut file: File) -> io::Result<String> {
    let mut hash = Hash(Sha256::new());
    io::copy(&mut file, &mut hash)?;
    Ok(format!("sha256:{}", hash.0.finalize().iter().map(|b| format!("{b:02x}")).collect::<String>()))
}

struct Hash(Sha256);

impl io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A record of a program.
pub(super) fn record(known: &Known, said: &str, source: String, digest: String) -> ComponentRecord {
    let version = version_in(said).unwrap_or_else(|| said.lines().next().unwrap_or_default().trim().to_owned());
    ComponentRecord { name: known.name.to_owned(), version, source, digest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("containerd github.com/containerd/containerd/v2 2.1.9+ds1 2.1.9+ds1-5", "2.1.9+ds1")]
    #[case("containerd-shim-runc-v2:\n  Version:  2.1.9+ds1\n  Revision: 2.1.9\n  Go version: go1.26", "2.1.9+ds1")]
    #[case("containerd github.com/containerd/containerd/v2 v2.3.0-rc.1 abc", "2.3.0-rc.1")]
    #[case("runc version 1.3.6+ds1\nspec: 1.2.1", "1.3.6+ds1")]
    #[case("crun version 1.28\ncommit: 0", "1.28")]
    #[case("Version: 4.2.1\nGitID: v4.2", "4.2.1")]
    #[case("podman version 5.8.6", "5.8.6")]
    #[case("Docker version 28.5.2+dfsg4, build d3c2d5c", "28.5.2+dfsg4")]
    #[case("Redis server v=8.0.6 sha=00000000:1 malloc=jemalloc-5.3.0 bits=64 build=1", "8.0.6")]
    fn finds_the_version(#[case] said: &str, #[case] version: &str) {
        assert_eq!(version_in(said).as_deref(), Some(version));
    }

    #[test]
    fn a_plugin_of_debians_is_of_no_version() {
        let said = "CNI ptp plugin version unknown\nCNI protocol versions supported: 0.1.0, 0.2.0, 1.1.0";
        assert_eq!(version_in(said), None);
        assert_eq!(version_in(&said.replace("unknown", "v1.9.1")).as_deref(), Some("1.9.1"));
    }

    #[test]
    fn a_program_without_a_version_is_quoted() {
        assert_eq!(version_in("my own build"), None);
        let record = record(&KNOWN[3], "my own build\nx", "path /x".into(), "sha256:0".into());
        assert_eq!((record.name.as_str(), record.version.as_str()), ("runc", "my own build"));
    }

    #[test]
    fn the_digest_is_the_one_that_sha256sum_prints() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"abc").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let want = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(file).unwrap(), want);
    }
}
