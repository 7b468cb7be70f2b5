//! Locks on files.

use super::mappings::file;
use crate::zoo::idle::Idle;
use crate::zoo::kind::{Area, Kind, Label, home, lost, same};
use crate::zoo::sys;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::stat::Mode;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

const fn label(name: &'static str, about: &'static str) -> Label {
    Label::new(name, Area::Locks, about).outside(&["fd."])
}

/// A lock of flock(2).
pub(super) struct Flock(File);

impl Kind for Flock {
    const LABEL: Label =
        label("flock", "a lock of flock(2)").zdtm("file_locks01 file_locks02 file_locks03 file_locks04");

    fn hold() -> io::Result<Self> {
        let file = file("flock", b"")?;
        file.lock()?;
        Ok(Flock(file))
    }

    fn verify(&mut self) -> io::Result<String> {
        // It belongs to an opening of the file: by another one it cannot be had while it is held.
        match File::open(home().join("flock"))?.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(format!("nobody else gets it, {} bytes", self.0.metadata()?.len())),
            Err(TryLockError::Error(e)) => Err(e),
            Ok(()) => lost("the lock is free"),
        }
    }
}

/// Bytes 100 to 149, for writing.
fn range(kind: i32) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: 100,
        l_len: 50,
        l_pid: 0,
    }
}

/// A record lock of a child. A process sees its own locks as none.
pub(super) struct Posix {
    file: File,
    child: Idle,
}

/// That a child has the lock, and nobody else.
fn childs_lock(file: &File, child: &Idle) -> io::Result<String> {
    let mut found = range(libc::F_WRLCK);
    fcntl(file, FcntlArg::F_GETLK(&mut found))?;
    if i32::from(found.l_type) == libc::F_UNLCK {
        return lost("no other process has the lock");
    }
    let seen = (found.l_start, found.l_len, found.l_pid);
    same("range and holder", &(100, 50, child.pid().cast_signed()), &seen)?;
    Ok(format!("bytes 100 to 149, held by {}", found.l_pid))
}

/// Locks a file of the child's own opening in it. That stays open in the program that it starts.
fn lock_own(path: &Path) -> io::Result<()> {
    let fd = nix::fcntl::open(path, OFlag::O_RDWR, Mode::empty())?;
    fcntl(&fd, FcntlArg::F_SETLK(&range(libc::F_WRLCK)))?;
    std::mem::forget(fd);
    Ok(())
}

impl Kind for Posix {
    const LABEL: Label = label("posix-lock", "a record lock, held by a child").zdtm("file_locks00 file_locks05");

    fn hold() -> io::Result<Self> {
        // A process loses its locks on a file with the first descriptor of it that it closes: the child gets none from here.
        drop(file("posix-lock", &[0; 200])?);
        let path = home().join("posix-lock");
        let childs = path.clone();
        let child = Idle::start(0, move || lock_own(&childs))?;
        let mut held = Posix { file: OpenOptions::new().read(true).write(true).open(path)?, child };
        held.verify()?;
        Ok(held)
    }

    fn verify(&mut self) -> io::Result<String> {
        childs_lock(&self.file, &self.child)
    }
}

/// The same where parent and child have the file from one opening.
pub(super) struct PosixShared {
    file: File,
    child: Idle,
}

impl Kind for PosixShared {
    const LABEL: Label = label("posix-lock-shared", "a record lock, held by a child that has the file from its parent")
        .zdtm("file_locks00");

    fn hold() -> io::Result<Self> {
        let file = file("posix-lock-shared", &[0; 200])?;
        // The child keeps all descriptors that it has through the start of its program.
        fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty()))?;
        let fd = file.try_clone()?;
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
        let child = Idle::start(0, move || Ok(fcntl(&fd, FcntlArg::F_SETLK(&range(libc::F_WRLCK))).map(drop)?))?;
        let mut held = PosixShared { file, child };
        held.verify()?;
        Ok(held)
    }

    fn verify(&mut self) -> io::Result<String> {
        childs_lock(&self.file, &self.child)
    }
}

/// A record lock of an opening of a file.
pub(super) struct Ofd(File);

impl Kind for Ofd {
    const LABEL: Label =
        label("ofd-lock", "a record lock of an open file description").zdtm("file_locks06 file_locks07 file_locks08");

    fn hold() -> io::Result<Self> {
        let file = file("ofd-lock", &[0; 200])?;
        fcntl(&file, FcntlArg::F_OFD_SETLK(&range(libc::F_WRLCK)))?;
        Ok(Ofd(file))
    }

    fn verify(&mut self) -> io::Result<String> {
        let other = OpenOptions::new().read(true).write(true).open(home().join("ofd-lock"))?;
        let mut found = range(libc::F_WRLCK);
        fcntl(&other, FcntlArg::F_OFD_GETLK(&mut found))?;
        same("the lock", &(libc::F_WRLCK, 100, 50), &(i32::from(found.l_type), found.l_start, found.l_len))?;
        Ok(format!("bytes 100 to 149 of {}", self.0.metadata()?.len()))
    }
}

/// A lease: its holder is told before another opens the file.
pub(super) struct Lease(File);

impl Kind for Lease {
    const LABEL: Label = label("lease", "a lease: to be told before another one opens the file for writing")
        .zdtm("file_lease00 file_lease01 file_lease02 file_lease03 file_lease04")
        .alone("CRIU carries leases only where it finds them with the locks");

    fn hold() -> io::Result<Self> {
        drop(file("lease", b"x")?);
        let file = File::open(home().join("lease"))?;
        sys::set_lease(&file, libc::F_RDLCK).map_err(|e| io::Error::new(e.kind(), format!("no lease: {e}")))?;
        Ok(Lease(file))
    }

    fn verify(&mut self) -> io::Result<String> {
        same("the lease", &libc::F_RDLCK, &sys::lease(&self.0)?)?;
        Ok("for reading".to_owned())
    }
}
