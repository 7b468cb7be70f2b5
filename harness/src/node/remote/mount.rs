//! Mounts without a name: who has no path below the descriptor that holds one does not see it, and it goes with that, however
//! the harness ends.

use super::super::init::PUMP;
use super::frame::{self, Tag};
use super::line::Opener;
use super::protocol::Call;
use super::pump::{HEAD, REQUEST, length};
use crate::process::start_between;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as Line;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Handle;

/// A file system of this kind that is mounted nowhere: it goes with the descriptor.
pub(crate) fn mounted(kind: &str, options: &[(&str, &str)], flags: &[&str]) -> io::Result<OwnedFd> {
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
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
        let device = device.map_err(cannot)?;
        let number = device.as_raw_fd().to_string();
        let options =
            [("source", "podferry"), ("fd", &number), ("rootmode", "40000"), ("user_id", "0"), ("group_id", "0")];
        let mount = mounted("fuse", &options, &["allow_other"]);
        let mount = mount.map_err(|e| io::Error::new(e.kind(), format!("can't mount a FUSE file system: {e}")))?;
        let (line, theirs) = Line::pair()?;
        start_between(Path::new("/proc/self/exe"), PUMP, theirs.into(), device.into())?;
        line.set_nonblocking(true)?;
        let line = {
            let _runtime = on.enter();
            UnixStream::from_std(line)?
        };
        on.spawn(async move {
            let ((mut asks, mut answers), (mut from, mut to)) = (line.into_split(), tokio::io::split(stream));
            let requests = async {
                let mut bytes = vec![0; REQUEST];
                loop {
                    asks.read_exact(&mut bytes[..HEAD]).await?;
                    let length = length(&bytes[..HEAD])?;
                    asks.read_exact(&mut bytes[HEAD..length]).await?;
                    frame::write(&mut to, Tag::Data, &bytes[..length]).await?;
                }
                #[expect(unreachable_code, reason = "what it may fail with")]
                io::Result::Ok(())
            };
            let answered = async {
                while let Some((Tag::Data, answer)) = frame::read(&mut from).await? {
                    answers.write_all(&answer).await?;
                }
                io::Result::Ok(())
            };
            // The line is closed by this, so that its other end closes the device, and with it all that waits is told.
            tokio::select! {
                _ = requests => {}
                _ = answered => {}
            }
        });
        Ok(Files(mount))
    }

    /// The path on this machine of a path of the node.
    pub(super) fn path(&self, inside: &Path) -> PathBuf {
        path(&self.0).join(inside.strip_prefix("/").unwrap_or(inside))
    }
}
