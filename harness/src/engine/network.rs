//! A container's network: a namespace with one veth, routed by its own address. No bridge: a bridge with the gateway's
//! address would meet the one that CNI makes for containerd's pods on the same node.

use super::EngineError;
use crate::node::SharedNode;
use crate::process::{Exec, ExecError};
use crate::record::{Chain, EngineKind, ErrorClass};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What containers take for their gateway: each veth's end in the node has it, and answers for it.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// The last octets of the addresses that an engine gives to containers, in the /24 of a node's pods. Each engine has its
/// own part, so that several can be on one node; the first address is the gateway's.
pub(super) fn octets(kind: EngineKind) -> RangeInclusive<u8> {
    let each = LAST_OCTET / u8::try_from(EngineKind::ALL.len()).unwrap_or(LAST_OCTET);
    let at = EngineKind::ALL.iter().position(|k| *k == kind).unwrap_or_default();
    let first = 2 + each * u8::try_from(at).unwrap_or_default();
    first..=first + each - 1
}

const LAST_OCTET: u8 = 253;

/// Addresses that an engine has given to its containers, by their last octet.
#[derive(Debug)]
pub(super) struct Addresses {
    all: RangeInclusive<u8>,
    next: u8,
    /// By whom. A container that a restart of its node has ended is removed when its address is another's already.
    taken: BTreeMap<u8, String>,
}

impl Addresses {
    pub(super) fn of(kind: EngineKind) -> Self {
        let all = octets(kind);
        Addresses { next: *all.start(), all, taken: BTreeMap::new() }
    }

    /// One that is free, and not the one that was freed last: neighbours may still remember that.
    fn take(&mut self, name: &str) -> Option<u8> {
        let (first, last) = (*self.all.start(), *self.all.end());
        let all = (self.next..=last).chain(first..self.next);
        let free = all.into_iter().find(|octet| !self.taken.contains_key(octet))?;
        self.taken.insert(free, name.to_owned());
        self.next = if free == last { first } else { free + 1 };
        Some(free)
    }

    /// This one, if nobody here has it.
    fn claim(&mut self, octet: u8, name: &str) -> bool {
        let free = !self.taken.contains_key(&octet);
        if free {
            self.taken.insert(octet, name.to_owned());
        }
        free
    }

    /// To be called when the container is gone; an address of another node's network was never this one's to give.
    pub(super) fn take_back(&mut self, node: &SharedNode, was: Ipv4Addr, name: &str) {
        let octet = was.octets()[3];
        if was == address(node.pod_network(), octet) {
            self.free(octet, name);
        }
    }

    /// Only by the one that has it.
    pub(super) fn free(&mut self, octet: u8, name: &str) {
        if self.taken.get(&octet).is_some_and(|owner| owner == name) {
            self.taken.remove(&octet);
        }
    }
}

/// An address for a container: `at`, which may be of another node's network, or one that is free.
pub(super) fn choose(
    addresses: &Mutex<Addresses>,
    node: &SharedNode,
    name: &str,
    at: Option<Ipv4Addr>,
) -> Result<Ipv4Addr, EngineError> {
    let none = |why: String| EngineError::new(ErrorClass::Surroundings, why);
    let here = |octet| address(node.pod_network(), octet);
    let mut addresses = addresses.lock().unwrap_or_else(PoisonError::into_inner);
    match at {
        None => {
            let octet = addresses.take(name);
            octet.map(here).ok_or_else(|| none(format!("node {} has no address left", node.name())))
        }
        Some(at) if at == here(at.octets()[3]) && !addresses.claim(at.octets()[3], name) => {
            Err(none(format!("another container of node {} has the address {at}", node.name())))
        }
        Some(at) => Ok(at),
    }
}

/// The address with this last octet in a /24.
pub(super) fn address(network: Ipv4Addr, octet: u8) -> Ipv4Addr {
    let [a, b, c, _] = network.octets();
    Ipv4Addr::new(a, b, c, octet)
}

