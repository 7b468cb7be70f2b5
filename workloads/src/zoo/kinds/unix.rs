//! Unix sockets.

use crate::zoo::kind::{Area, Kind, Label, bytes, home, lost, same};
use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};
use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

const fn label(name: &'static str, about: &'static str) -> Label {
    Label::new(name, Area::Local, about).outside(&["fd."])
}

/// How long a byte within the machine may take.
const PATIENCE: Duration = Duration::from_secs(1);

fn place(name: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(home())?;
    let path = home().join(name);
    let _ = fs::remove_file(&path);
    Ok(path)
}

fn impatient(stream: UnixStream) -> io::Result<UnixStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A byte there, and one back.
fn there_and_back(one: &mut UnixStream, other: &mut UnixStream) -> io::Result<()> {
    let mut byte = [0];
    one.write_all(b"x").and_then(|()| other.read_exact(&mut byte))?;
    other.write_all(b"y").and_then(|()| one.read_exact(&mut byte))
}

/// A pair of streams with bytes on the way.
pub(super) struct Stream(UnixStream, UnixStream);

impl Kind for Stream {
    const LABEL: Label = label("socketpair", "a pair of stream sockets with bytes on the way")
        .zdtm("sockets_spair socket_queues sk-unix-mntns-listen");

    fn hold() -> io::Result<Self> {
        let (mut one, other) = UnixStream::pair()?;
        one.write_all(&bytes(50, 30_000))?;
        Ok(Stream(impatient(one)?, impatient(other)?))
    }

    fn verify(&mut self) -> io::Result<String> {
        let mut read = vec![0; 30_000];
        self.1.read_exact(&mut read)?;
        same("the bytes on the way", &true, &(read == bytes(50, 30_000)))?;
        there_and_back(&mut self.0, &mut self.1)?;
        self.0.write_all(&read)?;
        Ok("30,000 bytes on the way".to_owned())
    }
}

/// Datagrams on the way.
pub(super) struct Datagrams(UnixDatagram, UnixDatagram);

const DATAGRAMS: [&str; 3] = ["one", "two and", "three"];

impl Kind for Datagrams {
    const LABEL: Label = label("unix-datagrams", "a pair of datagram sockets with three of them on the way")
        .zdtm("sockets_dgram socket_dgram_data sockets03");

    fn hold() -> io::Result<Self> {
        let (one, other) = UnixDatagram::pair()?;
        other.set_read_timeout(Some(PATIENCE))?;
        for text in DATAGRAMS {
            one.send(text.as_bytes())?;
        }
        Ok(Datagrams(one, other))
    }

    fn verify(&mut self) -> io::Result<String> {
        let mut buffer = [0; 64];
        for wanted in DATAGRAMS {
            let read = self.1.recv(&mut buffer)?;
            same("a datagram", &wanted, &std::str::from_utf8(&buffer[..read]).unwrap_or("?"))?;
        }
        DATAGRAMS.iter().try_for_each(|text| self.0.send(text.as_bytes()).map(drop))?;
        Ok("three datagrams".to_owned())
    }
}

/// A pair that keeps the bounds of messages.
pub(super) struct SeqPackets(OwnedFd, OwnedFd);

impl SeqPackets {
    fn fill(&self) -> io::Result<()> {
        DATAGRAMS.iter().try_for_each(|text| {
            nix::sys::socket::send(self.0.as_raw_fd(), text.as_bytes(), MsgFlags::MSG_DONTWAIT).map(drop)
        })?;
        Ok(())
    }
}

impl Kind for SeqPackets {
    const LABEL: Label = label("seqpacket", "a pair of sockets that keep the bounds of messages, three on the way")
        .zdtm("del_standalone_un_seqpacket sk-unix-dgram-ghost");

    fn hold() -> io::Result<Self> {
        let (one, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        let held = SeqPackets(one, other);
        held.fill()?;
        Ok(held)
    }

    fn verify(&mut self) -> io::Result<String> {
        let mut found = Vec::new();
        let mut buffer = [0; 64];
        while let Ok(read) = nix::sys::socket::recv(self.1.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            found.push(String::from_utf8_lossy(&buffer[..read]).into_owned());
        }
        self.fill()?;
        same("the messages", &DATAGRAMS.map(str::to_owned).to_vec(), &found)?;
        Ok("three messages".to_owned())
    }
}

/// Descriptors on their way through a socket, which nobody has otherwise.
pub(super) struct Passed(OwnedFd, OwnedFd);

impl Passed {
    /// Sends the reading end of a pipe with a text in it.
    fn send(&self) -> io::Result<()> {
        let (from, mut to) = io::pipe()?;
        to.write_all(b"in a pipe on its way")?;
        let fds = [from.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&fds)];
        sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(b"fd")], &rights, MsgFlags::MSG_DONTWAIT, None)?;
        Ok(())
    }

    fn receive(&self) -> io::Result<File> {
        let mut text = [0; 8];
        let mut parts = [IoSliceMut::new(&mut text)];
        let mut room = cmsg_space!([RawFd; 1]);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let got = recvmsg::<()>(self.1.as_raw_fd(), &mut parts, Some(&mut room), flags)?;
        let fd = got.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
            _ => None,
        });
        crate::zoo::sys::received(fd.ok_or_else(|| io::Error::other("the message came without its descriptor"))?)
    }
}

