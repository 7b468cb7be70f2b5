//! Slots and containers: made and started.

use super::call::{Inner, Supervised};
use super::classify::During;
use crate::engine::criu_options::ANNOTATION;
use crate::engine::failing::io_error;
use crate::engine::watchdog::Patience;
use crate::engine::{Container, ContainerSpec, EngineError, Slot, network};
use crate::record::ErrorClass;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

impl Inner {
    /// `at` is an address of another node's network, or of this one's.
    pub(super) async fn prepare(&self, spec: &ContainerSpec, at: Option<Ipv4Addr>) -> Result<Slot, EngineError> {
        self.pull(&spec.image.reference).await?;
        let handle = self.netns(&spec.name);
        if self.host(&Path::new("/run/netns").join(&handle)).exists() {
            let (name, node) = (&spec.name, self.node.name());
            let text = format!("can't prepare container {name}: there is one of this name on node {node}");
            return Err(EngineError::new(ErrorClass::NameTaken, text));
        }
        let address = network::choose(&self.addresses, &self.node, &spec.name, at)?;
        let slot = Slot { spec: spec.clone(), address, handle };
        if let Err(e) = network::connect(&self.node, &slot.handle, address, self.limits.other).await {
            // What was made so far goes; the error that matters is the first.
            let _ = self.discard(&slot).await;
            return Err(e);
        }
        let log = self.host(&self.log(&spec.name));
        match fs::remove_file(&log) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", &log, &e)),
            _ => Ok(slot),
        }
    }

    /// Where the standard output and error of a container go that is started here. It outlives the container.
    fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.container.log"))
    }

    pub(super) async fn start(&self, slot: &Slot) -> Result<Container, EngineError> {
        self.make(slot, &["run", "--detach"]).await
    }

    pub(super) async fn create(&self, slot: &Slot) -> Result<Container, EngineError> {
        self.make(slot, &["create"]).await
    }

    async fn make(&self, slot: &Slot, verb: &[&str]) -> Result<Container, EngineError> {
        let name = &slot.spec.name;
        let log = self.log(name);
        // The same path on every node: a restored container takes it along.
        let options = self.home.join("criu").join(format!("{name}.conf"));
        self.write(&options, "")?;
        let mut args: Vec<String> = verb.iter().map(|word| (*word).to_owned()).collect();
        args.extend(arguments(&slot.spec, &self.groups(), &log, &options));
        let made = self
            .supervised(Supervised {
                what: &format!("can't start container {name} on node {}", self.node.name()),
                during: During::Start,
                netns: &slot.handle,
                args,
                container: name,
                log: &format!("{name}-start"),
                patience: Patience::Time(self.limits.other),
            })
            .await;
        match made.and_then(|printed| id(&printed, name)) {
            Ok(id) => {
                self.options.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), options);
                Ok(Container { id, slot: slot.clone(), log })
            }
            Err(e) => {
                self.forget(name).await;
                Err(e)
            }
        }
    }
}

/// The id in what podman printed: the last line that is one.
pub(super) fn id(printed: &str, name: &str) -> Result<String, EngineError> {
    let is_id = |line: &&str| line.len() == 64 && line.bytes().all(|b| b.is_ascii_hexdigit());
    printed.lines().map(str::trim).rfind(is_id).map(str::to_owned).ok_or_else(|| {
        EngineError::new(
            ErrorClass::Other,
            format!("podman made container {name} and gave no id: `{}`", printed.trim()),
        )
    })
}

/// What follows `podman run`.
///
/// There is no seccomp profile, as with the other engines: podman's own keeps io_uring from a program, which is then
/// another program than the one that is to be checkpointed.
fn arguments(spec: &ContainerSpec, groups: &str, log: &Path, options: &Path) -> Vec<String> {
    let mut args: Vec<String> = ["--pull", "never", "--network", "host", "--log-driver", "k8s-file"]
        .into_iter()
        .chain(["--security-opt", "seccomp=unconfined", "--systemd", "false"])
        .map(str::to_owned)
        .collect();
    let mut push = |option: &str, value: String| args.extend([option.to_owned(), value]);
    push("--name", spec.name.clone());
    push("--hostname", spec.name.clone());
    push("--cgroup-parent", groups.to_owned());
    push("--log-opt", format!("path={}", log.display()));
    push("--annotation", format!("{ANNOTATION}={}", options.display()));
    push("--user", format!("{0}:{0}", spec.user));
    for (key, value) in &spec.env {
        push("--env", format!("{key}={value}"));
    }
    for mount in &spec.mounts {
        push("--volume", format!("{}:{}", mount.source.display(), mount.target.display()));
    }
    if let Some(limit) = spec.memory_limit {
        push("--memory", limit.to_string());
    }
    if !spec.args.is_empty() {
        // In this form it takes the place of the image's program and of its arguments.
        push("--entrypoint", serde_json::Value::from(spec.args.clone()).to_string());
    }
    args.push(spec.image.reference.clone());
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Mount;
    use crate::image::Image;
    use crate::record::CriuChoices;
    use std::sync::Arc;

    #[test]
    fn a_container_is_asked_for_in_full() {
        let image = Image {
            reference: "localhost:5000/podferry/redis:0123456789ab".into(),
            digest: "sha256:01".into(),
            layers: Vec::new(),
            entrypoint: vec!["/bin/redis-server".into()],
            env: Vec::new(),
            working_dir: "/data".into(),
        };
        let spec = ContainerSpec {
            name: "redis-1".into(),
            image: Arc::new(image),
            args: vec!["sh".into(), "-c".into(), "echo \"$A\"".into()],
            env: vec![("A".into(), "2".into())],
            user: 0,
            memory_limit: Some(1 << 20),
            mounts: vec![Mount { source: "/data/volumes/v".into(), target: "/v".into() }],
            criu: CriuChoices::default(),
            without: std::collections::BTreeSet::new(),
        };
        let args = arguments(&spec, "/podferry/podman", Path::new("/l"), Path::new("/o.conf"));
        insta::assert_snapshot!(args.join("\n"));
    }

    #[test]
    fn the_id_is_found_behind_warnings() {
        let id_of = |text: &str| id(text, "x").map_err(|e| e.message);
        let wanted = "0123456789abcdef".repeat(4);
        assert_eq!(id_of(&format!("WARN[0000] something\n{wanted}\n")).as_deref(), Ok(wanted.as_str()));
        assert!(id_of("WARN[0000] something\n").unwrap_err().contains("gave no id"));
    }
}
