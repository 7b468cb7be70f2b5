//! Sockets of networks.

use crate::zoo::kind::{Area, Kind, Label, absent, bytes, lost, same};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockProtocol, SockType, getsockopt, setsockopt, sockopt};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

const fn label(name: &'static str, about: &'static str) -> Label {
    Label::new(name, Area::Network, about).outside(&["fd."])
}

/// How long a packet within the machine may take.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn impatient(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Both ends of a connection.
fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(LOOPBACK)?;
    let near = impatient(TcpStream::connect(listener.local_addr()?)?)?;
    Ok((near, impatient(listener.accept()?.0)?))
}

/// A byte there, and one back.
fn there_and_back(one: &mut TcpStream, other: &mut TcpStream) -> io::Result<()> {
    let mut byte = [0];
    one.write_all(b"x").and_then(|()| other.read_exact(&mut byte))?;
    other.write_all(b"y").and_then(|()| one.read_exact(&mut byte))
}

/// What a listener of TCP is set to.
fn options(of: &impl AsFd) -> io::Result<String> {
    Ok(format!(
        "keepalive {}, buffer {}, idle {}, reuse {}",
        getsockopt(of, sockopt::KeepAlive)?,
        getsockopt(of, sockopt::RcvBuf)?,
        getsockopt(of, sockopt::TcpKeepIdle)?,
        getsockopt(of, sockopt::ReuseAddr)?
    ))
}

fn listener(at: SocketAddr) -> io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind(at)?;
    setsockopt(&listener, sockopt::KeepAlive, &true)?;
    setsockopt(&listener, sockopt::RcvBuf, &34_567)?;
    setsockopt(&listener, sockopt::TcpKeepIdle, &77)?;
    let options = options(&listener)?;
    Ok((listener, options))
}

fn listens(listener: &TcpListener, was: &String) -> io::Result<String> {
    same("its options", was, &options(listener)?)?;
    let mut near = impatient(TcpStream::connect_timeout(&listener.local_addr()?, PATIENCE)?)?;
    let mut far = impatient(listener.accept()?.0)?;
    there_and_back(&mut near, &mut far)?;
    Ok(format!("{}; {was}", listener.local_addr()?))
}

/// A listener.
pub(super) struct Listener(TcpListener, String);

impl Kind for Listener {
    const LABEL: Label = label("tcp-listen", "a listening TCP socket with options")
        .zdtm("socket_listen socket-tcp-reuseport sock_opts00 sock_opts01 sock_opts02 sk-freebind tcp-listen-backlog");

    fn hold() -> io::Result<Self> {
        listener(LOOPBACK).map(|(l, o)| Listener(l, o))
    }

    fn verify(&mut self) -> io::Result<String> {
        listens(&self.0, &self.1)
    }
}

/// A listener of IPv6.
pub(super) struct Listener6(TcpListener, String);

impl Kind for Listener6 {
    const LABEL: Label =
        label("tcp6-listen", "a listening TCP socket of IPv6 with options").zdtm("socket_listen6 socket_listen4v6");

    fn hold() -> io::Result<Self> {
        let made = listener((Ipv6Addr::LOCALHOST, 0).into());
        made.map(|(l, o)| Listener6(l, o)).map_err(|e| match e.raw_os_error() {
            Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT) => absent("the container has no IPv6"),
            _ => e,
        })
    }

    fn verify(&mut self) -> io::Result<String> {
        listens(&self.0, &self.1)
    }
}

/// A connection.
pub(super) struct Established(TcpStream, TcpStream);

impl Kind for Established {
    const LABEL: Label = label("tcp-established", "an established TCP connection, both ends of it")
        .zdtm("socket-tcp socket-tcp6 socket-tcp4v6 socket-tcp-local socket-tcp6-local socket-tcp4v6-local socket-tcp-nfconntrack socket-tcp-reseted");

    fn hold() -> io::Result<Self> {
        pair().map(|(near, far)| Established(near, far))
    }

    fn verify(&mut self) -> io::Result<String> {
        there_and_back(&mut self.0, &mut self.1)?;
        Ok("a byte each way".to_owned())
    }
}

/// A connection with bytes that nobody has read.
pub(super) struct InFlight(TcpStream, TcpStream);

impl Kind for InFlight {
    const LABEL: Label = label("tcp-in-flight", "an established TCP connection with 20,000 bytes that nobody has read")
        .zdtm("socket-tcpbuf socket-tcpbuf-local socket-tcpbuf6 socket-tcpbuf6-local");

    fn hold() -> io::Result<Self> {
        let (mut near, far) = pair()?;
        near.write_all(&bytes(60, 20_000))?;
        Ok(InFlight(near, far))
    }

    fn verify(&mut self) -> io::Result<String> {
        let mut read = vec![0; 20_000];
        self.1.read_exact(&mut read)?;
        same("the bytes", &true, &(read == bytes(60, 20_000)))?;
        self.0.write_all(&read)?;
        Ok("20,000 bytes".to_owned())
    }
}

/// A connection of which one direction is closed.
pub(super) struct HalfClosed(TcpStream, TcpStream);

