//! The pods' network of nodes that are given none by who makes their cluster: a link for each pod, and a route for each other
//! node's range.

use crate::node::{Guest, Node};
use crate::process::Exec;
use crate::record::{Chain, Failure};
use serde_json::json;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

/// A node of a cluster, as it was made.
pub(super) struct Link {
    pub(super) node: Arc<Guest>,
    pub(super) known_as: String,
    pub(super) address: Ipv4Addr,
    /// Its pods' addresses: `10.244.1.0/24`.
    pub(super) range: String,
}

/// Where containerd looks for it.
const CONFLIST: &str = "/etc/cni/net.d/10-podferry.conflist";

/// What the plugins are told. Pure.
fn conflist(range: &str) -> String {
    let config = json!({
        "cniVersion": "1.0.0",
        "name": "podferry",
        "plugins": [
            {"type": "ptp", "ipMasq": false, "ipam": {
                "type": "host-local",
                "dataDir": "/run/cni-ipam-state",
                "ranges": [[{"subnet": range}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            }},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    format!("{config:#}\n")
}

/// Gives all nodes their network. A node is ready only then.
pub(super) async fn connect(links: &[Link]) -> Result<(), Failure> {
    for Link { node, known_as, range, .. } in links {
        let path = node.host_path(Path::new(CONFLIST));
        std::fs::write(&path, conflist(range))
            .map_err(|e| Failure::surroundings(format!("can't write {CONFLIST} on node {}: {e}", node.name())))?;
        for other in links.iter().filter(|other| other.known_as != *known_as) {
            let via = other.address.to_string();
            let route = Exec::new("ip").args(["route", "replace", &other.range, "via", &via]);
            node.run(route).await.map_err(|e| Failure::surroundings(Chain(&e).to_string()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_plugins_are_told_the_nodes_range() {
        insta::assert_snapshot!(super::conflist("10.244.1.0/24"));
    }
}
