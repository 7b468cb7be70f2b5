//! A Kubernetes cluster on nodes of podferry's: etcd, the API server, the controller manager and the scheduler on a node of
//! their own, real programs all of them. The kubelets of the other nodes are the engine `kubelet`'s.
//!
//! Authorisation is by node and by role, as in any cluster, and podferry itself has no more rights than the manifest
//! `fixtures/kubernetes/rbac.json` gives it.

mod api;
mod attached;
mod control_plane;
mod existing;
mod kubeconfig;
mod kubelet;
mod pki;
mod pods;
mod rbac;
mod relay;

pub use api::{Api, wait_for};
pub use control_plane::PROGRAMS;
pub(crate) use existing::prompt_client_of;
pub use existing::{client_of, contexts};
pub use kubelet::{Kubelet, KubeletPlaces};
pub use pods::{ACCOUNT, running, warnings};

use crate::node::SharedNode;

use crate::record::Failure;
use control_plane::Ends;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, ListParams};
use pki::{Authority, Identity};
use relay::Relay;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The namespace that podferry's pods are in, in a cluster that was made for it.
pub const NAMESPACE: &str = "podferry";

/// Where containerds of podferry's clusters serve what they count, in the node: containerd's own default, and open to anybody
/// who reaches it.
pub const CONTAINERD_METRICS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1338);

/// Objects that are to go need their kubelet's, or a controller's, consent: seconds.
const GONE_LIMIT: Duration = Duration::from_secs(60);

/// A cluster that is up. One that podferry made ends with its node.
pub struct Cluster {
    /// The control plane's; `None`: it is out of reach.
    node: Option<SharedNode>,
    namespace: String,
    /// `None`: somebody else made the cluster, with its kubelets.
    authority: Option<Authority>,
    /// Who may do everything: for making the cluster, and for nothing else.
    admin: kube::Client,
    /// Who has the rights of the manifest.
    client: kube::Client,
    _ends: Ends,
    _relay: Option<Relay>,
}

impl Cluster {
    /// Starts a control plane on a node and waits until it serves. A kubeconfig for the user is written to `kubeconfig`, if
    /// that is given: it leads through a port of this machine's own loopback, for as long as the cluster is there.
    ///
    /// # Errors
    /// A program is not there or ends, with the end of its log; or the API server does not get ready.
    pub async fn up(node: SharedNode, kubeconfig: Option<&Path>) -> Result<Arc<Cluster>, Failure> {
        let authority = Authority::new().map_err(|e| failure("can't make the cluster's certificates", &e))?;
        let mut ends = Ends::default();
        control_plane::serve(&node, &authority, &mut ends).await?;
        let relay = Relay::to(Arc::clone(&node), control_plane::address(&node))
            .map_err(|e| failure("can't listen for the API server", &e))?;
        let url = format!("https://{}", relay.address());
        let client = |identity: &Identity| api::client(&url, None, &authority, identity);
        let issue = |name, group| {
            let issued = authority.issue(name, group, &[]);
            issued.map_err(|e| failure("can't make the cluster's certificates", &e))
        };
        let (admin, own) = (issue("podferry-admin", Some(pki::MASTERS))?, issue(rbac::USER, None)?);
        if let Some(path) = kubeconfig {
            let text = kubeconfig::text(&url, authority.certificate(), &admin);
            write_secret(path, &text).map_err(|e| failure(&format!("can't write {}", path.display()), &e))?;
        }
        let (admin, client) = (client(&admin)?, client(&own)?);
        control_plane::ready(&node, &admin, &ends).await?;
        rbac::apply(&admin).await?;
        control_plane::manage(&node, &authority, &mut ends).await?;
        let (node, namespace) = (Some(node), NAMESPACE.to_owned());
        let (authority, relay) = (Some(authority), Some(relay));
        Ok(Arc::new(Cluster { node, namespace, authority, admin, client, _ends: ends, _relay: relay }))
    }

    /// Whether podferry starts its kubelets.
    pub fn is_own(&self) -> bool {
        self.authority.is_some()
    }

