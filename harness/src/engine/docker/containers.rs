//! Slots and containers: made, started, removed.
//!
//! A slot is the network of a holder: a container of its own that does nothing, as a pod's sandbox is. Docker 28.5
//! restores no container into a network that it would make for it (`bind-mount /proc/0/ns/net`), but into one that is
//! there; and a holder's can be given its address before the container comes, so that making it does not count as
//! downtime.

use super::{Inner, Network, config};
use crate::engine::runc::classify::During;
use crate::engine::{Container, ContainerSpec, EngineError, Slot, criu_options, network};
use crate::image::Image;
use crate::node::CONTAINERS;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType};
use bollard::query_parameters::{CreateContainerOptions, CreateImageOptions, RemoveContainerOptions};
use futures_util::TryStreamExt;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A pull of a big image on a busy machine.
const PULL_LIMIT: Duration = Duration::from_secs(300);

impl Inner {
    /// Pulls an image by its reference, from the registry that it names.
    async fn pull(&self, image: &Image) -> Result<(), EngineError> {
        let (docker, reference) = (self.docker(), image.reference.as_str());
        match docker.inspect_image(reference).await {
            Ok(_) => return Ok(()),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => {}
            Err(e) => return Err(self.error_of(During::Start, &format!("look for image {reference}"), &e)),
        }
        let from = CreateImageOptions { from_image: Some(reference.to_owned()), ..Default::default() };
        let pulled = docker.create_image(Some(from), None, None).try_for_each(async |_| Ok(()));
        self.call_within(PULL_LIMIT, During::Start, &format!("pull image {reference}"), pulled).await
    }

    /// Removes an image by its reference; gone already is no error.
    pub(super) async fn forget_image(&self, reference: &str) -> Result<(), EngineError> {
        let what = format!("remove image {reference}");
        let force = bollard::query_parameters::RemoveImageOptions { force: true, ..Default::default() };
        let removed = self.docker().remove_image(reference, Some(force), None).await;
        removed.map(drop).or_else(gone_is_done).map_err(|e| self.error_of(During::Control, &what, &e))
    }

