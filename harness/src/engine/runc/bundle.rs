//! The OCI bundle of a container: as little as a program needs, since every tmpfs costs CRIU 3 to 6 ms in a dump and
//! again in a restore. Pure.

use crate::engine::ContainerSpec;
use crate::engine::criu_options::ANNOTATION;
use crate::record::Trick;
use serde_json::{Value, json};
use std::path::Path;

/// What the default set of containerd and Docker allows.
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// A mount: where, of which type, with which options.
type Mount = (&'static str, &'static str, &'static [&'static str]);

/// What nearly every program needs.
const LEAN: [Mount; 3] = [
    ("/proc", "proc", &["nosuid", "noexec", "nodev"]),
    ("/dev", "tmpfs", &["nosuid", "mode=755", "size=64m"]),
    ("/dev/shm", "tmpfs", &["nosuid", "nodev", "mode=1777"]),
];

/// What containerd gives its containers beside those (2.1.9, `pkg/oci` and its CRI), but for `/sys/fs/cgroup`.
const MORE: [Mount; 4] = [
    ("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
    ("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/run", "tmpfs", &["nosuid", "mode=755", "size=64m"]),
];

/// What containerd hides from its containers: a folder is hidden by a tmpfs of its own.
const MASKED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/proc/scsi",
];

/// What it lets them read only.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// `config.json`.
///
/// The network namespace is given by its path: CRIU then takes it as external and leaves it to us. There is no
/// `oomScoreAdj` and there are no `rlimits`, since both take `CAP_SYS_RESOURCE`, which a node may lack.
pub(super) fn config(spec: &ContainerSpec, cgroup: &str, netns: &Path, criu_options: &Path) -> Value {
    let image = &spec.image;
    let args = if spec.args.is_empty() { &image.entrypoint } else { &spec.args };
    let cwd = if image.working_dir.is_empty() { "/" } else { &image.working_dir };
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": spec.user, "gid": spec.user },
            "args": args,
            "env": environment(spec),
            "cwd": cwd,
            "capabilities": { "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES },
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs" },
        "hostname": spec.name,
        "mounts": LEAN.map(mount),
        "annotations": { ANNOTATION: criu_options },
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [
                { "type": "pid" },
                { "type": "mount" },
                { "type": "ipc" },
                { "type": "uts" },
                { "type": "network", "path": netns },
            ],
        },
    });
    if !spec.does(Trick::LeanMounts) {
        let mounts = config["mounts"].as_array_mut().expect("an array above");
        mounts.extend(MORE.map(mount));
        config["linux"]["maskedPaths"] = json!(MASKED);
        config["linux"]["readonlyPaths"] = json!(READ_ONLY);
    }
    for mount in &spec.mounts {
        let bind =
            json!({ "destination": mount.target, "type": "bind", "source": mount.source, "options": ["rbind", "rw"] });
        config["mounts"].as_array_mut().expect("an array above").push(bind);
    }
    if let Some(limit) = spec.memory_limit {
        config["linux"]["resources"] = json!({ "memory": { "limit": limit } });
    }
    config
}

fn mount((destination, kind, options): (&str, &str, &[&str])) -> Value {
    json!({ "destination": destination, "type": kind, "source": kind, "options": options })
}

/// The image's variables, overridden by the container's; with a `PATH`.
fn environment(spec: &ContainerSpec) -> Vec<String> {
    let key = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mut env = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
    for entry in spec.image.env.iter().cloned().chain(spec.env.iter().map(|(k, v)| format!("{k}={v}"))) {
        env.retain(|e| key(e) != key(&entry));
        env.push(entry);
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;
    use crate::record::CriuChoices;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn spec() -> ContainerSpec {
        let image = Image {
            reference: "localhost:5000/podferry/redis:0123456789ab".into(),
            digest: "sha256:01".into(),
            layers: Vec::new(),
            entrypoint: vec!["/bin/redis-server".into()],
            env: vec!["PATH=/bin".into(), "A=1".into()],
            working_dir: "/data".into(),
        };
        let env = vec![("A".into(), "2".into())];
        ContainerSpec {
            name: "redis-1".into(),
            image: Arc::new(image),
            args: Vec::new(),
            env,
            user: 0,
            memory_limit: Some(1 << 20),
            mounts: Vec::new(),
            criu: CriuChoices::default(),
            without: BTreeSet::new(),
        }
    }

    #[test]
    fn a_bundle_is_lean() {
        let netns = Path::new("/run/netns/runc-redis-1");
        insta::assert_json_snapshot!(config(
            &spec(),
            "/podferry/runc-redis-1",
            netns,
            Path::new("/data/runc/criu.conf")
        ));
    }

    #[test]
    fn a_bundle_that_is_not_lean_has_what_containerd_gives() {
        let spec = ContainerSpec { without: BTreeSet::from([Trick::LeanMounts]), ..spec() };
        let config = config(&spec, "/c", Path::new("/n"), Path::new("/o"));
        let places: Vec<&str> =
            config["mounts"].as_array().unwrap().iter().filter_map(|m| m["destination"].as_str()).collect();
        assert_eq!(places, ["/proc", "/dev", "/dev/shm", "/dev/pts", "/dev/mqueue", "/sys", "/run"]);
        assert!(config["linux"]["maskedPaths"].as_array().is_some_and(|p| p.contains(&json!("/sys/firmware"))));
    }

    #[test]
    fn no_limit_means_no_resources_and_given_arguments_win() {
        let mut spec = spec();
        (spec.memory_limit, spec.args) = (None, vec!["sh".into(), "-c".into(), "true".into()]);
        let config = config(&spec, "/c", Path::new("/n"), Path::new("/o"));
        assert_eq!(config["linux"]["resources"], Value::Null);
        assert_eq!(config["process"]["args"], json!(["sh", "-c", "true"]));
    }
}
