//! What the harness and PID 1 of a node say to each other: JSON messages on a SEQPACKET socket pair, files beside them.

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

/// From the harness to PID 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The first message: how to make the node. Beside it comes the detached mount that becomes [`SHARED_DIR`], and for a
    /// node that was there before the one that becomes `/data`.
    Setup(Setup),
    /// Start a program.
    Spawn(Spawn),
    /// Send a signal to the program that was started under this id, or to its process group.
    Signal { id: u64, signal: i32, group: bool },
}

/// From PID 1 to the harness.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The namespaces are there: the network can be plugged in.
    Unshared,
    /// Everything is mounted: requests are served from now on.
    Ready,
    /// The node could not be made.
    Broken(String),
    /// The program of this id runs.
    Started { id: u64, pid: i32 },
    /// It could not be started.
    Refused { id: u64, errno: Option<i32>, message: String },
    /// It ended: exit code, or `128 + signal`.
    Exited { id: u64, code: i32 },
    /// A program that PID 1 did not start ended: a container, whose runtime has left it.
    Orphan { pid: i32, code: i32 },
}

/// How to make a node. Paths are the host's unless said otherwise.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Becomes the host name.
    pub(crate) name: String,
    /// The folder that is the lower layer of the node's root.
    pub(crate) rootfs: PathBuf,
    /// What PID 1 joins and mounts.
    pub(crate) cgroups: Cgroups,
    /// Programs of the host that take the place of files of the node: (on the host, in the node).
    pub(crate) overrides: Vec<(PathBuf, PathBuf)>,
    /// Files of the host that are seen in the node, where there is nothing else: (on the host, in the node). Read-only, and
    /// no copies: they take no memory.
    pub(crate) binds: Vec<(PathBuf, PathBuf)>,
    /// Size of the file system at `/data`, in bytes.
    pub(crate) data_size: u64,
}

/// The node's control groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cgroups {
    /// The node's own folders on the host: PID 1 joins them all.
    pub(crate) join: Vec<PathBuf>,
    /// What is mounted inside.
    pub(crate) mounts: CgroupMounts,
}

/// What a node sees under `/sys/fs/cgroup`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CgroupMounts {
    /// One folder for each version 1 hierarchy: folder name, and what `mount -o` takes (`cpu,cpuacct`,
    /// `none,name=systemd`).
    V1(Vec<(String, String)>),
    /// The unified hierarchy.
    V2,
}

/// A program to start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spawn {
    pub(crate) id: u64,
    pub(crate) argv: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) streams: Streams,
}

/// Where a program's standard streams lead. Input is `/dev/null` unless it is passed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Streams {
    /// To the files beside the message: output, error and, if there is a third, input.
    Passed,
    /// Output and error are appended to this file in the node.
    Log(PathBuf),
    /// Output and error are pipes; PID 1 appends what comes through them to this file in the node.
    Piped(PathBuf),
}

/// Where all nodes of a run see the same files.
pub(crate) const SHARED_DIR: &str = "/shared";

/// A message must fit the socket's buffer: 208 KiB by default (net.core.wmem_default).
const LONGEST: usize = 256 << 10;
const MOST_FILES: usize = 4;

/// One end of the line between the harness and PID 1.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl Channel {
    /// The two ends: the harness's, and the one that becomes PID 1's standard input.
    pub(crate) fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Channel(ours), theirs))
    }

    pub(crate) fn new(socket: OwnedFd) -> Channel {
        Channel(socket)
    }

    pub(crate) fn send(&self, message: &impl Serialize, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            assert!(
                beside.push(SendAncillaryMessage::ScmRights(files)),
                "at most {MOST_FILES} files go with a message"
            );
        }
        loop {
            match rustix::net::sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut beside, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                Err(Errno::MSGSIZE) => {
                    let text = format!("a message of {} KiB is longer than the socket's buffer", bytes.len() >> 10);
                    return Err(io::Error::new(io::ErrorKind::ArgumentListTooLong, text));
                }
                sent => return sent.map(drop).map_err(Into::into),
            }
        }
    }

    /// Waits for a message. `None`: the other end is closed.
    pub(crate) fn recv<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut bytes = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let got = loop {
            let mut into = [IoSliceMut::new(&mut bytes)];
            match rustix::net::recvmsg(&self.0, &mut into, &mut beside, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                // The other end was closed with messages of ours unread in it.
                Err(Errno::CONNRESET) => return Ok(None),
                got => break got?,
            }
        };
        if got.bytes == 0 {
            return Ok(None);
        }
        if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message was cut"));
        }
        let mut files = Vec::new();
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                files.extend(rights);
            }
        }
        Ok(Some((serde_json::from_slice(&bytes[..got.bytes])?, files)))
    }

    /// How long [`Channel::recv`] waits at most; then it fails with `WouldBlock`.
    pub(crate) fn set_patience(&self, limit: Option<Duration>) -> io::Result<()> {
        rustix::net::sockopt::set_socket_timeout(&self.0, rustix::net::sockopt::Timeout::Recv, limit)?;
        Ok(())
    }

    /// Closes the line for both ends, whoever else holds it.
    pub(crate) fn hang_up(&self) {
        // ENOTCONN: the other end has gone already.
        let _ = rustix::net::shutdown(&self.0, Shutdown::Both);
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn carries_messages_with_files_and_tells_the_end() {
        let (ours, theirs) = Channel::pair().unwrap();
        let theirs = Channel::new(theirs);
        let (mut reader, writer) = io::pipe().unwrap();
        ours.send(&Request::Signal { id: 7, signal: 9, group: true }, &[writer.as_fd()]).unwrap();
        drop(writer);
        let (request, mut files) = theirs.recv::<Request>().unwrap().unwrap();
        assert!(matches!(request, Request::Signal { id: 7, signal: 9, group: true }));
        io::PipeWriter::from(files.pop().unwrap()).write_all(b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        drop(ours);
        assert!(theirs.recv::<Request>().unwrap().is_none());
    }

    #[test]
    fn refuses_a_message_that_does_not_fit() {
        let (ours, _theirs) = Channel::pair().unwrap();
        let error = ours.send(&"x".repeat(4 << 20), &[]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ArgumentListTooLong);
    }

    #[test]
    fn gives_up_waiting() {
        let (ours, _theirs) = Channel::pair().unwrap();
        ours.set_patience(Some(Duration::from_millis(5))).unwrap();
        assert_eq!(ours.recv::<Reply>().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
