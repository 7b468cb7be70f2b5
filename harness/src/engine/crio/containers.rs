//! Sandboxes and containers: made, started, removed.

use super::{Inner, config};
use crate::engine::cri_api::{During, LIMIT, Served, requests, v1 as cri};
use crate::engine::group::{self, Group};
use crate::engine::{Container, ContainerSpec, EngineError, Slot, pods};
use crate::record::ErrorClass;
use std::net::Ipv4Addr;
use std::time::Duration;

/// CRI-O is asked this often whether it has noticed an end: it tells nobody by itself unless it is configured to.
const GLANCE: Duration = Duration::from_millis(2);
const NOTICE_LIMIT: Duration = Duration::from_secs(5);
/// How long processes that were killed may take to end.
const END_LIMIT: Duration = Duration::from_secs(30);

impl Inner {
    pub(super) async fn prepare(&self, spec: &ContainerSpec) -> Result<Slot, EngineError> {
        self.pull(&spec.image.reference, During::Start).await?;
        let (address, handle) = self.sandbox(&spec.name).await?;
        Ok(Slot { spec: spec.clone(), address, handle })
    }

    /// One sandbox for all.
    pub(super) async fn prepare_pod(&self, pod: &str, specs: &[ContainerSpec]) -> Result<Vec<Slot>, EngineError> {
        for spec in specs {
            self.pull(&spec.image.reference, During::Start).await?;
        }
        let (address, handle) = self.sandbox(pod).await?;
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

    /// Makes a sandbox: its address and its id.
    async fn sandbox(&self, name: &str) -> Result<(Ipv4Addr, String), EngineError> {
        // CRI-O would give the one that there is.
        if self.sandbox_of(name).is_some() {
            let message =
                format!("can't prepare container {name}: there is one of this name on node {}", self.node.name());
            return Err(EngineError::new(ErrorClass::NameTaken, message));
        }
        let logs = config::home(&format!("logs/{name}-{}", self.next()));
        let config = requests::sandbox(name, logs, self.pod_group(name));
        let logs = self.host(&config.log_directory);
        std::fs::create_dir_all(&logs).map_err(|e| self.surroundings("make the log folder", e))?;
        let mut runtime = self.client.runtime.clone();
        let what = format!("make a sandbox for container {name}");
        let request = cri::RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: String::new() };
        let made = self.answer(During::Start, &what, LIMIT, runtime.run_pod_sandbox(request)).await;
        let handle = made.inspect_err(|_| drop(std::fs::remove_dir(&logs)))?.pod_sandbox_id;
        self.state().sandboxes.insert(handle.clone(), config);
        match self.sandbox_address(name, &handle).await {
            Ok(address) => Ok((address, handle)),
            Err(e) => {
                let _ = self.remove_sandbox(name, &handle).await;
                Err(e)
            }
        }
    }

    /// Ends a container and removes it with its sandbox.
    pub(super) async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        self.remove_sandbox(&container.slot.spec.name, &container.slot.handle).await?;
        self.state().turns.remove(&container.id);
        Ok(())
    }

    /// Removes a sandbox with all in it. CRI: gone already is no error.
    ///
    /// What is frozen is not thawed first: it would take up what its clients sent meanwhile. It is sent SIGKILL, which is
    /// the first thing that it meets when it is thawed then.
    pub(super) async fn remove_sandbox(&self, name: &str, id: &str) -> Result<(), EngineError> {
        let config = self.state().sandboxes.get(id).cloned();
        let parent = config.and_then(|c| c.linux).map_or_else(|| self.pod_group(name), |linux| linux.cgroup_parent);
        let what = format!("can't end container {name}");
        let mut ended = Vec::new();
        for (container, group) in self.groups_below(&parent) {
            group::end(&Group::of(&self.node, group), END_LIMIT, &what).await?;
            self.let_go(&container);
            ended.push(container);
        }
        let mut runtime = self.client.runtime.clone();
        self.noticed(&ended).await;
        let what = format!("remove container {name}");
        let stop = cri::StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
        self.answer(During::Control, &what, LIMIT, runtime.stop_pod_sandbox(stop)).await?;
        let remove = cri::RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
        self.answer(During::Control, &what, LIMIT, runtime.remove_pod_sandbox(remove)).await?;
        // Another slot may have the name by now: then the group is its.
        if self.state().sandboxes.remove(id).is_some() {
            Group::of(&self.node, parent).remove();
        }
        Ok(())
    }

    /// Waits until CRI-O knows of an end. It hears of it by a file of conmon's, which it removes then: a sandbox that is
    /// stopped meanwhile may look for that file in vain, for some seconds (CRI-O 1.34.0, read).
    async fn noticed(&self, ended: &[String]) {
        let all = async {
            for id in ended {
                let request = cri::ContainerStatusRequest { container_id: id.clone(), verbose: false };
                let mut runtime = self.client.runtime.clone();
                let running = cri::ContainerState::ContainerRunning;
                while runtime
                    .container_status(request.clone())
                    .await
                    .is_ok_and(|said| said.into_inner().status.is_some_and(|status| status.state() == running))
                {
                    tokio::time::sleep(GLANCE).await;
                }
            }
        };
        // It is only slow without.
        let _ = tokio::time::timeout(NOTICE_LIMIT, all).await;
    }

    /// The containers below a pod's group: each one's id and group.
    pub(super) fn groups_below(&self, parent: &str) -> Vec<(String, String)> {
        let folders = ["freezer", "."].map(|h| self.host(format!("/sys/fs/cgroup/{h}{parent}")));
        let found = folders.iter().find(|folder| folder.is_dir());
        let entries = found.into_iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        // `crio-conmon-ID` is the group of its conmon.
        let id = |name: &str| name.strip_prefix("crio-").filter(|id| !id.contains('-')).map(str::to_owned);
        names.filter_map(|n| id(&n).map(|id| (id, format!("{parent}/{n}")))).collect()
    }
}
