//! The network and the shared folder of a run: one network namespace with a bridge, and one mount namespace with a
//! tmpfs. Both are anonymous, held by file descriptors of the harness alone, so they are gone when it is.

use super::Link;
use crate::client::Vantage;
use crate::process::{Exec, output_here};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use rustix::mount::{OpenTreeFlags, open_tree};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Nobody else sees these addresses, so every run uses the same. 10.99.0.0/24 is the nodes', 10.99.n.0/24 node n's pods'.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// The first and the last number that a node can have.
pub(crate) const NUMBERS: std::ops::RangeInclusive<u8> = 2..=254;

/// The address of node `n`.
pub(crate) fn address(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, 0, n)
}

/// The /24 of node `n`'s pods.
pub(crate) fn pod_network(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, n, 0)
}

/// The surroundings of a run's nodes.
#[derive(Debug)]
pub(crate) struct Fabric {
    net: Arc<File>,
    mnt: File,
}

impl Fabric {
    pub(crate) fn new() -> io::Result<Fabric> {
        on_own_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
            let fabric = Fabric {
                net: Arc::new(File::open("/proc/thread-self/ns/net")?),
                mnt: File::open("/proc/thread-self/ns/mnt")?,
            };
            // The files of /proc/sys/net are those of the network namespace of whoever opens them.
            fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
            // Nodes reach each other's pods through here; they need not be told that there is a shorter way.
            fs::write("/proc/sys/net/ipv4/conf/all/send_redirects", "0")?;
            fs::write("/proc/sys/net/ipv4/conf/default/send_redirects", "0")?;
            ip(
                &format!("link set lo up\nlink add br0 type bridge\naddr add {GATEWAY}/24 dev br0\nlink set br0 up\n"),
                &[],
            )?;
            only_a_tmpfs()?;
            Ok(fabric)
        })
    }

    /// Where clients stand.
    pub(crate) fn vantage(&self) -> Vantage {
        let net = self.net.clone();
        Arc::new(move || Ok(setns(&*net, CloneFlags::CLONE_NEWNET)?))
    }

    /// Another mount of the shared tmpfs, to be attached by whoever gets it.
    pub(crate) fn shared(&self) -> io::Result<OwnedFd> {
        on_own_thread(|| {
            // A thread that shares its root and working directory with others can't change its mount namespace.
            unshare(CloneFlags::CLONE_FS)?;
            setns(&self.mnt, CloneFlags::CLONE_NEWNS)?;
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            Ok(open_tree(rustix::fs::CWD, "/", flags)?)
        })
    }

    /// The cable of node `n`.
    pub(crate) fn cable(&self, n: u8) -> Cable {
        Cable { fabric: Arc::clone(&self.net), number: n }
    }

    /// Plugs node `n` in: `net` is its network namespace, `pid` (on the host) a process that is in it.
    pub(crate) fn plug(&self, n: u8, pid: u32, net: &File) -> io::Result<()> {
        let (address, pods) = (address(n), pod_network(n));
        // A fixed address on the link: when a node is made again, its neighbours' memory of it stays right.
        let mac = format!("02:00:0a:63:00:{n:02x}");
        on_own_thread(|| {
            setns(&*self.net, CloneFlags::CLONE_NEWNET)?;
            let mut fabric = format!("link add v{n} master br0 type veth peer name eth0 address {mac} netns {pid}\n");
            let _ = writeln!(fabric, "link set v{n} up\nroute replace {pods}/24 via {address}");
            ip(&fabric, &[])?;
            setns(net, CloneFlags::CLONE_NEWNET)?;
            let inside = format!("addr add {address}/24 dev eth0\nlink set eth0 up\nroute add default via {GATEWAY}\n");
            ip(&format!("link set lo up\n{inside}"), &[])
        })
    }

    /// Unplugs node `n`. Its end of the cable may live on in a socket that somebody holds: it is cut here.
    pub(crate) fn unplug(&self, n: u8) -> io::Result<()> {
        on_own_thread(|| {
            setns(&*self.net, CloneFlags::CLONE_NEWNET)?;
            let cut = ip(&format!("route del {}/24\nlink del v{n}\n", pod_network(n)), &["-force"]);
            // The kernel may have been faster with either: what counts is that the cable is gone.
            if fs::exists(format!("/proc/sys/net/ipv4/conf/v{n}"))? { cut } else { Ok(()) }
        })
    }
}