/// Makes a network namespace with a route to its address.
pub(super) async fn connect(
    node: &SharedNode,
    netns: &str,
    address: Ipv4Addr,
    limit: Duration,
) -> Result<(), EngineError> {
    equip(node, netns, &format!("netns add {netns}"), address, limit).await
}

/// Gives the namespace that a process is in a name and a route to its address.
pub(super) async fn adopt(
    node: &SharedNode,
    netns: &str,
    pid: u32,
    address: Ipv4Addr,
    limit: Duration,
) -> Result<(), EngineError> {
    equip(node, netns, &format!("netns attach {netns} {pid}"), address, limit).await
}

async fn equip(
    node: &SharedNode,
    netns: &str,
    made_by: &str,
    address: Ipv4Addr,
    limit: Duration,
) -> Result<(), EngineError> {
    let node_side = format!("{made_by}\n{}", node_side(netns, address));
    let node_side = Exec::new("ip").args(["-batch", "-"]).stdin(node_side);
    let inside = Exec::new("ip").args(["-n", netns, "-batch", "-"]).stdin(container_side(address));
    for step in [node_side, inside] {
        node.run(step.timeout(limit)).await.map_err(|e| failed(&format!("can't make the network of {netns}"), &e))?;
    }
    Ok(())
}

/// Removes it; gone already is no error. The cable goes by itself, too: with its namespace the kernel takes it away some
/// time later, and its address may come back.
pub(super) async fn disconnect(
    node: &SharedNode,
    netns: &str,
    address: Ipv4Addr,
    limit: Duration,
) -> Result<(), EngineError> {
    let what = format!("can't remove the network of {netns}");
    let cable = Exec::new("ip").args(["link", "del", &veth(address)]);
    let netns = Exec::new("ip").args(["netns", "del", netns]);
    for (delete, done) in [(cable, "Cannot find device"), (netns, "No such file")] {
        let output = node.output(delete.timeout(limit)).await.map_err(|e| failed(&what, &e))?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.code != 0 && !said.contains(done) {
            return Err(EngineError::new(ErrorClass::Surroundings, format!("{what}: {said}")));
        }
    }
    Ok(())
}

fn failed(what: &str, e: &ExecError) -> EngineError {
    let class = match e {
        ExecError::Timeout { .. } => ErrorClass::Timeout,
        _ => ErrorClass::Surroundings,
    };
    EngineError::new(class, format!("{what}: {}", Chain(e)))
}

/// For `ip -batch -`, in the node.
fn node_side(netns: &str, address: Ipv4Addr) -> String {
    let veth = veth(address);
    format!(
        "link add {veth} type veth peer name eth0 netns {netns}\n\
         addr add {GATEWAY}/32 dev {veth}\nlink set {veth} up\nroute add {address}/32 dev {veth}\n"
    )
}

/// For `ip -n NETNS -batch -`.
fn container_side(address: Ipv4Addr) -> String {
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
        let all = octets(EngineKind::Runc);
        let first = a.take("x").unwrap();
        a.free(first, "x");
        assert_ne!(a.take("x").unwrap(), first, "what was just freed is not given at once");
        let rest: Vec<u8> = std::iter::from_fn(|| a.take("x")).collect();
        assert_eq!(rest.len(), all.len() - 1);
        assert_eq!(a.take("y"), None);
        let one = *all.start() + 1;
        a.free(one, "y");
        assert_eq!(a.take("y"), None, "it is not y's to give back");
        a.free(one, "x");
        assert_eq!(a.take("y"), Some(one));
    }

    #[test]
    fn engines_on_one_node_never_meet() {
        let all: Vec<u8> = EngineKind::ALL.iter().flat_map(|kind| octets(*kind)).collect();
        let unlike: BTreeSet<u8> = all.iter().copied().collect();
        assert_eq!(all.len(), unlike.len());
        assert!(!unlike.contains(&1) && !unlike.contains(&255) && all.len() >= 20 * EngineKind::ALL.len());
    }
}
