//! Mounts without a name: who has no path below the descriptor that holds one does not see it, and it goes with that, however
//! the harness ends.

use super::frame::{self, Tag};
use super::line::Opener;
use super::protocol::Call;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tokio::net::unix::pipe::Receiver;
use tokio::runtime::Handle;

/// What a request may be long: a mebibyte that is written, and its header.
const REQUEST: usize = (1 << 20) + 4096;

fn mounted(kind: &str, options: &[(&str, &str)], flags: &[&str]) -> io::Result<OwnedFd> {
    let file_system = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        fsconfig_set_string(&file_system, *key, *value)?;
    }
    for flag in flags {
        fsconfig_set_flag(&file_system, *flag)?;
    }
    fsconfig_create(&file_system)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(fsmount(&file_system, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// By a path that other threads and programs of this machine can follow too.
fn path(mount: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), mount.as_raw_fd()))
}

/// A folder in memory.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    pub(super) fn new() -> io::Result<Folder> {
        mounted("tmpfs", &[("size", "65536"), ("mode", "0700")], &[]).map(Folder)
    }

    pub(super) fn path(&self) -> PathBuf {
        path(&self.0)
    }
}

/// The files of a node.
#[derive(Debug)]
pub(super) struct Files(OwnedFd);

impl Files {
    /// Mounts them. Whatever waits for them when the line ends is told that they are gone (`ENOTCONN`).
    pub(super) async fn mount(opener: &Opener, on: &Handle) -> io::Result<Files> {
        let (stream, ()) = opener.call(&Call::Files).await?;
        let cannot = |e: io::Error| io::Error::new(e.kind(), format!("can't open /dev/fuse: {e}"));
        let device = OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open("/dev/fuse");
        let device = device.map_err(cannot)?;
        let number = device.as_raw_fd().to_string();
        let options =
            [("source", "podferry"), ("fd", &number), ("rootmode", "40000"), ("user_id", "0"), ("group_id", "0")];
        let mount = mounted("fuse", &options, &["allow_other"]);
        let mount = mount.map_err(|e| io::Error::new(e.kind(), format!("can't mount a FUSE file system: {e}")))?;
        on.spawn(async move {
            let read = device.try_clone().and_then(Receiver::from_file_unchecked);
            let Ok(read) = read else { return };
            let (mut from, mut to) = tokio::io::split(stream);
            let requests = async {
                let mut bytes = vec![0; REQUEST];
                // An error: the mount is gone.
                while let Ok(n) = next(&read, &mut bytes).await {
                    frame::write(&mut to, Tag::Data, &bytes[..n]).await?;
                }
                io::Result::Ok(())
            };
            let answers = async {
                while let Some((Tag::Data, answer)) = frame::read(&mut from).await? {
                    // An error: who asked does not wait any more.
                    let _ = io::Write::write(&mut &device, &answer);
                }
                io::Result::Ok(())
            };
            // The device is closed by this, and with it all that waits is told.
            tokio::select! {
                _ = requests => {}
                _ = answers => {}
            }
        });
        Ok(Files(mount))
    }

    /// The path on this machine of a path of the node.
    pub(super) fn path(&self, inside: &Path) -> PathBuf {
        path(&self.0).join(inside.strip_prefix("/").unwrap_or(inside))
    }
}

/// The kernel's next request. Read by tries until there is none: what reads a pipe to its end takes a short read for the sign
/// of that, which it is not here.
async fn next(device: &Receiver, into: &mut [u8]) -> io::Result<usize> {
    loop {
        device.readable().await?;
        match device.try_read(into) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            // A request that was taken back meanwhile.
            Err(e) if e.raw_os_error() == Some(nix::libc::ENOENT) => {}
            read => return read,
        }
    }
}
