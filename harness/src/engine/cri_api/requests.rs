//! What is asked for: sandboxes and containers as CRI has them. Pure.

use super::v1 as cri;
use crate::engine::{ContainerSpec, Mount, criu_options};
use std::collections::HashMap;

/// A container's log in its sandbox's folder of logs.
const LOG: &str = "container.log";

/// The log's name in the sandbox's folder: of the pod's own container, or of one of several.
pub(in crate::engine) fn log_name(sandbox: &cri::PodSandboxConfig, container: &str) -> String {
    let of_its_own = sandbox.metadata.as_ref().is_some_and(|m| m.name == container);
    if of_its_own { LOG.to_owned() } else { format!("{container}.log") }
}

/// A sandbox. The name makes its key: a second one of the same name is refused by containerd itself, and CRI-O gives the
/// first one for it.
pub(in crate::engine) fn sandbox(name: &str, log_directory: String, cgroup_parent: String) -> cri::PodSandboxConfig {
    cri::PodSandboxConfig {
        metadata: Some(cri::PodSandboxMetadata {
            name: name.to_owned(),
            uid: format!("podferry-{name}"),
            namespace: "podferry".to_owned(),
            attempt: 0,
        }),
        hostname: name.to_owned(),
        log_directory,
        // Given, so that nothing depends on the node's own; nobody listens there, so a lookup fails at once.
        dns_config: Some(cri::DnsConfig { servers: vec!["127.0.0.1".to_owned()], ..Default::default() }),
        linux: Some(cri::LinuxPodSandboxConfig {
            cgroup_parent,
            security_context: Some(cri::LinuxSandboxSecurityContext {
                namespace_options: Some(namespaces()),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A network of its own, and a PID namespace a container. Zero would mean a PID namespace shared with the sandbox.
fn namespaces() -> cri::NamespaceOption {
    cri::NamespaceOption {
        network: cri::NamespaceMode::Pod.into(),
        pid: cri::NamespaceMode::Container.into(),
        ipc: cri::NamespaceMode::Pod.into(),
        ..Default::default()
    }
}

/// A container from an image, or from what is to be restored. `criu` is the file with CRIU's options.
pub(in crate::engine) fn container(
    spec: &ContainerSpec,
    image: &str,
    log_path: String,
    criu: String,
) -> cri::ContainerConfig {
    let env = |(key, value): &(String, String)| cri::KeyValue { key: key.clone(), value: value.clone() };
    let mount = |mount: &Mount| cri::Mount {
        container_path: mount.target.to_string_lossy().into_owned(),
        host_path: mount.source.to_string_lossy().into_owned(),
        ..Default::default()
    };
    let image = image.to_owned();
    cri::ContainerConfig {
        metadata: Some(cri::ContainerMetadata { name: spec.name.clone(), attempt: 0 }),
        image: Some(cri::ImageSpec { user_specified_image: image.clone(), image, ..Default::default() }),
        command: spec.args.clone(),
        envs: spec.env.iter().map(env).collect(),
        mounts: spec.mounts.iter().map(mount).collect(),
        log_path,
        annotations: HashMap::from([(criu_options::ANNOTATION.to_owned(), criu)]),
        linux: Some(cri::LinuxContainerConfig {
            resources: spec.memory_limit.map(|limit| cri::LinuxContainerResources {
                memory_limit_in_bytes: i64::try_from(limit).unwrap_or(i64::MAX),
                ..Default::default()
            }),
            security_context: Some(cri::LinuxContainerSecurityContext {
                namespace_options: Some(namespaces()),
                run_as_user: (spec.user != 0).then(|| cri::Int64Value { value: spec.user.into() }),
                ..Default::default()
            }),
        }),
        ..Default::default()
    }
}
