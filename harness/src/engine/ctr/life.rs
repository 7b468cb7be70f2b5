//! Slots and containers: made, started, removed.

use super::{Inner, id, logs};
use crate::engine::containerd::classify::During;
use crate::engine::containerd::generated::containerd::services::snapshots::v1::MountsRequest;
use crate::engine::containerd::generated::containerd::services::tasks::v1::{
    CreateTaskRequest, DeleteTaskRequest, StartRequest,
};
use crate::engine::containerd::generated::containerd::types::{Descriptor, Mount};
use crate::engine::containerd::generated::containerd::v1::types::Status as TaskStatus;
use crate::engine::containerd::tasks;
use crate::engine::{Container, ContainerSpec, EngineError, Slot, criu_options, network};
use crate::record::ErrorClass;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// containerd's default on Linux.
const SNAPSHOTTER: &str = "overlayfs";
const LIMIT: Duration = Duration::from_secs(120);
/// There is an event for a task's end, on a stream of all events; this costs less.
const GLANCE: Duration = Duration::from_millis(2);

/// The network namespace of a container.
pub(super) fn netns(name: &str) -> String {
    format!("ctr-{name}")
}

impl Inner {
    /// `at` is an address of another node's network, or of this one's.
    pub(super) async fn prepare(&self, spec: &ContainerSpec, at: Option<Ipv4Addr>) -> Result<Slot, EngineError> {
        let name = &spec.name;
        if self.slots().insert(name.clone(), false).is_some() {
            // As it was: that of the other.
            let there = "there is one of this name".to_owned();
            return Err(self.told(ErrorClass::NameTaken, &format!("prepare container {name}"), &there, Vec::new()));
        }
        let made = self.make_slot(spec, at).await;
        if made.is_err() {
            self.slots().remove(name);
        }
        made
    }

    async fn make_slot(&self, spec: &ContainerSpec, at: Option<Ipv4Addr>) -> Result<Slot, EngineError> {
        let reference = &spec.image.reference;
        if self.images(&[&format!("name=={reference}")]).await?.is_empty() {
            let args = ["images", "pull", "--plain-http", reference];
            self.ctr(During::Start, &format!("pull image {reference}"), args).await?;
        }
        let address = network::choose(&self.addresses, &self.node, &spec.name, at)?;
        let slot = Slot { spec: spec.clone(), address, handle: netns(&spec.name) };
        if let Err(e) = network::connect(&self.node, &slot.handle, address, LIMIT).await {
            let _ = self.discard(&slot).await;
            return Err(e);
        }
        Ok(slot)
    }

    /// Makes the container: its spec and the snapshot of its root. There is no task yet.
    pub(super) async fn define(&self, slot: &Slot, during: During) -> Result<Container, EngineError> {
        let spec = &slot.spec;
        let id = id(&spec.name);
        self.write_criu_config(&spec.criu)?;
        let mut args: Vec<String> = ["containers", "create", "--hostname", &spec.name].map(str::to_owned).to_vec();
        let mut option = |name: &str, value: String| args.extend([name.to_owned(), value]);
        option("--with-ns", format!("network:/run/netns/{}", slot.handle));
        option("--annotation", format!("{}={}", criu_options::ANNOTATION, self.places.criu_config(&spec.criu)));
        for (key, value) in &spec.env {
            option("--env", format!("{key}={value}"));
        }
        for mount in &spec.mounts {
            let (source, target) = (mount.source.display(), mount.target.display());
            option("--mount", format!("type=bind,src={source},dst={target},options=rbind:rw"));
        }
        if let Some(limit) = spec.memory_limit {
            option("--memory-limit", limit.to_string());
        }
        if spec.user != 0 {
            option("--user", format!("{0}:{0}", spec.user));
        }
        args.extend([spec.image.reference.clone(), id.clone()]);
        args.extend(spec.args.iter().cloned());
        self.ctr(during, &format!("create container {}", spec.name), args).await?;
        self.slots().insert(spec.name.clone(), true);
        let log = PathBuf::from(format!("{}/{}-{}.log", logs(&self.places), spec.name, self.next()));
        Ok(Container { id, slot: slot.clone(), log })
    }

    /// The mounts of a container's root.
    pub(super) async fn root(&self, container: &Container) -> Result<Vec<Mount>, EngineError> {
        let request = MountsRequest { snapshotter: SNAPSHOTTER.to_owned(), key: container.id.clone() };
        let mut snapshots = self.client.snapshots.clone();
        let what = format!("mount the root of container {}", container.slot.spec.name);
        Ok(self.call(During::Start, &what, LIMIT, snapshots.mounts(request)).await?.mounts)
    }