    /// `at` is an address of another node's network, or of this one's.
    pub(super) async fn prepare(&self, spec: &ContainerSpec, at: Option<Ipv4Addr>) -> Result<Slot, EngineError> {
        let name = &spec.name;
        tokio::try_join!(self.pull(&spec.image), self.pull(&self.pause))?;
        let address = network::choose(&self.addresses, &self.node, name, at)?;
        let what = format!("make a network for container {name}");
        let body = ContainerCreateBody {
            image: Some(self.pause.reference.clone()),
            hostname: Some(name.clone()),
            host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..self.host_config() }),
            ..Default::default()
        };
        let made = self.make(&holder(name), body, &what).await;
        let handle = made.inspect_err(|_| self.give_back(address, name))?;
        let slot = Slot { spec: spec.clone(), address, handle };
        match self.connect_holder(&slot, &what).await {
            Ok(()) => Ok(slot),
            Err(e) => {
                // The error that matters is the first.
                let _ = self.discard(&slot).await;
                Err(e)
            }
        }
    }

    async fn connect_holder(&self, slot: &Slot, what: &str) -> Result<(), EngineError> {
        let (docker, name) = (self.docker(), &slot.spec.name);
        self.call(During::Start, what, docker.start_container(&slot.handle, None)).await?;
        let pid = self.pid(&slot.handle, During::Start, what).await?;
        let pid = pid.ok_or_else(|| self.surroundings(what, "its holder has no process"))?;
        network::adopt(&self.node, &netns(name), pid, slot.address, super::client::LIMIT).await
    }

    fn give_back(&self, address: Ipv4Addr, name: &str) {
        self.lock(&self.addresses).free(address.octets()[3], name);
    }

    /// What holder and container have in common.
    fn host_config(&self) -> HostConfig {
        HostConfig {
            cgroup_parent: Some(CONTAINERS.to_owned()),
            ipc_mode: Some("private".to_owned()),
            // As with the other engines: dockerd's own profile keeps io_uring from a program, which is then not a thing that
            // the checkpoint refuses but one that the program never had.
            security_opt: Some(vec!["seccomp=unconfined".to_owned()]),
            log_config: Some(HostConfigLogConfig { typ: Some("json-file".to_owned()), config: None }),
            ..Default::default()
        }
    }

    async fn make(&self, name: &str, body: ContainerCreateBody, what: &str) -> Result<String, EngineError> {
        let options = CreateContainerOptions { name: Some(name.to_owned()), ..Default::default() };
        let made = self.docker().create_container(Some(options), body);
        Ok(self.call(During::Start, what, made).await?.id)
    }

    /// Makes the container of a slot and does not start it.
    pub(super) async fn create(&self, slot: &Slot, during: During) -> Result<Container, EngineError> {
        let name = &slot.spec.name;
        let what = match during {
            During::Restore => format!("make container {name} for a restore"),
            _ => format!("create container {name}"),
        };
        self.write_criu_config(&slot.spec).map_err(|e| self.surroundings("write CRIU's options", e))?;
        let id = self.make(name, self.body(slot), &what).await?;
        let log = PathBuf::from(format!("{}/containers/{id}/{id}-json.log", config::ROOT));
        Ok(Container { id, slot: slot.clone(), log })
    }

    /// runc reads the file that the annotation names when it dumps the container and when it restores it. Each container
    /// has its own: so each has a log of CRIU's of its own.
    fn write_criu_config(&self, spec: &ContainerSpec) -> std::io::Result<()> {
        let text = criu_options::text(&spec.criu, self.network_lock);
        let log = criu_file(&spec.name, "log");
        let _ = std::fs::remove_file(self.host(&log));
        std::fs::write(self.host(criu_file(&spec.name, "conf")), format!("{text}log-file {}\n", log.display()))
    }

    fn body(&self, slot: &Slot) -> ContainerCreateBody {
        let spec = &slot.spec;
        let limit = spec.memory_limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let config = criu_file(&spec.name, "conf").to_string_lossy().into_owned();
        let host_config = HostConfig {
            network_mode: Some(match self.network {
                Network::Holder => format!("container:{}", slot.handle),
                Network::Bridge => "bridge".to_owned(),
                Network::None => "none".to_owned(),
                Network::Host => "host".to_owned(),
            }),
            annotations: Some(HashMap::from([(criu_options::ANNOTATION.to_owned(), config)])),
            memory: limit,
            // No swap beside it: dockerd would allow as much again.
            memory_swap: limit,
            mounts: Some(spec.mounts.iter().map(mount).collect()),
            ..self.host_config()
        };
        ContainerCreateBody {
            image: Some(spec.image.reference.clone()),
            entrypoint: (!spec.args.is_empty()).then(|| spec.args.clone()),
            env: Some(spec.env.iter().map(|(key, value)| format!("{key}={value}")).collect()),
            user: (spec.user != 0).then(|| spec.user.to_string()),
            host_config: Some(host_config),
            ..Default::default()
        }
    }

    pub(super) async fn start(&self, slot: &Slot) -> Result<Container, EngineError> {
        let container = self.create(slot, During::Start).await?;
        let what = format!("start container {}", slot.spec.name);
        match self.call(During::Start, &what, self.docker().start_container(&container.id, None)).await {
            Ok(()) => Ok(container),
            Err(e) => {
                self.remove_only(&container).await;
                Err(e)
            }
        }
    }

    /// After an error, which stays the one that is reported.
    pub(super) async fn remove_only(&self, container: &Container) {
        let _ = self.force_away(&container.id, &container.slot.spec.name).await;
    }

    /// Ends a container at once and removes it; gone already is no error. dockerd sends SIGKILL before it thaws a frozen
    /// one, so that never runs again.
    async fn force_away(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
        let what = format!("remove container {name}");
        let removed = async { self.docker().remove_container(id, Some(options)).await.or_else(gone_is_done) };
        self.call(During::Control, &what, removed).await
    }

    pub(super) async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        let name = &container.slot.spec.name;
        self.force_away(&container.id, name).await?;
        self.lock(&self.frozen).remove(&container.id);
        self.lock(&self.turns).remove(&container.id);
        for kind in ["conf", "log"] {
            let _ = std::fs::remove_file(self.host(criu_file(name, kind)));
        }
        self.discard(&container.slot).await
    }

    pub(super) async fn discard(&self, slot: &Slot) -> Result<(), EngineError> {
        let name = &slot.spec.name;
        self.force_away(&slot.handle, &holder(name)).await?;
        network::disconnect(&self.node, &netns(name), slot.address, super::client::LIMIT).await?;
        self.give_back(slot.address, name);
        Ok(())
    }
}

/// The name of a container's holder.
fn holder(name: &str) -> String {
    format!("{name}.network")
}

/// The name of its network namespace in the node.
pub(super) fn netns(name: &str) -> String {
    format!("{}{name}", super::NETNS)
}

/// CRIU's options for a container (`conf`), or its log.
pub(super) fn criu_file(name: &str, kind: &str) -> PathBuf {
    Path::new(config::CRIU).join(format!("{name}.{kind}"))
}

fn mount(mount: &crate::engine::Mount) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(mount.source.to_string_lossy().into_owned()),
        target: Some(mount.target.to_string_lossy().into_owned()),
        ..Default::default()
    }
}

/// What is not there need not be removed.
fn gone_is_done<T: Default>(error: Error) -> Result<T, Error> {
    match error {
        Error::DockerResponseServerError { status_code: 404, .. } => Ok(T::default()),
        other => Err(other),
    }
}
