//! Ending containers, and what is left of them.

use super::call::Inner;
use super::classify::During;
use crate::engine::failing::{blocking, copy_logs, io_error};
use crate::engine::group::{self, pids};
use crate::engine::kernel::argv;
use crate::engine::{Container, EngineError, Slot, network, yards};
use crate::node::processes;
use std::fs;
use std::path::Path;
use std::sync::PoisonError;

impl Inner {
    pub(super) async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        let (id, name) = (&container.id, &container.slot.spec.name);
        let what = format!("can't remove container {name} on node {}", self.node.name());
        // What conmon starts when the container ends is waited for too: it is podman, cleaning up.
        let monitor = self.monitor(id);
        // podman would wait 5 s for a frozen one, and give up.
        group::end(&self.group(id), self.limits.other, &what).await?;
        if self.host(&self.userdata(id)).exists() {
            self.keep_log(container);
            let remove = self.podman(None).args(["rm", "--force", "--time", "0", "--ignore", "--volumes", id]);
            self.call(remove, During::Control, &what).await?;
        }
        if let Some(pid) = monitor {
            group::gone(&self.node, &[pid], self.limits.other, &what).await?;
        }
        // Where groups of version 2 lie beside those of version 1, a container that crun starts is in the root of the former.
        // CRIU dumps all groups there are below it, and on a restore makes them once more below the copy's own, which
        // nobody removes: they would double with every round (crun 1.28, criu 4.2.1).
        self.group(id).remove();
        self.options.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.discard(&container.slot).await
    }

    /// podman keeps the log of a restored container in a folder that goes with it.
    fn keep_log(&self, container: &Container) {
        let kept = self.logs().join(format!("{}.container.log", container.slot.spec.name));
        if container.log != kept {
            // Evidence, and no more: a container without a log is removed all the same.
            let _ = fs::rename(self.host(&container.log), self.host(&kept));
        }
    }

    /// After a restore that went well and is of no use.
    pub(super) async fn end_of_failed(&self, container: &Container) {
        let what = format!("can't end container {}", container.slot.spec.name);
        // The error that matters is that of the restore; what is left shows up among what is left.
        let _ = group::end(&self.group(&container.id), self.limits.other, &what).await;
        self.forget(&container.slot.spec.name).await;
    }

    /// Removes what a failed call has left of a container; its slot stays.
    pub(super) async fn forget(&self, name: &str) {
        let remove = self.podman(None).args(["rm", "--force", "--time", "0", "--ignore", "--volumes", name]);
        let _ = self.call(remove, During::Control, "can't remove").await;
        for id in self.orphans() {
            let _ = group::end(&self.group(&id), self.limits.other, "can't end what a restore left").await;
            self.group(&id).remove();
        }
    }

    /// Ids of control groups whose containers podman does not have: it makes a container's folder before its groups.
    fn orphans(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.group_ids().collect();
        ids.retain(|id| !self.host(&self.userdata(id)).exists());
        ids
    }

    pub(super) fn group_ids(&self) -> impl Iterator<Item = String> {
        let names = group::below(&self.node, &self.groups(), "libpod-");
        names.into_iter().filter_map(|name| name.strip_prefix("libpod-").map(str::to_owned))
    }

    pub(super) async fn discard(&self, slot: &Slot) -> Result<(), EngineError> {
        let name = &slot.spec.name;
        network::disconnect(&self.node, &slot.handle, slot.address, self.limits.other).await?;
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).free(slot.address.octets()[3], name);
        Ok(())
    }

    pub(super) async fn left(&self) -> Result<Vec<String>, EngineError> {
        // `--external`: also what podman's storage holds and its database does not know.
        let list = self.podman(None).args(["ps", "--all", "--external", "--format", "{{.Names}}"]);
        let listed = self.call(list, During::Control, "can't list containers").await?;
        let mut left: Vec<String> =
            listed.lines().filter(|l| !l.trim().is_empty()).map(|n| format!("container {n}")).collect();
        let names = |folder: &Path| -> Vec<String> {
            // No namespace, or no group, was ever made: then there is no folder.
            let entries = fs::read_dir(self.host(folder)).into_iter().flatten().flatten();
            entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
        };
        let slots = names(Path::new("/run/netns"));
        let prefix = self.netns("");
        left.extend(slots.iter().filter(|n| n.starts_with(&prefix)).map(|n| format!("network namespace {n}")));
        left.extend(self.group_ids().map(|id| format!("control group libpod-{id}")));
        for folder in [self.checkpoints(), self.arrivals(), self.home.join("tmp")] {
            left.extend(names(&folder).iter().map(|n| format!("file {}/{n}", folder.display())));
        }
        left.extend(self.monitors()?.iter().map(|pid| format!("process conmon ({pid})")));
        let criu = processes(&self.node).into_iter().filter(|(_, process)| process.comm == "criu");
        left.extend(criu.map(|(pid, _)| format!("process criu ({pid})")));
        left.extend(yards::left(&self.node, &self.storage()));
        left.sort();
        left.dedup();
        Ok(left)
    }

    /// All conmons of this engine, and podmans that they have become.
    fn monitors(&self) -> Result<Vec<u32>, EngineError> {
        let tmp = self.run_folder().join("tmp").display().to_string();
        let ours = |pid: &u32| {
            let words = argv(&self.node, *pid);
            words.first().is_some_and(|p| p.ends_with("/conmon") || p.ends_with("/podman")) && words.contains(&tmp)
        };
        Ok(pids(&self.node)?.into_iter().filter(ours).collect())
    }

    pub(super) async fn collect_logs(&self, into: &Path) -> Result<(), EngineError> {
        let (folders, into) = ([self.host(&self.logs()), self.host(&self.calls())], into.to_owned());
        blocking(move || {
            folders.iter().try_for_each(|from| copy_logs(from, &into).map_err(|e| io_error("copy", from, &e)))
        })
        .await
    }
}
