//! Where a kubelet and a containerd that somebody else started have their things: by the command lines that they were started
//! with, and the configuration that those name.

use crate::engine::EngineError;
use crate::engine::containerd::{Places, broken};
use crate::engine::cri::Groups;
use crate::engine::daemon::PATH;
use crate::node::{Process, SharedNode, processes};
use crate::process::Exec;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

/// Where archives are made images of. Nothing else may be in it: it goes as a whole.
pub(super) const IMAGES: &str = "/var/lib/podferry-images";

/// What was found on a node.
pub(super) struct Found {
    /// containerd's, and podferry's own.
    pub(super) places: Places,
    /// Whether containerd restores by `CreateContainer`, as far as that has a switch.
    pub(super) switched_on: bool,
    pub(super) groups: Groups,
    /// What the kubelet keeps.
    pub(super) root: String,
    /// The logs of pods.
    pub(super) logs: String,
    /// The control group that all pods are below.
    pub(super) group: String,
}

/// What of containerd's configuration matters here.
#[derive(Deserialize)]
struct Containerd {
    root: String,
    state: String,
    grpc: Option<Grpc>,
    #[serde(default)]
    plugins: HashMap<String, toml::Value>,
}

#[derive(Deserialize)]
struct Grpc {
    address: String,
}

impl Containerd {
    /// Where it listens: from version 4 of the configuration on (containerd 2.3) a plugin has that.
    fn address(&self) -> Option<&str> {
        let server = || self.plugins.get("io.containerd.server.v1.grpc")?.get("address")?.as_str();
        self.grpc.as_ref().map(|grpc| grpc.address.as_str()).or_else(server)
    }
}

/// containerd's own default, and the kubelet's.
const SOCKET: &str = "/run/containerd/containerd.sock";
const SWITCH: &str = "enable_experimental_restore_via_create";

/// Looks for them among the node's processes.
pub(super) async fn look(node: &SharedNode) -> Result<Found, EngineError> {
    let kubelets = command_lines(node, "kubelet");
    let Some(kubelet) = kubelets.first() else {
        let why = "none runs under that name: one inside of another program, as of k3s, is not supported";
        return Err(broken(node, "find the kubelet", why));
    };
    let flag = |name: &str| flag(kubelet, name);
    let config = flag("config").map(|path| {
        let text = std::fs::read_to_string(node.host_path(Path::new(&path)));
        text.map_err(|e| broken(node, &format!("read the kubelet's configuration {path}"), e))
    });
    let config = config.transpose()?.unwrap_or_default();
    let set = |name: &str, key: &str| flag(name).or_else(|| setting(&config, key));
    let socket = set("container-runtime-endpoint", "containerRuntimeEndpoint").unwrap_or_else(|| SOCKET.to_owned());
    let socket = socket.trim_start_matches("unix://").to_owned();
    let containerd = containerd(node, &socket).await?;
    let root = flag("root-dir").unwrap_or_else(|| "/var/lib/kubelet".to_owned());
    let driver = set("cgroup-driver", "cgroupDriver");
    Ok(Found {
        places: Places::foreign(&containerd.root, &containerd.state, &socket, &root),
        switched_on: containerd.plugins.values().any(|plugin| holds(plugin, SWITCH)),
        groups: if driver.as_deref() == Some("systemd") { Groups::Systemd } else { Groups::Cgroupfs },
        logs: setting(&config, "podLogsDir").unwrap_or_else(|| "/var/log/pods".to_owned()),
        group: set("cgroup-root", "cgroupRoot").unwrap_or_else(|| "/".to_owned()),
        root,
    })
}

/// What is to go from the node when podferry has gone: all that it makes there itself, and archives of its pods.
pub(super) fn owned(found: &Found, namespace: &str) -> Vec<String> {
    let Found { places, root, .. } = found;
    vec![
        places.home.clone(),
        IMAGES.to_owned(),
        places.checkpoints.clone(),
        format!("{root}/checkpoints/*_{namespace}-*"),
    ]
}

/// The configuration of the containerd that listens on this socket.
async fn containerd(node: &SharedNode, socket: &str) -> Result<Containerd, EngineError> {
    let what = "find containerd";
    for line in command_lines(node, "containerd") {
        let own = flag(&line, "config").or_else(|| flag(&line, "c"));
        let dump = Exec::new(&line[0]).args(own.iter().flat_map(|path| ["--config", path])).args(["config", "dump"]);
        let said = node.run(dump.env("PATH", PATH)).await.map_err(|e| broken(node, what, e))?.text();
        let config: Containerd =
            toml::from_str(&said).map_err(|e| broken(node, "read containerd's configuration", e))?;
        let listens = |at: &str| at == socket || at == socket.replacen("/var/run/", "/run/", 1);
        if config.address().is_some_and(listens) {
            return Ok(config);
        }
    }
    Err(broken(node, what, format!("none of its processes is a containerd that listens on {socket}")))
}