impl Kind for HalfClosed {
    const LABEL: Label = label("tcp-half-closed", "a TCP connection of which one direction is closed")
        .zdtm("socket-tcp-fin-wait1 socket-tcp-fin-wait2 socket-tcp-close-wait socket-tcp-last-ack socket-tcp-closing socket-tcp-closed socket-tcp-close0 socket-tcp-close1 socket_close_data socket_close_data01");

    fn hold() -> io::Result<Self> {
        let (near, mut far) = pair()?;
        near.shutdown(Shutdown::Write)?;
        same("the end of what it sends", &0, &far.read(&mut [0])?)?;
        Ok(HalfClosed(near, far))
    }

    fn verify(&mut self) -> io::Result<String> {
        let mut byte = [0];
        self.1.write_all(b"x").and_then(|()| self.0.read_exact(&mut byte))?;
        Ok("the open direction works".to_owned())
    }
}

/// Sockets of UDP, bound and connected.
pub(super) struct Udp(UdpSocket, UdpSocket);

fn udp() -> io::Result<(UdpSocket, UdpSocket)> {
    let (one, other) = (UdpSocket::bind(LOOPBACK)?, UdpSocket::bind(LOOPBACK)?);
    one.connect(other.local_addr()?)?;
    other.set_read_timeout(Some(PATIENCE))?;
    Ok((one, other))
}

impl Kind for Udp {
    const LABEL: Label = label("udp", "UDP sockets, one bound, one connected to it")
        .zdtm("socket_udp socket6_udp socket_udp_shutdown socket_udplite socket_udp-corked unbound_sock socket_icmp socket-raw");

    fn hold() -> io::Result<Self> {
        let (one, other) = udp()?;
        one.set_broadcast(true)?;
        Ok(Udp(one, other))
    }

    fn verify(&mut self) -> io::Result<String> {
        same("that it may broadcast", &true, &self.0.broadcast()?)?;
        same("whom it is connected to", &self.1.local_addr()?, &self.0.peer_addr()?)?;
        self.0.send(b"datagram")?;
        let mut buffer = [0; 64];
        let (read, from) = self.1.recv_from(&mut buffer)?;
        same("what came, and from whom", &(&b"datagram"[..], self.0.local_addr()?), &(&buffer[..read], from))?;
        Ok(format!("{from} to {}", self.1.local_addr()?))
    }
}

/// A datagram of UDP that nobody has read.
pub(super) struct UdpQueued(UdpSocket, UdpSocket);

impl Kind for UdpQueued {
    const LABEL: Label = label("udp-queued", "a UDP datagram that nobody has read");

    fn hold() -> io::Result<Self> {
        let (one, other) = udp()?;
        other.set_nonblocking(true)?;
        one.send(b"unread")?;
        Ok(UdpQueued(one, other))
    }

    fn verify(&mut self) -> io::Result<String> {
        let mut buffer = [0; 64];
        let read = match self.1.recv(&mut buffer) {
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return lost("no datagram waits"),
            Err(e) => return Err(e),
        };
        self.0.send(b"unread")?;
        same("the datagram", &&b"unread"[..], &&buffer[..read])?;
        Ok("it waits".to_owned())
    }
}

/// A socket to the kernel's routing.
pub(super) struct Netlink(OwnedFd);

impl Kind for Netlink {
    const LABEL: Label = label("netlink", "a socket to the kernel's routing").zdtm("sk-netlink");

    fn hold() -> io::Result<Self> {
        let fd =
            socket::socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
        socket::bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &socket::NetlinkAddr::new(0, 1))?;
        Ok(Netlink(fd))
    }

    fn verify(&mut self) -> io::Result<String> {
        let address: socket::NetlinkAddr = socket::getsockname(std::os::fd::AsRawFd::as_raw_fd(&self.0))?;
        same("its groups", &1, &address.groups())?;
        Ok(format!("bound as {}", address.pid()))
    }
}

/// A socket that sees packets as they are on the wire.
pub(super) struct Packet(OwnedFd);

impl Kind for Packet {
    const LABEL: Label = label("packet-socket", "a socket that sees packets as they are on the wire")
        .zdtm("packet_sock packet_sock_mmap packet_sock_spkt sock_filter sock_filter01")
        .alone("it takes rights over the network that CRIU may lack");

    fn hold() -> io::Result<Self> {
        let made =
            socket::socket(AddressFamily::Packet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll);
        Ok(Packet(made.map_err(|e| absent(format!("it may have none: {e}")))?))
    }

    fn verify(&mut self) -> io::Result<String> {
        same("its type", &SockType::Datagram, &getsockopt(&self.0, sockopt::SockType)?)?;
        let mut buffer = [0; 2048];
        // What comes in between depends on the network: it is enough that something does, when something is sent.
        let (one, other) = udp()?;
        one.send(b"seen on the wire")?;
        drop(other);
        let fd = std::os::fd::AsRawFd::as_raw_fd(&self.0);
        while let Ok(read) = socket::recv(fd, &mut buffer, socket::MsgFlags::MSG_DONTWAIT) {
            if buffer[..read].windows(16).any(|w| w == b"seen on the wire") {
                return Ok("it saw a datagram".to_owned());
            }
        }
        lost("it sees nothing")
    }
}
