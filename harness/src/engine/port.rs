//! A container's port: the node's end of its cable. Moving an address from node to node goes by it, for every engine.
//!
//! What is sent to an address whose container is not there yet must not get there: the kernel would answer for it with a
//! reset, and the connection would be gone. Nor may it be thrown away: TCP sends it again after 200 ms at the earliest,
//! then after twice that, and so on. So it is held, in the queue that the kernel keeps for a neighbour whose hardware
//! address it does not know. The container's network does not say it while it is held, and the restored process does by
//! itself, with the first thing that it sends: CRIU ends the repair of a socket by a probe (criu 4.2.1, Linux 6.18).

use super::{Engine, EngineError, Slot};
use crate::node::SharedNode;
use crate::process::{Exec, ExecError};
use crate::record::{Chain, ErrorClass};
use serde::Deserialize;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The device inside of the container's network, for every engine.
const INSIDE: &str = "eth0";

/// How often the kernel asks for the hardware address, once a second, before it throws away what it holds.
const ASKED: u32 = 3600;

/// The kernel's own number.
const ASKED_BY_DEFAULT: u32 = 3;

/// What is held at most, in bytes of the kernel's memory: more than the receive window of a connection. The kernel's own
/// number is 208 KiB.
const HELD: u32 = 16 << 20;

/// Each takes milliseconds.
const LIMIT: Duration = Duration::from_secs(20);

/// A container's port.
#[derive(Clone)]
pub struct Port {
    node: SharedNode,
    /// The container's network namespace, by its path in the node.
    network: PathBuf,
    /// The node's end.
    device: String,
    /// Whether it is a port of a bridge: then the node has no route through it.
    bridged: bool,
    address: Ipv4Addr,
    /// The container's hardware address.
    mac: String,
}

/// What `ip -json link` says of a device.
#[derive(Deserialize)]
struct Device {
    ifindex: Option<u32>,
    ifname: String,
    /// The other end, in whatever namespace.
    link_index: Option<u32>,
    address: Option<String>,
    master: Option<String>,
}

impl Port {
    /// The port of a slot or of the container in it.
    ///
    /// # Errors
    /// The slot has no network, or the node does not answer.
    pub async fn of(engine: &Arc<dyn Engine>, slot: &Slot) -> Result<Port, EngineError> {
        let (node, network) = (Arc::clone(engine.node()), engine.network(&slot.spec.name).await?);
        let what = format!("can't find the port of container {}", slot.spec.name);
        let show = Exec::new("ip").args(["-json", "link", "show"]);
        let inside = devices(&node, &what, entered(&network, show.clone().args(["dev", INSIDE]))).await?;
        let all = devices(&node, &what, show).await?;
        let inside = inside.into_iter().next();
        let other = inside.as_ref().and_then(|d| d.link_index);
        let outside = all.into_iter().find(|d| d.ifindex.is_some() && d.ifindex == other);
        let (Some(outside), Some(mac)) = (outside, inside.and_then(|d| d.address)) else {
            let message = format!("{what}: its {INSIDE} has no other end on node {}", node.name());
            return Err(EngineError::new(ErrorClass::Surroundings, message));
        };
        let (device, bridged) = (outside.ifname, outside.master.is_some());
        Ok(Port { node, network, device, bridged, address: slot.address, mac })
    }

    /// The node that it is on.
    pub fn node(&self) -> &SharedNode {
        &self.node
    }

    /// The container's address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Nothing comes or goes any more, the kernel's own answers for the container's sockets and the end of its
    /// connections included. The container keeps its address and its routes.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn close(&self) -> Result<(), EngineError> {
        self.ip("close", format!("link set {} down\n", self.device)).await
    }

    /// Undoes [`Port::close`].
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn open(&self) -> Result<(), EngineError> {
        let Port { device, address, .. } = self;
        // The route through it went when it was closed.
        let route = if self.bridged { String::new() } else { format!("route replace {address}/32 dev {device}\n") };
        self.ip("open", format!("link set {device} up\n{route}")).await
    }

    /// Holds what is sent to the container until [`Port::release`], or until it sends something by itself.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn hold(&self) -> Result<(), EngineError> {
        let Port { device, .. } = self;
        // 8: no request is answered, for any address.
        self.set(true, vec![format!("net.ipv4.conf.{INSIDE}.arp_ignore=8")]).await?;
        let patience = format!("net.ipv4.neigh.{device}.mcast_solicit={ASKED}");
        self.set(false, vec![patience, format!("net.ipv4.neigh.{device}.unres_qlen_bytes={HELD}")]).await?;
        self.ip("hold", format!("neigh flush dev {device}\n")).await
    }

    /// Lets go what is held, and everything after it through.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn release(&self) -> Result<(), EngineError> {
        let Port { device, address, mac, .. } = self;
        self.ip("release", format!("neigh replace {address} lladdr {mac} dev {device} nud reachable\n")).await?;
        self.set(true, vec![format!("net.ipv4.conf.{INSIDE}.arp_ignore=0")]).await?;
        self.set(false, vec![format!("net.ipv4.neigh.{device}.mcast_solicit={ASKED_BY_DEFAULT}")]).await
    }

    async fn ip(&self, verb: &str, batch: String) -> Result<(), EngineError> {
        let what = format!("can't {verb} the port of {} on node {}", self.address, self.node.name());
        run(&self.node, &what, Exec::new("ip").args(["-batch", "-"]).stdin(batch)).await
    }

    async fn set(&self, inside: bool, settings: Vec<String>) -> Result<(), EngineError> {
        let what = format!("can't set up the port of {} on node {}", self.address, self.node.name());
        let exec = Exec::new("sysctl").args(["-q", "-w"]).args(settings);
        run(&self.node, &what, if inside { entered(&self.network, exec) } else { exec }).await
    }
}

/// The same in a network namespace of the node.
fn entered(network: &std::path::Path, exec: Exec) -> Exec {
    Exec { argv: Exec::new("nsenter").arg(format!("--net={}", network.display())).args(exec.argv).argv, ..exec }
}

async fn run(node: &SharedNode, what: &str, exec: Exec) -> Result<(), EngineError> {
    node.run(exec.timeout(LIMIT)).await.map(drop).map_err(|e| failed(what, &e))
}

async fn devices(node: &SharedNode, what: &str, exec: Exec) -> Result<Vec<Device>, EngineError> {
    let said = node.run(exec.timeout(LIMIT)).await.map_err(|e| failed(what, &e))?.text();
    serde_json::from_str(&said)
        .map_err(|e| EngineError::new(ErrorClass::Surroundings, format!("{what}: ip says no JSON: {e}")))
}

fn failed(what: &str, e: &ExecError) -> EngineError {
    EngineError::new(ErrorClass::Surroundings, format!("{what}: {}", Chain(e)))
}
