//! Sandboxes and containers: made, started, removed.

use super::Inner;
use super::generated::containerd::v1::types::Status as TaskStatus;
use super::generated::runtime::v1 as cri;
use crate::engine::containerd::classify::During;
use crate::engine::containerd::tasks;
use crate::engine::{Container, ContainerSpec, EngineError, Mount, Slot, criu_options, pods};
use crate::record::{EngineKind, ErrorClass};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A pull of a big image on a busy machine.
const PULL_LIMIT: Duration = Duration::from_secs(300);
/// Everything else: 0.05-0.4 s on an idle machine.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

impl Inner {
    /// Pulls an image by its reference, from the registry that it names. Never `ctr images import`: an image without a
    /// digest under its name cannot be restored from (`invalid port ... after host`).
    pub(super) async fn pull(&self, reference: &str, during: During) -> Result<(), EngineError> {
        let spec = cri::ImageSpec { image: reference.to_owned(), ..Default::default() };
        let mut images = self.client.images.clone();
        let what = format!("look for image {reference}");
        let request = cri::ImageStatusRequest { image: Some(spec.clone()), verbose: false };
        if self.call(during, &what, LIMIT, images.image_status(request)).await?.image.is_some() {
            return Ok(());
        }
        let request = cri::PullImageRequest { image: Some(spec), ..Default::default() };
        self.call(during, &format!("pull image {reference}"), PULL_LIMIT, images.pull_image(request)).await?;
        Ok(())
    }

    /// Removes an image by its reference. CRI: gone already is no error.
    pub(super) async fn forget_image(&self, reference: &str) -> Result<(), EngineError> {
        let spec = cri::ImageSpec { image: reference.to_owned(), ..Default::default() };
        let mut images = self.client.images.clone();
        let request = cri::RemoveImageRequest { image: Some(spec) };
        self.call(During::Control, &format!("remove image {reference}"), LIMIT, images.remove_image(request)).await?;
        Ok(())
    }

    /// `at` is an address that no other pod of this node has.
    pub(super) async fn prepare(&self, spec: &ContainerSpec, at: Option<Ipv4Addr>) -> Result<Slot, EngineError> {
        self.pull(&spec.image.reference, During::Start).await?;
        let (address, handle) = self.sandbox(&spec.name, at).await?;
        Ok(Slot { spec: spec.clone(), address, handle })
    }

    /// One sandbox for all.
    pub(super) async fn prepare_pod(&self, pod: &str, specs: &[ContainerSpec]) -> Result<Vec<Slot>, EngineError> {
        for spec in specs {
            self.pull(&spec.image.reference, During::Start).await?;
        }
        let (address, handle) = self.sandbox(pod, None).await?;
        Ok(specs.iter().map(|spec| Slot { spec: spec.clone(), address, handle: handle.clone() }).collect())
    }

    pub(super) async fn freeze_pod(&self, pod: &str, containers: &[Container]) -> Result<(), EngineError> {
        let each = async {
            for container in containers {
                self.freeze(container).await?;
            }
            Ok(())
        };
        pods::frozen_together(&self.node, pod, &self.pod_group(pod), each).await
    }

    /// The parent of the cgroup of what is in a slot: its pod's.
    pub(super) fn group_above(&self, slot: &Slot) -> String {
        let state = self.state();
        let linux = state.sandboxes.get(&slot.handle).and_then(|config| config.linux.as_ref());
        linux.map_or_else(|| self.pod_group(&slot.spec.name), |linux| linux.cgroup_parent.clone())
    }

