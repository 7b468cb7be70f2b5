//! Looking at containers, ending them, and what is left of them.

use super::classify::During;
use super::runtime::{Inner, blocking, exec_error, io_error};
use crate::engine::kernel::Process;
use crate::engine::{Container, EngineError, Slot, failing, group, network, yards};
use crate::node::CONTAINERS;
use crate::process::Exec;
use crate::record::{ErrorClass, OutsideReport};
use std::fs;
use std::path::Path;

impl Inner {
    pub(super) async fn inspect(&self, container: &Container) -> Result<Option<OutsideReport>, EngineError> {
        let name = &container.id;
        let what = format!("can't look at container {name}");
        let state = match self.call(&["state", name], During::Control, &what).await {
            Err(e) if e.class == ErrorClass::UnknownContainer || !self.host(&self.state().join(name)).exists() => {
                return Ok(None);
            }
            other => other?,
        };
        let state: serde_json::Value = serde_json::from_str(&state)
            .map_err(|e| EngineError::new(ErrorClass::Other, format!("{what}: {} says no JSON: {e}", self.kind)))?;
        let pid = state["pid"].as_u64().and_then(|p| u32::try_from(p).ok()).filter(|p| *p > 0);
        let process = pid.map(|p| Process::of(&self.node, p)).unwrap_or_default();
        let freezer = self.freezer(name);
        let processes = freezer.as_ref().and_then(|f| f.count().ok()).and_then(|n| u32::try_from(n).ok());
        let engine_state = state["status"].as_str().unwrap_or("unknown").to_owned();
        Ok(Some(OutsideReport {
            memory: self.memory(name),
            end: (engine_state == "stopped").then(|| self.end(name)),
            engine_state,
            engine_says: None,
            frozen: freezer.and_then(|f| f.frozen().ok()),
            pid_inside: process.pid_inside,
            comm: process.comm,
            argv: process.argv,
            mounts: process.mounts,
            processes,
            address: Some(container.slot.address.to_string()),
        }))
    }

    pub(super) async fn first_process(&self, name: &str) -> Result<Option<u32>, EngineError> {
        let what = format!("can't look for the process of container {name}");
        let state = self.call(&["state", name], During::Control, &what).await?;
        let state: serde_json::Value = serde_json::from_str(&state)
            .map_err(|e| EngineError::new(ErrorClass::Other, format!("{what}: {} says no JSON: {e}", self.kind)))?;
        Ok(state["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0))
    }

    /// A fenced source never runs on, see [`group::end`].
    pub(super) async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        let name = &container.id;
        group::end(&self.group(name), self.limits.other, &format!("can't remove container {name}")).await?;
        self.forget_if_there(name).await?;
        self.discard(&container.slot).await
    }

    async fn forget_if_there(&self, name: &str) -> Result<(), EngineError> {
        if !self.host(&self.state().join(name)).exists() {
            return Ok(());
        }
        // Not `--force`: runc 1.3 sleeps 100 ms in it.
        let deleted = self.call(&["delete", name], During::Control, &format!("can't delete container {name}")).await;
        match deleted {
            Err(e) if e.class == ErrorClass::UnknownContainer => Ok(()),
            Err(_) => {
                self.forget(name).await;
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    pub(super) async fn discard(&self, slot: &Slot) -> Result<(), EngineError> {
        let name = &slot.spec.name;
        let folder = self.folder(name);
        if self.host(&self.state().join(name)).exists() {
            let text = format!("can't discard the slot of {name}: a container is in it");
            return Err(EngineError::new(ErrorClass::Other, text));
        }
        let on_host = self.host(&folder);
        if !on_host.exists() {
            return Ok(());
        }
        // The lazy form: a process that just ended may hold the mount for a moment more.
        let umount = Exec::new("umount").arg("-l").arg(folder.join("rootfs"));
        let network = async {
            // Others of its pod may be in it.
            if self.has_company(name) {
                return Ok(());
            }
            network::disconnect(&self.node, &slot.handle, slot.address, self.limits.other).await
        };
        let (umounted, disconnected) = tokio::join!(self.node.output(umount), network);
        disconnected?;
        let what = format!("can't discard the slot of {name}");
        let output = umounted.map_err(|e| exec_error(&what, &e))?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.code != 0 && !said.contains("not mounted") && !said.contains("no mount point") {
            return Err(EngineError::new(ErrorClass::Surroundings, format!("{what}: {said}")));
        }
        blocking(move || fs::remove_dir_all(&on_host).map_err(|e| io_error("remove", &on_host, &e))).await?;
        // crun deletes those of version 1, and not what is beside them in version 2 (crun 1.28): CRIU dumps all of that, and makes
        // it once more below each copy's own group.
        self.group(name).remove();
        match self.leave_pod(name) {
            Some((pod, true)) => self.free(&pod, slot.address),
            Some((_, false)) => {}
            None => self.free(name, slot.address),
        }
        Ok(())
    }

    pub(super) async fn left(&self) -> Result<Vec<String>, EngineError> {
        let prefix = format!("{}-", self.kind);
        let mut left = Vec::new();
        let places = [
            ("container", self.state(), ""),
            ("slot", self.home.join("containers"), ""),
            ("network namespace", Path::new("/run/netns").to_owned(), prefix.as_str()),
            ("checkpoint", self.checkpoints.clone(), ""),
            ("checkpoint", self.arrivals(), ""),
        ];
        for (kind, place, prefix) in places {
            let folder = self.host(&place);
            // No namespace was ever made: then there is no folder.
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
            left.extend(names.filter(|n| n.starts_with(prefix)).map(|n| format!("{kind} {n}")));
        }
        left.extend(group::below(&self.node, CONTAINERS, &prefix).into_iter().map(|n| format!("control group {n}")));
        left.extend(yards::left(&self.node, &self.home));
        left.sort();
        Ok(left)
    }

    pub(super) async fn collect_logs(&self, into: &Path) -> Result<(), EngineError> {
        let (from, into) = (self.host(&self.home.join("logs")), into.to_owned());
        blocking(move || failing::copy_logs(&from, &into).map_err(|e| io_error("copy", &from, &e))).await
    }
}