/// The command lines of the node's own processes of this name: those of containers in it are in another mount namespace.
fn command_lines(node: &SharedNode, name: &str) -> Vec<Vec<String>> {
    let mounts = |pid: u32| std::fs::read_link(node.host_path(Path::new(&format!("/proc/{pid}/ns/mnt")))).ok();
    let own = mounts(1);
    let named = |(_, process): &(u32, Process)| process.comm == name;
    let here = |(pid, _): &(u32, Process)| own.is_some() && mounts(*pid) == own;
    let read = |(pid, _)| {
        let line = std::fs::read_to_string(node.host_path(Path::new(&format!("/proc/{pid}/cmdline")))).ok()?;
        Some(line.split('\0').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>())
    };
    processes(node).into_iter().filter(named).filter(here).filter_map(read).filter(|line| !line.is_empty()).collect()
}

/// The value of `--name=value` or `--name value`, also with one dash.
fn flag(line: &[String], name: &str) -> Option<String> {
    let mut words = line.iter().skip(1);
    while let Some(word) = words.next() {
        let Some(word) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { continue };
        match word.split_once('=') {
            Some((is, value)) if is == name => return Some(value.to_owned()),
            None if word == name => return words.next().cloned(),
            _ => {}
        }
    }
    None
}

/// A setting at the top of a kubelet's configuration that is one word, in YAML or in JSON on lines of its own: engines know no
/// YAML.
fn setting(config: &str, key: &str) -> Option<String> {
    config.lines().find_map(|line| {
        let (is, value) = line.trim().split_once(':')?;
        let bare = |text: &str| text.trim().trim_end_matches(',').trim_matches('"').to_owned();
        (bare(is) == key).then(|| bare(value)).filter(|value| !value.is_empty())
    })
}

/// Whether a switch is on somewhere in a plugin's configuration.
fn holds(value: &toml::Value, switch: &str) -> bool {
    let Some(table) = value.as_table() else { return false };
    table.iter().any(|(key, value)| (key == switch && value.as_bool() == Some(true)) || holds(value, switch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_in_all_their_forms() {
        let line = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let kubelet = line("/usr/bin/kubelet --config=/var/lib/kubelet/config.yaml --root-dir /data/kubelet -v 2");
        assert_eq!(flag(&kubelet, "config").as_deref(), Some("/var/lib/kubelet/config.yaml"));
        assert_eq!(flag(&kubelet, "root-dir").as_deref(), Some("/data/kubelet"));
        assert_eq!(flag(&kubelet, "cgroup-root"), None);
        assert_eq!(flag(&line("containerd -c /c.toml"), "c").as_deref(), Some("/c.toml"));
    }

    #[test]
    fn settings_are_read_of_yaml_and_of_json() {
        let yaml = "authentication:\n  anonymous:\n    enabled: false\ncgroupDriver: systemd\ncgroupRoot: /kubelet\n";
        assert_eq!(setting(yaml, "cgroupDriver").as_deref(), Some("systemd"));
        assert_eq!(setting(yaml, "authentication"), None, "it is no word");
        let json = "{\n  \"cgroupRoot\": \"/podferry\",\n  \"containerRuntimeEndpoint\": \"unix:///run/c.sock\"\n}\n";
        assert_eq!(setting(json, "cgroupRoot").as_deref(), Some("/podferry"));
        assert_eq!(setting(json, "containerRuntimeEndpoint").as_deref(), Some("unix:///run/c.sock"));
    }

    #[test]
    fn where_it_listens_is_found_in_every_version_of_the_form() {
        let at = |text: &str| toml::from_str::<Containerd>(text).unwrap().address().map(str::to_owned);
        let head = "root = '/r'\nstate = '/s'\n";
        assert_eq!(at(&format!("version = 3\n{head}[grpc]\naddress = '/c.sock'\n")).as_deref(), Some("/c.sock"));
        let four = format!("version = 4\n{head}[plugins.'io.containerd.server.v1.grpc']\naddress = '/c.sock'\n");
        assert_eq!(at(&four).as_deref(), Some("/c.sock"));
        assert_eq!(at(&format!("version = 4\n{head}")), None);
    }

    #[test]
    fn a_switch_is_found_in_any_version_of_the_form() {
        let on = |text: &str| {
            let config: Containerd = toml::from_str(text).unwrap();
            config.plugins.values().any(|plugin| holds(plugin, SWITCH))
        };
        let head = "version = 3\nroot = '/r'\nstate = '/s'\n[grpc]\naddress = '/c.sock'\n[plugins]\n";
        assert!(on(&format!("{head}[plugins.'io.containerd.cri.v1.runtime']\n{SWITCH} = true\n")));
        assert!(!on(&format!("{head}[plugins.'io.containerd.cri.v1.runtime']\n{SWITCH} = false\n")));
        assert!(!on(head));
    }
}
