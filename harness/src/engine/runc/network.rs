//! A container's network: a namespace with one veth, routed by its own address. No bridge: a bridge with the gateway's
//! address would meet the one that CNI makes for containerd's pods on the same node.

use crate::record::EngineKind;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// What containers take for their gateway: each veth's end in the node has it, and answers for it.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// The addresses that an engine gives to containers, by their last octet. CNI's `host-local` counts up from 2, so these
/// lie at the top of the network; runc and crun on one node have ranges of their own.
#[derive(Debug)]
pub(super) struct Addresses {
    first: u8,
    last: u8,
    next: u8,
    /// By whom. A container that a restart of its node has ended is removed when its address is another's already.
    taken: BTreeMap<u8, String>,
}

impl Addresses {
    pub(super) fn of(kind: EngineKind) -> Self {
        let (first, last) = if kind == EngineKind::Crun { (208, 254) } else { (160, 207) };
        Addresses { first, last, next: first, taken: BTreeMap::new() }
    }

    /// One that is free, and not the one that was freed last: neighbours may still remember that.
    pub(super) fn take(&mut self, name: &str) -> Option<u8> {
        let all = (self.next..=self.last).chain(self.first..self.next);
        let free = all.into_iter().find(|octet| !self.taken.contains_key(octet))?;
        self.taken.insert(free, name.to_owned());
        self.next = if free == self.last { self.first } else { free + 1 };
        Some(free)
    }

    /// This one, if nobody here has it.
    pub(super) fn claim(&mut self, octet: u8, name: &str) -> bool {
        let free = !self.taken.contains_key(&octet);
        if free {
            self.taken.insert(octet, name.to_owned());
        }
        free
    }

    /// Only by the one that has it.
    pub(super) fn free(&mut self, octet: u8, name: &str) {
        if self.taken.get(&octet).is_some_and(|owner| owner == name) {
            self.taken.remove(&octet);
        }
    }
}

/// The address with this last octet in a /24.
pub(super) fn address(network: Ipv4Addr, octet: u8) -> Ipv4Addr {
    let [a, b, c, _] = network.octets();
    Ipv4Addr::new(a, b, c, octet)
}

/// For `ip -batch -`, in the node.
pub(super) fn node_side(netns: &str, address: Ipv4Addr) -> String {
    let veth = veth(address);
    format!(
        "netns add {netns}\nlink add {veth} type veth peer name eth0 netns {netns}\n\
         addr add {GATEWAY}/32 dev {veth}\nlink set {veth} up\nroute add {address}/32 dev {veth}\n"
    )
}

/// For `ip -n NETNS -batch -`.
pub(super) fn container_side(address: Ipv4Addr) -> String {
    format!(
        "link set lo up\naddr add {address}/32 dev eth0\nlink set eth0 up\n\
         route add {GATEWAY}/32 dev eth0 scope link\nroute add default via {GATEWAY} dev eth0\n"
    )
}

/// The veth's name in the node; at most 15 characters are allowed. The address may be of another node's network.
pub(super) fn veth(address: Ipv4Addr) -> String {
    let [.., network, octet] = address.octets();
    format!("pf{network}-{octet}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn addresses_go_round_and_run_out() {
        let mut a = Addresses::of(EngineKind::Runc);
        let first = a.take("x").unwrap();
        a.free(first, "x");
        assert_ne!(a.take("x").unwrap(), first, "what was just freed is not given at once");
        let all: Vec<u8> = std::iter::from_fn(|| a.take("x")).collect();
        assert_eq!(all.len(), 47);
        assert_eq!(a.take("y"), None);
        a.free(170, "y");
        assert_eq!(a.take("y"), None, "it is not y's to give back");
        a.free(170, "x");
        assert_eq!(a.take("y"), Some(170));
    }

    #[test]
    fn the_two_runtimes_never_meet() {
        let of = |kind| -> BTreeSet<u8> {
            let mut a = Addresses::of(kind);
            std::iter::from_fn(move || a.take("x")).collect()
        };
        assert!(of(EngineKind::Runc).is_disjoint(&of(EngineKind::Crun)));
    }
}
