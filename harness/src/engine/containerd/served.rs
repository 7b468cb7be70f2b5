//! containerd as a server of CRI.

use super::Containerd;
use super::classify::During;
use super::generated::runtime::v1::image_service_client::ImageServiceClient;
use super::generated::runtime::v1::runtime_service_client::RuntimeServiceClient;
use crate::engine::EngineError;
use crate::engine::cri_api::Served;
use crate::node::SharedNode;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Response, Status};

impl Served for Containerd {
    fn on(&self) -> &SharedNode {
        &self.node
    }

    fn runtime_service(&self) -> RuntimeServiceClient<Channel> {
        self.client.runtime.clone()
    }

    fn image_service(&self) -> ImageServiceClient<Channel> {
        self.client.images.clone()
    }

    async fn answer<T: Send>(
        &self,
        during: During,
        what: &str,
        limit: Duration,
        call: impl Future<Output = Result<Response<T>, Status>> + Send,
    ) -> Result<T, EngineError> {
        self.call(during, what, limit, call).await
    }
}
