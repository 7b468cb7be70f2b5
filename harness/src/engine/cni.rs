//! The networks of pods, as the Container Network Interface (CNI 1.0) has them. Pure.

use super::network;
use crate::record::EngineKind;
use serde_json::json;
use std::net::Ipv4Addr;

/// The pods' network: a bridge in the node with the first address of its /24; or, where another engine has the bridge, a
/// pair of veths for each pod with a route to its address. No masquerading: every node routes to the
/// others' pods, so clients see the pod's own address, and nothing depends on iptables. `addresses`: the folder where it is
/// written down which are in use.
pub(super) fn pods(addresses: &str, kind: EngineKind, pods: Ipv4Addr) -> String {
    let octets = network::octets(kind);
    let mut plugin = match kind {
        EngineKind::Cri => json!({ "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false }),
        _ => json!({ "type": "ptp", "ipMasq": false }),
    };
    plugin["ipam"] = json!({
        "type": "host-local",
        "dataDir": addresses,
        "ranges": [[{
            "subnet": format!("{pods}/24"),
            "rangeStart": network::address(pods, *octets.start()),
            "rangeEnd": network::address(pods, *octets.end()),
        }]],
        "routes": [{ "dst": "0.0.0.0/0" }],
    });
    let conf = json!({ "cniVersion": "1.0.0", "name": "podferry", "plugins": [plugin] });
    format!("{conf:#}\n")
}

/// The pods' network while a sandbox is made that gets an address of another node: a cable of its own, with a route to it,
/// so that it takes nothing of that node's network along. By the same name as [`pods`], under which it is removed.
pub(super) fn one_pod(addresses: &str, address: Ipv4Addr) -> String {
    let [a, b, c, _] = address.octets();
    let range = json!({
        "subnet": format!("{a}.{b}.{c}.0/24"),
        "rangeStart": address,
        "rangeEnd": address,
        "gateway": format!("{a}.{b}.{c}.1"),
    });
    let conf = json!({
        "cniVersion": "1.0.0",
        "name": "podferry",
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": addresses,
                "ranges": [[range]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }],
    });
    format!("{conf:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: &str = "/run/podferry-cri/addresses";

    #[test]
    fn pod_network() {
        insta::assert_snapshot!(pods(ADDRESSES, EngineKind::Cri, Ipv4Addr::new(10, 99, 2, 0)));
    }

    #[test]
    fn pod_network_of_one_address() {
        insta::assert_snapshot!(one_pod(ADDRESSES, Ipv4Addr::new(10, 99, 3, 7)));
    }
}
