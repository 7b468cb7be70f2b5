//! Calls that are the same for every server.

use super::{During, short, v1 as cri};
use crate::engine::{EngineError, Slot};
use crate::node::SharedNode;
use crate::record::ErrorClass;
use cri::image_service_client::ImageServiceClient;
use cri::runtime_service_client::RuntimeServiceClient;
use std::net::Ipv4Addr;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Response, Status};

/// A pull of a big image on a busy machine.
const PULL_LIMIT: Duration = Duration::from_secs(300);
/// Everything else: 0.05-0.4 s on an idle machine.
pub(in crate::engine) const LIMIT: Duration = Duration::from_secs(120);

/// A server of CRI in a node, with what its words mean.
pub(in crate::engine) trait Served: Sync {
    /// The node that it is on.
    fn on(&self) -> &SharedNode;

    /// Its service of pods and containers.
    fn runtime_service(&self) -> RuntimeServiceClient<Channel>;

    /// Its service of images.
    fn image_service(&self) -> ImageServiceClient<Channel>;

    /// Waits for a call that may be given up, and gives its error a class.
    fn answer<T: Send>(
        &self,
        during: During,
        what: &str,
        limit: Duration,
        call: impl Future<Output = Result<Response<T>, Status>> + Send,
    ) -> impl Future<Output = Result<T, EngineError>> + Send;

    /// Pulls an image by its reference, from the registry that it names. Never `ctr images import`: an image without a
    /// digest under its name cannot be restored from (`invalid port ... after host`).
    async fn pull(&self, reference: &str, during: During) -> Result<(), EngineError> {
        let spec = cri::ImageSpec { image: reference.to_owned(), ..Default::default() };
        let mut images = self.image_service();
        let what = format!("look for image {reference}");
        let request = cri::ImageStatusRequest { image: Some(spec.clone()), verbose: false };
        if self.answer(during, &what, LIMIT, images.image_status(request)).await?.image.is_some() {
            return Ok(());
        }
        let request = cri::PullImageRequest { image: Some(spec), ..Default::default() };
        let what = format!("pull image {reference}");
        self.answer(during, &what, PULL_LIMIT, images.pull_image(request)).await.map(drop)
    }

    /// Removes an image by its reference. CRI: gone already is no error.
    async fn forget_image(&self, reference: &str) -> Result<(), EngineError> {
        let spec = cri::ImageSpec { image: reference.to_owned(), ..Default::default() };
        let mut images = self.image_service();
        let request = cri::RemoveImageRequest { image: Some(spec) };
        let what = format!("remove image {reference}");
        self.answer(During::Control, &what, LIMIT, images.remove_image(request)).await.map(drop)
    }

    /// The address of a sandbox; `name` is of the container that is to live there.
    async fn sandbox_address(&self, name: &str, id: &str) -> Result<Ipv4Addr, EngineError> {
        let request = cri::PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: false };
        let mut runtime = self.runtime_service();
        let what = format!("ask for the address of container {name}");
        let answer = self.answer(During::Start, &what, LIMIT, runtime.pod_sandbox_status(request)).await?;
        let ip = answer.status.and_then(|s| s.network).unwrap_or_default().ip;
        ip.parse().map_err(|_| {
            let message = format!("can't {what} on node {}: it says `{ip}`", self.on().name());
            EngineError::new(ErrorClass::Surroundings, message)
        })
    }

    /// Removes what containers a slot holds: after an error, which stays the one that is reported.
    async fn clear_slot(&self, slot: &Slot) {
        let filter = cri::ContainerFilter { pod_sandbox_id: slot.handle.clone(), ..Default::default() };
        let mut runtime = self.runtime_service();
        let request = cri::ListContainersRequest { filter: Some(filter) };
        let Ok(list) = self.answer(During::Control, "list containers", LIMIT, runtime.list_containers(request)).await
        else {
            return;
        };
        for container in list.containers {
            let stop = cri::StopContainerRequest { container_id: container.id.clone(), timeout: 0 };
            let remove = cri::RemoveContainerRequest { container_id: container.id };
            let _ = self.answer(During::Control, "stop", LIMIT, runtime.stop_container(stop)).await;
            let _ = self.answer(During::Control, "remove", LIMIT, runtime.remove_container(remove)).await;
        }
    }

    /// The containers and sandboxes that it has, for the leak check.
    async fn listed(&self) -> Result<Vec<String>, EngineError> {
        let mut runtime = self.runtime_service();
        let list = runtime.list_containers(cri::ListContainersRequest::default());
        let containers = self.answer(During::Control, "list containers", LIMIT, list).await?.containers;
        let mut runtime = self.runtime_service();
        let list = runtime.list_pod_sandbox(cri::ListPodSandboxRequest::default());
        let sandboxes = self.answer(During::Control, "list sandboxes", LIMIT, list).await?.items;
        let named = |what: &str, name: String, id: &str| format!("{what} {name} ({})", short(id));
        let containers = containers.into_iter().map(|c| named("container", c.metadata.unwrap_or_default().name, &c.id));
        let sandboxes = sandboxes.into_iter().map(|s| named("sandbox", s.metadata.unwrap_or_default().name, &s.id));
        Ok(containers.chain(sandboxes).collect())
    }
}
