//! A sandbox with an address of another node. CRI has no word for that: the address comes from the network's
//! configuration, which containerd reads whenever it changes.

use super::generated::runtime::v1::StatusRequest;
use super::{Inner, config};
use crate::engine::EngineError;
use crate::engine::cni;
use crate::engine::containerd::classify::During;
use crate::engine::cri_api::LIMIT;
use crate::record::ErrorClass;
use std::net::Ipv4Addr;
use std::time::Duration;

/// containerd looks at the folder by inotify, and reads within a millisecond or two.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// containerd tells of no event of its own when it has read.
const LOOK: Duration = Duration::from_millis(1);

impl Inner {
    /// Makes a sandbox while the only address that the pods' network gives is this one.
    pub(super) async fn with_address<T>(
        &self,
        address: Ipv4Addr,
        made: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let _alone = self.addressing.write().await;
        let changed = self.network_is(&cni::one_pod(&self.places.in_home("addresses"), address)).await;
        let made = match changed {
            Ok(()) => made.await,
            Err(e) => Err(e),
        };
        // Pods are removed by what the network is then; by name and id, so that any will do.
        let back =
            self.network_is(&cni::pods(&self.places.in_home("addresses"), self.kind, self.node.pod_network())).await;
        made.and_then(|made| back.map(|()| made))
    }

    /// Writes the network's configuration, and waits until containerd has read it.
    async fn network_is(&self, text: &str) -> Result<(), EngineError> {
        let path = self.host(self.places.in_home(config::CNI));
        // Whole or not at all: containerd may read at any time. It reads no file of another ending.
        let new = path.with_extension("new");
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &path));
        written.map_err(|e| self.surroundings("write the pods' network", e))?;
        let read = async {
            while !self.network_read(text).await? {
                tokio::time::sleep(LOOK).await;
            }
            Ok(())
        };
        tokio::time::timeout(READ_LIMIT, read).await.unwrap_or_else(|_| {
            let node = self.node.name();
            let message = format!("containerd on node {node} did not read its changed network within {READ_LIMIT:?}");
            Err(EngineError::new(ErrorClass::Timeout, message))
        })
    }

    async fn network_read(&self, text: &str) -> Result<bool, EngineError> {
        let mut runtime = self.client.runtime.clone();
        let request = StatusRequest { verbose: true };
        let said = self.call(During::Control, "ask for the network", LIMIT, runtime.status(request)).await?;
        // `cniconfig` is what was read last, with its source as text.
        let read: Option<serde_json::Value> = said.info.get("cniconfig").and_then(|c| serde_json::from_str(c).ok());
        let networks = read.as_ref().and_then(|c| c["Networks"].as_array());
        let sources = networks.into_iter().flatten().filter_map(|n| n["Config"]["Source"].as_str());
        Ok(sources.into_iter().any(|source| source == text))
    }
}
