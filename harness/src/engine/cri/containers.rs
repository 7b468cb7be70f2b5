//! Sandboxes and containers: made, started, removed.

use super::Inner;
use super::generated::containerd::v1::types::Status as TaskStatus;
use super::generated::runtime::v1 as cri;
use crate::engine::containerd::classify::During;
use crate::engine::containerd::tasks;
use crate::engine::cri_api::{LIMIT, Served, requests};
use crate::engine::group::{self, Group};
use crate::engine::{Container, ContainerSpec, EngineError, Slot, pods};
use crate::record::{EngineKind, ErrorClass};
use std::net::Ipv4Addr;

impl Inner {
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
        let logs = self.places.in_home(&format!("logs/{name}-{}", self.next()));
        let config = requests::sandbox(name, logs, self.pod_group(name));
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
        let group = Group::of(&self.node, parent);
        // Whose shim died is forgotten by containerd while it may live on for a moment (2.1.9): the group is not empty then.
        group::end(&group, tasks::LIMIT, &format!("can't end what is left of container {name}")).await?;
        // containerd leaves the parent, empty; and below it is what CRIU made again of the groups of version 2, where they lie
        // beside those of version 1 (criu 4.2.1 under crun 1.28): each checkpoint would hold it all once more.
        group.remove();
        Ok(())
    }
}