/// The network of a run, as a node holds it to change its own cable.
#[derive(Clone, Debug)]
pub(crate) struct Cable {
    fabric: Arc<File>,
    number: u8,
}

impl Cable {
    /// Puts the cable into a state; `node` is the node's network namespace. It is pulled at the fabric's end, which leaves
    /// the node its routes, and slowed at both ends, since a queue holds back only what leaves through it.
    pub(crate) fn set(&self, link: Link, node: &File) -> io::Result<()> {
        let outside = format!("v{}", self.number);
        on_own_thread(|| {
            for (net, device) in [(&*self.fabric, outside.as_str()), (node, "eth0")] {
                setns(net, CloneFlags::CLONE_NEWNET)?;
                queue(device, link)?;
            }
            setns(&*self.fabric, CloneFlags::CLONE_NEWNET)?;
            ip(&format!("link set {outside} {}\n", if link == Link::Cut { "down" } else { "up" }), &[])
        })
    }

    /// Leads what is sent to an address here, wherever its network is; or no longer, and it goes where its network is.
    pub(crate) fn lead(&self, to: Ipv4Addr, here: bool) -> io::Result<()> {
        let via = address(self.number);
        on_own_thread(|| {
            setns(&*self.fabric, CloneFlags::CLONE_NEWNET)?;
            let way = if here { format!("route replace {to}/32 via {via}\n") } else { format!("route del {to}/32\n") };
            ip(&way, &[])
        })
    }
}

/// Gives a device of the calling thread's network namespace a token bucket, or takes it away.
fn queue(device: &str, link: Link) -> io::Result<()> {
    let Link::Slow(rate) = link else {
        let removed = tc(&["qdisc", "del", "dev", device, "root"]);
        // A device without one says so; there is no way to ask that would not be as long.
        return match removed {
            Err(e) if !e.to_string().contains("Cannot delete qdisc with handle of zero") => Err(e),
            _ => Ok(()),
        };
    };
    let (rate, burst) = (format!("{}bit", rate.saturating_mul(8)), format!("{}b", burst(rate)));
    tc(&["qdisc", "replace", "dev", device, "root", "tbf", "rate", &rate, "burst", &burst, "latency", "100ms"])
}

/// What goes through a slow cable at once: a hundredth of a second's worth, but more than the largest packet of a
/// device that does segmentation by itself, which the kernel would have to cut.
pub(crate) fn burst(rate: u64) -> u64 {
    (rate / 100).max(16 << 10)
}

fn tc(args: &[&str]) -> io::Result<()> {
    output_here(&Exec::new("tc").args(args)).map(drop).map_err(io::Error::other)
}

/// Runs a closure on a thread that ends with it, so that it may change the thread's namespaces.
pub(crate) fn on_own_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|s| {
        let thread = std::thread::Builder::new().name("podferry-netns".into()).spawn_scoped(s, work)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Makes an empty tmpfs the only mount of the calling thread's mount namespace, so that the namespace keeps nothing of
/// the host busy.
fn only_a_tmpfs() -> io::Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some("tmpfs"), "/sys", Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
    std::env::set_current_dir("/sys")?;
    nix::unistd::pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    Ok(())
}

/// Runs a batch of `ip` commands (iproute2) in the calling thread's network namespace.
fn ip(batch: &str, flags: &[&str]) -> io::Result<()> {
    output_here(&Exec::new("ip").args(flags).args(["-batch", "-"]).stdin(batch)).map(drop).map_err(io::Error::other)
}
