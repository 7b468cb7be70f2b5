//! A cluster that somebody else made, by its kubeconfig.

use super::control_plane::Ends;
use super::relay::Relay;
use super::{Api, Cluster, failure, rbac, wait_for, write_secret};
use crate::node::SharedNode;
use crate::record::Failure;
use k8s_openapi::api::core::v1::Node;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// kind does not wait for its workers.
const RANGE_LIMIT: Duration = Duration::from_secs(60);

impl Cluster {
    /// Attaches to the cluster of a node that has its control plane, as the administrator whose kubeconfig is in the node at
    /// `admin`. podferry's namespace, and rights for it, are made there; what it does it does with these rights, which the
    /// administrator lends it (`Impersonate-User`). A kubeconfig for the user is written to `kubeconfig`.
    ///
    /// # Errors
    /// There is no such kubeconfig, or the API server does not answer.
    pub async fn attach(
        node: SharedNode,
        api: SocketAddr,
        admin: &Path,
        kubeconfig: Option<&Path>,
    ) -> Result<Arc<Cluster>, Failure> {
        let cannot = format!("can't use the cluster of node {}", node.name());
        let path = node.host_path(admin);
        let mut config = Kubeconfig::read_from(&path).map_err(|e| failure(&cannot, &e))?;
        let relay = Relay::to(Arc::clone(&node), api).map_err(|e| failure("can't listen for the API server", &e))?;
        let url = format!("https://{}", relay.address());
        let clusters = config.clusters.iter_mut().filter_map(|named| named.cluster.as_mut());
        clusters.for_each(|cluster| {
            // The relay's own address is in no certificate; that of the node's loopback is.
            cluster.tls_server_name = Some(Ipv4Addr::LOCALHOST.to_string());
            cluster.server = Some(url.clone());
        });
        if let Some(path) = kubeconfig {
            let text = serde_json::to_string_pretty(&config).map_err(|e| failure(&cannot, &e))?;
            write_secret(path, &text).map_err(|e| failure(&format!("can't write {}", path.display()), &e))?;
        }
        let client = |as_user: Option<&str>| {
            let (config, as_user) = (config.clone(), as_user.map(str::to_owned));
            let cannot = cannot.clone();
            async move {
                let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
                let mut config = config.map_err(|e| failure(&cannot, &e))?;
                super::api::unlimited(&mut config);
                config.auth_info.impersonate = as_user;
                kube::Client::try_from(config).map_err(|e| failure(&cannot, &e))
            }
        };
        let (admin, own) = (client(None).await?, client(Some(rbac::USER)).await?);
        rbac::apply(&admin).await?;
        rbac::apply_kubeadm(&admin).await?;
        let ends = Ends::default();
        let (node, relay, namespace) = (Some(node), Some(relay), super::NAMESPACE.to_owned());
        Ok(Arc::new(Cluster { node, namespace, authority: None, admin, client: own, _ends: ends, _relay: relay }))
    }

    /// The range that a node's pods get their addresses from, as the controller manager gives it some time after the node's
    /// kubelet has come.
    ///
    /// # Errors
    /// The API server does not answer, or there is no such node, or it has none in time.
    pub async fn pods_of(&self, known_as: &str) -> Result<String, Failure> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let range = |node: Option<&Node>| Ok(node.and_then(|node| node.spec.as_ref()?.pod_cidr.clone()));
        let found = wait_for(&nodes, known_as, RANGE_LIMIT, range).await;
        found.map_err(|e| failure(&format!("can't find the range of node {known_as}'s pods"), &e))
    }
}
