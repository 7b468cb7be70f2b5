//! The gRPC connection to one containerd: CRI, and the two services of containerd's own that CRI has no word for.

use super::generated::containerd::services::diff::v1::diff_client::DiffClient;
use super::generated::containerd::services::snapshots::v1::snapshots_client::SnapshotsClient;
use super::generated::containerd::services::tasks::v1::tasks_client::TasksClient;
use super::generated::containerd::services::version::v1::version_client::VersionClient;
use super::generated::runtime::v1::image_service_client::ImageServiceClient;
use super::generated::runtime::v1::runtime_service_client::RuntimeServiceClient;
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};

/// A verbose status carries the whole OCI spec, a list all containers of the node.
const MESSAGE_LIMIT: usize = 64 << 20;

/// Names the containerd namespace of a call.
#[derive(Clone, Copy)]
pub(in crate::engine) struct InNamespace(&'static str);

impl Interceptor for InNamespace {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("containerd-namespace", MetadataValue::from_static(self.0));
        Ok(request)
    }
}

/// Clients over one connection. Cheap to clone. The connection is made by the first call, and made again by the next
/// call after it broke: a daemon that comes back needs no new client.
///
/// No call has a deadline here. A deadline that fires in `CheckpointContainer` cancels it inside containerd between
/// pause and resume, and the container stays frozen for ever (containerd 2.1.9).
#[derive(Clone)]
pub(in crate::engine) struct Client {
    pub(in crate::engine) runtime: RuntimeServiceClient<Channel>,
    pub(in crate::engine) images: ImageServiceClient<Channel>,
    pub(in crate::engine) tasks: TasksClient<InterceptedService<Channel, InNamespace>>,
    pub(in crate::engine) version: VersionClient<Channel>,
    pub(in crate::engine) snapshots: SnapshotsClient<InterceptedService<Channel, InNamespace>>,
    pub(in crate::engine) diff: DiffClient<InterceptedService<Channel, InNamespace>>,
}

impl Client {
    /// Clients of the socket at `socket` (a path on the host). containerd's own services are called in `namespace`.
    pub(in crate::engine) fn new(socket: &Path, namespace: &'static str) -> Self {
        let socket = PathBuf::from(socket);
        let connect = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { tokio::net::UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        // The address only fills the `:authority` header; the connector knows the way.
        let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(connect);
        let limit = MESSAGE_LIMIT;
        Client {
            runtime: RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(limit),
            images: ImageServiceClient::new(channel.clone()).max_decoding_message_size(limit),
            tasks: TasksClient::with_interceptor(channel.clone(), InNamespace(namespace))
                .max_decoding_message_size(limit),
            snapshots: SnapshotsClient::with_interceptor(channel.clone(), InNamespace(namespace)),
            diff: DiffClient::with_interceptor(channel.clone(), InNamespace(namespace)),
            version: VersionClient::new(channel),
        }
    }
}