    /// The API, with podferry's own rights.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// The version of the API server: `v1.36.3`.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn version(&self) -> Result<String, kube::Error> {
        Ok(self.client.apiserver_version().await?.git_version)
    }

    /// The node that the control plane is on; `None`: it is out of reach.
    pub fn node(&self) -> Option<&SharedNode> {
        self.node.as_ref()
    }

    /// The namespace that podferry's pods are in.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Removes what a cluster of podferry's knows of a node and of the pods on it: a node that was made anew has none of them.
    ///
    /// # Errors
    /// The API server does not answer, or the objects do not go.
    pub async fn forget(&self, name: &str) -> Result<(), Failure> {
        let what = format!("can't remove node {name} from the cluster");
        let nodes: Api<Node> = Api::all(self.admin.clone());
        let pods: Api<Pod> = Api::all(self.admin.clone());
        let here = ListParams::default().fields(&format!("spec.nodeName={name}"));
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        let listed = pods.list(&here).await.map_err(|e| failure(&what, &e))?;
        for pod in listed {
            let (name, namespace) = (pod.metadata.name.unwrap_or_default(), pod.metadata.namespace.unwrap_or_default());
            let pods: Api<Pod> = Api::namespaced(self.admin.clone(), &namespace);
            api::gone_is_fine(pods.delete(&name, &at_once).await).map_err(|e| failure(&what, &e))?;
        }
        api::gone_is_fine(nodes.delete(name, &DeleteParams::default()).await).map_err(|e| failure(&what, &e))?;
        let gone = wait_for(&nodes, name, GONE_LIMIT, |node| Ok(node.is_none().then_some(())));
        gone.await.map_err(|e| failure(&what, &e))
    }

    /// Waits until the scheduler may give pods to a node: it is ready, and the controller manager has taken its taints away.
    ///
    /// # Errors
    /// It does not get ready in time; its conditions are in the error.
    pub async fn await_ready(&self, name: &str, limit: Duration) -> Result<(), Failure> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let ready = wait_for(&nodes, name, limit, |node| Ok(node.is_some_and(kubelet::is_ready).then_some(())));
        let Err(error) = ready.await else { return Ok(()) };
        let mut failure = failure(&format!("node {name} does not become ready"), &error);
        if let Ok(node) = nodes.get(name).await {
            failure.log = kubelet::conditions(&node);
        }
        Err(failure)
    }

    /// Whether the kubelet of a node takes connections.
    pub async fn serves(&self, node: &SharedNode) -> bool {
        let Some(from) = self.node.clone() else { return false };
        let to = (node.address(), kubelet::PORT).into();
        let connected = tokio::task::spawn_blocking(move || from.connect(to, relay::CONNECT));
        connected.await.is_ok_and(|connected| connected.is_ok())
    }

    /// What a kubelet needs to join.
    ///
    /// # Errors
    /// Its certificates can't be made.
    pub fn kubelet(&self, node: &SharedNode, places: KubeletPlaces) -> Result<Kubelet, Failure> {
        let issued = Kubelet::new(node, self.authority()?, &control_plane::url(self.reachable()?), places);
        issued.map_err(|e| failure(&format!("can't make the certificates of node {}", node.name()), &e))
    }

    fn reachable(&self) -> Result<&SharedNode, Failure> {
        self.node.as_ref().ok_or_else(|| Failure::surroundings("the control plane's node is out of reach".to_owned()))
    }

    fn authority(&self) -> Result<&Authority, Failure> {
        let foreign =
            || Failure::surroundings("podferry has no authority in a cluster that it has not made".to_owned());
        self.authority.as_ref().ok_or_else(foreign)
    }

    /// A way to a kubelet's own port, by podferry's own certificate: without the API server between.
    ///
    /// # Errors
    /// No port can be listened on.
    pub fn direct(&self, node: &SharedNode) -> Result<Direct, Failure> {
        let to = (node.address(), kubelet::PORT).into();
        let relay =
            Relay::to(Arc::clone(self.reachable()?), to).map_err(|e| failure("can't listen for a kubelet", &e))?;
        let own = self.authority()?.issue(rbac::USER, None, &[]);
        let own = own.map_err(|e| failure("can't make a certificate", &e))?;
        let url = format!("https://{}", relay.address());
        let client = api::client(&url, Some(node.address().to_string()), self.authority()?, &own)?;
        Ok(Direct { client, _relay: relay })
    }
}

/// A client of one kubelet.
pub struct Direct {
    /// Sends requests to it.
    pub client: kube::Client,
    _relay: Relay,
}

/// A file that only its owner reads, whole or not at all.
pub(crate) fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map(drop).map_err(|e| e.error)
}

fn failure(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::surroundings(format!("{what}: {}", crate::record::Chain(error)))
}