impl Kind for Passed {
    const LABEL: Label = label("scm-rights", "a descriptor on its way through a socket, which no process has")
        .zdtm("scm00 scm01 scm02 scm03 scm04 scm05 scm06 scm09");

    fn hold() -> io::Result<Self> {
        let (one, other) = socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::SOCK_CLOEXEC)?;
        let held = Passed(one, other);
        held.send()?;
        Ok(held)
    }

    fn verify(&mut self) -> io::Result<String> {
        let mut text = String::new();
        self.receive()?.read_to_string(&mut text)?;
        self.send()?;
        same("what is in the pipe", &"in a pipe on its way".to_owned(), &text)?;
        Ok("a pipe, with its bytes".to_owned())
    }
}

/// A listener with a name, and a connection that was made through it.
pub(super) struct Named {
    listener: UnixListener,
    near: UnixStream,
    far: UnixStream,
    address: SocketAddr,
}

impl Named {
    fn at(address: SocketAddr) -> io::Result<Self> {
        let listener = UnixListener::bind_addr(&address)?;
        let near = impatient(UnixStream::connect_addr(&address)?)?;
        let far = impatient(listener.accept()?.0)?;
        Ok(Named { listener, near, far, address })
    }

    fn works(&mut self) -> io::Result<String> {
        there_and_back(&mut self.near, &mut self.far)?;
        self.listener.set_nonblocking(true)?;
        let mut near = impatient(UnixStream::connect_addr(&self.address)?)?;
        let mut far = impatient(self.listener.accept()?.0)?;
        far.set_nonblocking(false)?;
        there_and_back(&mut near, &mut far)?;
        Ok("the connection works, and a new one".to_owned())
    }
}

impl Kind for Named {
    const LABEL: Label = label("unix-named", "a listening socket with a path, and a connection through it")
        .zdtm("sockets00 sockets01 sockets02 sk-unix-unconn sk-unix-rel sk-unix01");

    fn hold() -> io::Result<Self> {
        Named::at(SocketAddr::from_pathname(place("socket")?)?)
    }

    fn verify(&mut self) -> io::Result<String> {
        self.works()
    }
}

/// The same with a name that is no path.
pub(super) struct Abstract(Named);

impl Kind for Abstract {
    const LABEL: Label =
        label("unix-abstract", "the same with a name that is no path").zdtm("sockets00 sk-unix-unconn");

    fn hold() -> io::Result<Self> {
        let name = format!("podferry-zoo-{}", std::process::id());
        Ok(Abstract(Named::at(SocketAddr::from_abstract_name(name)?)?))
    }

    fn verify(&mut self) -> io::Result<String> {
        self.0.works()
    }
}

/// A connection whose listener's path was deleted.
pub(super) struct DeletedName {
    _listener: UnixListener,
    near: UnixStream,
    far: UnixStream,
}

impl Kind for DeletedName {
    const LABEL: Label = label("unix-deleted", "a connection through a socket whose path was deleted")
        .zdtm("deleted_unix_sock deleted_standalone_unix del_standalone_un");

    fn hold() -> io::Result<Self> {
        let path = place("deleted-socket")?;
        let Named { listener, near, far, .. } = Named::at(SocketAddr::from_pathname(&path)?)?;
        fs::remove_file(path)?;
        Ok(DeletedName { _listener: listener, near, far })
    }

    fn verify(&mut self) -> io::Result<String> {
        there_and_back(&mut self.near, &mut self.far)?;
        Ok("the connection works".to_owned())
    }
}

/// A connection that nobody has accepted yet.
pub(super) struct Waiting {
    listener: UnixListener,
    near: UnixStream,
}

impl Kind for Waiting {
    const LABEL: Label =
        label("unix-waiting", "a connection that waits to be accepted").zdtm("sockets00 socket_queues");

    fn hold() -> io::Result<Self> {
        let address = SocketAddr::from_pathname(place("waiting-socket")?)?;
        let listener = UnixListener::bind_addr(&address)?;
        listener.set_nonblocking(true)?;
        let near = impatient(UnixStream::connect_addr(&address)?)?;
        Ok(Waiting { listener, near })
    }

    fn verify(&mut self) -> io::Result<String> {
        let far = match self.listener.accept() {
            Ok((far, _)) => far,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return lost("no connection waits"),
            Err(e) => return Err(e),
        };
        far.set_nonblocking(false)?;
        there_and_back(&mut self.near, &mut impatient(far)?)?;
        *self = Waiting::hold()?;
        Ok("it could be accepted".to_owned())
    }
}
