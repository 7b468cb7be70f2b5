//! containerd without CRI, by its own client `ctr` and the API that this calls: `ctr c create`, `ctr t checkpoint`, `ctr i
//! export`, `ctr i import`. A checkpoint is an image of containerd's (task, changes of the root, base image), carried as an
//! archive file; no registry is needed for it.
//!
//! Two of `ctr`'s commands are not used, for what they do (containerd 2.1.9): `ctr c checkpoint` refuses a container that is
//! frozen (`cannot pause a paused container`) and thaws any other at its end; `ctr c restore` gives every copy the source's
//! control group and network, loses what it writes, and starts afresh unless it is told `--live`. In their place are `ctr t
//! checkpoint`, and the calls that `ctr c restore --live --rw` makes, for a container with a place of its own.

mod calls;
mod checkpoint;
mod life;
mod looks;
mod restore;

use super::containerd::{self, Containerd};
use super::network::Addresses;
use super::{
    Capabilities, Checkpoint, Container, ContainerSpec, Engine, EngineError, Restored, Slot, Stored, Supplies,
    criu_processes, to_its_end,
};
use crate::engine::watchdog::Patience;
use crate::node::SharedNode;
use crate::record::{EngineKind, ErrorClass, MemoryReport, OutsideReport};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// containerd's namespace; containers' control groups are below a folder of this name.
const NAMESPACE: &str = "podferry";

/// How long CRIU may take to restore; it is killed then.
const RESTORE_LIMIT: Duration = Duration::from_secs(120);

/// containerd on one node, without CRI.
struct CtrEngine(Arc<Inner>);

struct Inner {
    containerd: Containerd,
    capabilities: Capabilities,
    addresses: Mutex<Addresses>,
    /// By the container's name: whether a container was made in it.
    slots: Mutex<BTreeMap<String, bool>>,
    /// Imported checkpoint images have the name that they were exported with: one at a time is imported, used, removed.
    images: tokio::sync::Mutex<()>,
    serial: AtomicU64,
}

/// What all engines of containerd share is called as if it were this one's own.
impl std::ops::Deref for Inner {
    type Target = Containerd;

    fn deref(&self) -> &Containerd {
        &self.containerd
    }
}

/// The engine `ctr`; see [`super::connect`].
pub(super) async fn connect(
    kind: EngineKind,
    node: SharedNode,
    _: &dyn Supplies,
) -> Result<Arc<dyn Engine>, EngineError> {
    // The tasks service has had checkpoints since 1.0.
    let (mut capabilities, support) = containerd::probe(&node, |_| (Ok(()), Ok(()))).await?;
    capabilities.restore_image = Err("it restores from archives that are imported, and asks no registry".to_owned());
    capabilities.changed_archive =
        Err("all that its archive holds is named by digest, so that a changed entry is missed".to_owned());
    let daemon = Containerd::new(node, kind, NAMESPACE, "runc").await;
    let places = &daemon.places;
    let config = config(places, support.config_version());
    containerd::write(&daemon.node, [(places.config(), config)], &[&places.tmp, &places.checkpoints, &logs(places)])?;
    let inner = Inner {
        containerd: daemon,
        capabilities,
        addresses: Mutex::new(Addresses::of(kind)),
        slots: Mutex::default(),
        images: tokio::sync::Mutex::default(),
        serial: AtomicU64::new(0),
    };
    inner.containerd.start().await?;
    inner.same_version(&support).await?;
    Ok(Arc::new(CtrEngine(Arc::new(inner))))
}

/// Without CRI, which would want a network and a sandbox image.
fn config(places: &containerd::Places, version: u32) -> String {
    let containerd::Places { root, state, socket, .. } = places;
    format!(
        "version = {version}\nroot = \"{root}\"\nstate = \"{state}\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", \
         \"io.containerd.cri.v1.runtime\", \"io.containerd.cri.v1.images\"]\n\n[grpc]\naddress = \"{socket}\"\n"
    )
}

/// Where containers' output goes.
fn logs(places: &containerd::Places) -> String {
    places.in_home("logs")
}

impl Inner {
    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }
}

/// The id of a container, which is also its control group's name. With a dot, as in no container's name.
fn id(name: &str) -> String {
    format!("{}.{name}", EngineKind::Ctr)
}

#[async_trait]
impl Engine for CtrEngine {
    fn kind(&self) -> EngineKind {
        self.0.kind
    }