    /// Makes a sandbox: its address and its id.
    async fn sandbox(&self, name: &str, at: Option<Ipv4Addr>) -> Result<(Ipv4Addr, String), EngineError> {
        let config = self.sandbox_config(name);
        // Without the folder the log of a restored container is dropped, and nobody says so.
        let logs = self.host(&config.log_directory);
        std::fs::create_dir_all(&logs).map_err(|e| self.surroundings("make the log folder", e))?;

        let mut runtime = self.client.runtime.clone();
        let what = format!("make a sandbox for container {name}");
        let request = cri::RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: String::new() };
        let made = self.call(During::Start, &what, LIMIT, runtime.run_pod_sandbox(request));
        let run = match at {
            Some(address) => self.with_address(address, made).await,
            None => {
                let _together = self.addressing.read().await;
                made.await
            }
        };
        let handle = run.inspect_err(|_| drop(std::fs::remove_dir(&logs)))?.pod_sandbox_id;
        self.state().sandboxes.insert(handle.clone(), config);
        match self.sandbox_address(name, &handle).await {
            Ok(address) => Ok((address, handle)),
            Err(e) => {
                let _ = self.remove_sandbox(name, &handle).await;
                Err(e)
            }
        }
    }

    async fn sandbox_address(&self, name: &str, id: &str) -> Result<Ipv4Addr, EngineError> {
        let request = cri::PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: false };
        let mut runtime = self.client.runtime.clone();
        let what = format!("ask for the address of container {name}");
        let answer = self.call(During::Start, &what, LIMIT, runtime.pod_sandbox_status(request)).await?;
        let ip = answer.status.and_then(|s| s.network).unwrap_or_default().ip;
        ip.parse().map_err(|_| self.surroundings(&what, format!("it says `{ip}`")))
    }

    /// The name makes the sandbox's key: a second one of the same name is refused by containerd itself.
    fn sandbox_config(&self, name: &str) -> cri::PodSandboxConfig {
        cri::PodSandboxConfig {
            metadata: Some(cri::PodSandboxMetadata {
                name: name.to_owned(),
                uid: format!("podferry-{name}"),
                namespace: "podferry".to_owned(),
                attempt: 0,
            }),
            hostname: name.to_owned(),
            log_directory: self.places.in_home(&format!("logs/{name}-{}", self.next())),
            // Given, so that nothing depends on the node's own; nobody listens there, so a lookup fails at once.
            dns_config: Some(cri::DnsConfig { servers: vec!["127.0.0.1".to_owned()], ..Default::default() }),
            linux: Some(cri::LinuxPodSandboxConfig {
                cgroup_parent: self.pod_group(name),
                security_context: Some(cri::LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces()),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// Creates a container in a slot, from an image or from what is to be restored.
    pub(super) async fn create(&self, slot: &Slot, image: &str, during: During) -> Result<Container, EngineError> {
        let name = &slot.spec.name;
        let Some(sandbox) = self.state().sandboxes.get(&slot.handle).cloned() else {
            let message = format!("the slot for container {name} is not of node {}", self.node.name());
            return Err(EngineError::new(ErrorClass::Other, message));
        };
        let of_its_own = sandbox.metadata.as_ref().is_some_and(|m| m.name == *name);
        let file = if of_its_own { LOG.to_owned() } else { format!("{name}.log") };
        let log = PathBuf::from(&sandbox.log_directory).join(&file);
        self.write_criu_config(&slot.spec.criu)?;
        let request = cri::CreateContainerRequest {
            pod_sandbox_id: slot.handle.clone(),
            config: Some(container_config(&slot.spec, image, file, self.places.criu_config(&slot.spec.criu))),
            sandbox_config: Some(sandbox),
        };
        let mut runtime = self.client.runtime.clone();
        let what = match during {
            During::Restore => format!("restore container {name} from {image}"),
            _ => format!("create container {name}"),
        };
        match self.call(during, &what, LIMIT, runtime.create_container(request)).await {
            Ok(created) => Ok(Container { id: created.container_id, slot: slot.clone(), log }),
            Err(e) => {
                // A full disk leaves a container behind that is listed as created.
                self.clear_slot(slot).await;
                Err(e)
            }
        }
    }

    pub(super) async fn start(&self, slot: &Slot) -> Result<Container, EngineError> {
        let container = self.create(slot, &slot.spec.image.reference, During::Start).await?;
        let what = format!("start container {}", slot.spec.name);
        let request = cri::StartContainerRequest { container_id: container.id.clone() };
        let mut runtime = self.client.runtime.clone();
        match self.call(During::Start, &what, LIMIT, runtime.start_container(request)).await {
            Ok(_) => Ok(container),
            Err(e) => {
                self.clear_slot(slot).await;
                Err(e)
            }
        }
    }

    /// Removes what containers a slot holds: after an error, which stays the one that is reported.
    pub(super) async fn clear_slot(&self, slot: &Slot) {
        let filter = cri::ContainerFilter { pod_sandbox_id: slot.handle.clone(), ..Default::default() };
        let mut runtime = self.client.runtime.clone();
        let request = cri::ListContainersRequest { filter: Some(filter) };
        let Ok(list) = self.call(During::Control, "list containers", LIMIT, runtime.list_containers(request)).await
        else {
            return;
        };
        for container in list.containers {
            let stop = cri::StopContainerRequest { container_id: container.id.clone(), timeout: 0 };
            let remove = cri::RemoveContainerRequest { container_id: container.id };
            let _ = self.call(During::Control, "stop", LIMIT, runtime.stop_container(stop)).await;
            let _ = self.call(During::Control, "remove", LIMIT, runtime.remove_container(remove)).await;
        }
    }

    /// Ends a container and removes it with its sandbox.
    ///
    /// A frozen one is not thawed first: it would take up what its clients sent meanwhile and acknowledge writes that
    /// the copy does not have. containerd kills it and lets runc thaw it then, so it never runs again; only if that
    /// fails is it killed and thawed here.
    pub(super) async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        let (name, id) = (&container.slot.spec.name, &container.id);
        if self.kind == EngineKind::CriCrun && matches!(self.task(id).await, Ok(Some(TaskStatus::Paused))) {
            // crun 1.28 does not thaw what it kills, as runc does: containerd would wait for its end without end. The
            // signal comes first, and is the first thing that it meets.
            let _ = self.kill_task(id).await;
            let _ = self.resume(id).await;
        }
        let mut removed = self.remove_sandbox(name, &container.slot.handle).await;
        if removed.as_ref().is_err_and(|e| e.class != ErrorClass::DaemonGone) {
            let _ = self.kill_task(id).await;
            let _ = self.resume(id).await;
            removed = self.remove_sandbox(name, &container.slot.handle).await;
        }
        removed?;
        self.forget(id);
        Ok(())
    }

    /// Removes a sandbox with all in it, and its logs' folder. CRI: gone already is no error.
    pub(super) async fn remove_sandbox(&self, name: &str, id: &str) -> Result<(), EngineError> {
        let mut runtime = self.client.runtime.clone();
        let what = format!("remove container {name}");
        let stop = cri::StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
        self.call(During::Control, &what, tasks::LIMIT, runtime.stop_pod_sandbox(stop)).await?;
        let remove = cri::RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
        self.call(During::Control, &what, LIMIT, runtime.remove_pod_sandbox(remove)).await?;
        let config = self.state().sandboxes.remove(id);
        let parent = config.and_then(|c| c.linux).map_or_else(|| self.pod_group(name), |linux| linux.cgroup_parent);
        // containerd leaves the parent, empty.
        for controller in CGROUPS {
            let _ = std::fs::remove_dir(self.host(format!("/sys/fs/cgroup/{controller}{parent}")));
        }
        Ok(())
    }
}

/// The log's name in the sandbox's log folder.
const LOG: &str = "container.log";

/// cgroup v1 hierarchies, and v2 (`.`).
const CGROUPS: [&str; 12] = [
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "perf_event",
    "pids",
    "systemd",
    ".",
];

/// A network of its own, and a PID namespace a container. Zero would mean a PID namespace shared with the sandbox.
fn namespaces() -> cri::NamespaceOption {
    cri::NamespaceOption {
        network: cri::NamespaceMode::Pod.into(),
        pid: cri::NamespaceMode::Container.into(),
        ipc: cri::NamespaceMode::Pod.into(),
        ..Default::default()
    }
}

fn container_config(spec: &ContainerSpec, image: &str, log_path: String, criu: String) -> cri::ContainerConfig {
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

/// A name that may become part of a path.
pub(super) fn plain(name: &str) -> bool {
    !name.is_empty() && Path::new(name).file_name().is_some_and(|file| file == name)
}