    /// Makes the container's task, which waits to be started; from a checkpoint's memory, if there is one.
    pub(super) async fn make_task(
        &self,
        container: &Container,
        rootfs: Vec<Mount>,
        checkpoint: Option<Descriptor>,
        during: During,
    ) -> Result<(), EngineError> {
        // The shim reads the container's output by pipes and writes it to the file: no file of the node's is open in it.
        let log = format!("file://{}", container.log.display());
        let request = CreateTaskRequest {
            container_id: container.id.clone(),
            rootfs,
            stdout: log.clone(),
            stderr: log,
            checkpoint,
            ..Default::default()
        };
        let mut tasks = self.client.tasks.clone();
        let what = format!("make the task of container {}", container.slot.spec.name);
        self.call(during, &what, LIMIT, tasks.create(request)).await.map(drop)
    }

    pub(super) fn start_request(container: &Container) -> StartRequest {
        StartRequest { container_id: container.id.clone(), exec_id: String::new() }
    }

    pub(super) async fn create(&self, slot: &Slot) -> Result<Container, EngineError> {
        let container = self.define(slot, During::Start).await?;
        let made = match self.root(&container).await {
            Ok(root) => self.make_task(&container, root, None, During::Start).await,
            Err(e) => Err(e),
        };
        if let Err(e) = made {
            let _ = self.undo(&container).await;
            return Err(e);
        }
        Ok(container)
    }

    pub(super) async fn start_container(&self, slot: &Slot) -> Result<Container, EngineError> {
        let container = self.create(slot).await?;
        let mut tasks = self.client.tasks.clone();
        let what = format!("start container {}", slot.spec.name);
        let started = self.call(During::Start, &what, LIMIT, tasks.start(Self::start_request(&container))).await;
        if let Err(e) = started {
            let _ = self.undo(&container).await;
            return Err(e);
        }
        Ok(container)
    }

    /// Removes a container; its slot stays. Gone already is no error.
    ///
    /// All its processes are killed first and thawed then: a signal waits for a frozen task on cgroup version 1, and is
    /// the first thing that it meets when it is thawed, so that a fenced source never runs on.
    pub(super) async fn undo(&self, container: &Container) -> Result<(), EngineError> {
        let (name, id) = (&container.slot.spec.name, &container.id);
        let what = format!("remove container {name}");
        let failed = |e: &tonic::Status| self.error(During::Control, &what, e, Vec::new());
        if self.task(id).await.map_err(|e| failed(&e))?.is_some() {
            // Both fail of a task that has ended.
            let _ = self.kill_task(id).await;
            let _ = self.resume(id).await;
            self.ended(id, &what).await?;
            let request = DeleteTaskRequest { container_id: id.clone() };
            let mut tasks = self.client.tasks.clone();
            match self.call(During::Control, &what, tasks::LIMIT, tasks.delete(request)).await {
                Err(e) if e.class != ErrorClass::UnknownContainer => return Err(e),
                _ => {}
            }
        }
        match self.ctr(During::Control, &what, ["containers", "rm", id]).await {
            Err(e) if e.class != ErrorClass::UnknownContainer => return Err(e),
            _ => {}
        }
        self.forget(id);
        if let Some(made) = self.slots().get_mut(name) {
            *made = false;
        }
        Ok(())
    }

    async fn ended(&self, id: &str, what: &str) -> Result<(), EngineError> {
        let began = Instant::now();
        loop {
            let task = self.task(id).await.map_err(|e| self.error(During::Control, what, &e, Vec::new()))?;
            // One that was never started can be deleted as it is.
            if matches!(task, None | Some(TaskStatus::Stopped | TaskStatus::Created)) {
                return Ok(());
            }
            if began.elapsed() > tasks::LIMIT {
                let why = format!("its task is {task:?} {:?} after SIGKILL", tasks::LIMIT);
                return Err(self.told(ErrorClass::Timeout, what, &why, Vec::new()));
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    pub(super) async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        self.undo(container).await?;
        self.discard(&container.slot).await
    }

    pub(super) async fn discard(&self, slot: &Slot) -> Result<(), EngineError> {
        let name = &slot.spec.name;
        match self.slots().get(name) {
            None => return Ok(()),
            Some(true) => {
                let why = "a container is in it".to_owned();
                return Err(self.told(ErrorClass::Other, &format!("discard the slot of {name}"), &why, Vec::new()));
            }
            Some(false) => {}
        }
        network::disconnect(&self.node, &slot.handle, slot.address, LIMIT).await?;
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.take_back(&self.node, slot.address, name);
        self.slots().remove(name);
        Ok(())
    }
}