    fn node(&self) -> &SharedNode {
        &self.0.node
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    async fn prepare(&self, spec: &ContainerSpec) -> Result<Slot, EngineError> {
        let (inner, spec) = (Arc::clone(&self.0), spec.clone());
        to_its_end(async move { inner.prepare(&spec, None).await }).await
    }

    fn moved_address(&self) -> Result<(), String> {
        Ok(())
    }

    async fn prepare_at(&self, spec: &ContainerSpec, address: Ipv4Addr) -> Result<Slot, EngineError> {
        let (inner, spec) = (Arc::clone(&self.0), spec.clone());
        to_its_end(async move { inner.prepare(&spec, Some(address)).await }).await
    }

    async fn start(&self, slot: &Slot) -> Result<Container, EngineError> {
        let (inner, slot) = (Arc::clone(&self.0), slot.clone());
        to_its_end(async move { inner.start_container(&slot).await }).await
    }

    async fn create(&self, slot: &Slot) -> Result<Container, EngineError> {
        let (inner, slot) = (Arc::clone(&self.0), slot.clone());
        to_its_end(async move { inner.create(&slot).await }).await
    }

    async fn network(&self, name: &str) -> Result<PathBuf, EngineError> {
        Ok(Path::new("/run/netns").join(life::netns(name)))
    }

    async fn forget_image(&self, reference: &str) -> Result<(), EngineError> {
        self.0.remove_image(reference).await
    }

    async fn freeze(&self, container: &Container) -> Result<(), EngineError> {
        self.0.freeze(container).await
    }

    async fn thaw(&self, container: &Container) -> Result<(), EngineError> {
        self.0.thaw(container).await
    }

    async fn checkpoint(&self, container: &Container, name: &str) -> Result<Checkpoint, EngineError> {
        let (inner, container, name) = (Arc::clone(&self.0), container.clone(), name.to_owned());
        to_its_end(async move { inner.checkpoint(&container, &name).await }).await
    }

    async fn restore(&self, slot: &Slot, from: &Checkpoint) -> Result<Restored, EngineError> {
        let (inner, slot, from) = (Arc::clone(&self.0), slot.clone(), from.clone());
        let patience = Patience::Watch(RESTORE_LIMIT);
        to_its_end(async move { inner.restore(&slot, &from, patience).await }).await
    }

    async fn restore_bare(&self, slot: &Slot, from: &Checkpoint, deadline: Duration) -> Result<Restored, EngineError> {
        let (inner, slot, from) = (Arc::clone(&self.0), slot.clone(), from.clone());
        let patience = Patience::Bare(deadline);
        to_its_end(async move { inner.restore(&slot, &from, patience).await }).await
    }

    async fn restore_image(&self, _: &Slot, reference: &str) -> Result<Restored, EngineError> {
        let kind = self.0.kind;
        Err(EngineError::new(ErrorClass::Unsupported, format!("{kind} restores no images, so not `{reference}`"))
            .hint("use the engine cri, or the medium `native`"))
    }

    async fn heal(&self) -> Result<(), EngineError> {
        criu_processes::ended(&self.0.node).await?;
        self.0.thaw_forgotten("by a checkpoint that was given up").await?;
        if self.0.criu.idle() {
            self.0.clear_tmp();
        }
        Ok(())
    }

    async fn inspect(&self, container: &Container) -> Result<Option<OutsideReport>, EngineError> {
        self.0.inspect(container).await
    }

    fn memory(&self, container: &Container) -> Option<MemoryReport> {
        containerd::Outside::new(&self.0.node, &looks::group(&container.id)).memory()
    }

    async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        let (inner, container) = (Arc::clone(&self.0), container.clone());
        to_its_end(async move { inner.remove(&container).await }).await
    }

    async fn discard(&self, slot: &Slot) -> Result<(), EngineError> {
        let (inner, slot) = (Arc::clone(&self.0), slot.clone());
        to_its_end(async move { inner.discard(&slot).await }).await
    }

    async fn left(&self) -> Result<Vec<String>, EngineError> {
        self.0.all_left().await
    }

    async fn collect_logs(&self, into: &Path) -> Result<(), EngineError> {
        self.0.collect_logs(into)
    }

    async fn kill_daemon(&self) -> Result<(), EngineError> {
        self.0.kill().await
    }

    async fn revive(&self) -> Result<(), EngineError> {
        let inner = Arc::clone(&self.0);
        to_its_end(async move { inner.containerd.revive().await }).await
    }

    async fn start_again(&self) -> Result<(), EngineError> {
        let inner = Arc::clone(&self.0);
        to_its_end(async move { inner.containerd.start().await }).await
    }

    fn runtime(&self) -> &str {
        &self.0.runtime
    }

    fn folder(&self, of: Stored) -> PathBuf {
        match of {
            Stored::Images => PathBuf::from(&self.0.places.tmp),
            Stored::Archives => PathBuf::from(&self.0.places.checkpoints),
        }
    }

    async fn first_process(&self, container: &Container) -> Result<Option<u32>, EngineError> {
        let what = format!("look for the process of container {}", container.slot.spec.name);
        self.0.task_pid(&container.id, &what).await
    }
}

#[cfg(test)]
mod tests {
    use super::NAMESPACE;

    /// containerd makes a container's control group of the namespace and its id.
    #[test]
    fn the_namespace_is_the_group_of_all_containers() {
        assert_eq!(crate::node::CONTAINERS, format!("/{NAMESPACE}"));
    }
}
