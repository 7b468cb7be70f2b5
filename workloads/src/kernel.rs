#![expect(unsafe_code, reason = "std knows neither inotify nor io_uring")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    let fd = libc::c_int::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a file descriptor that the kernel has just given us, and nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// An inotify watch for new files in a folder.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    pub(crate) fn of(folder: &str) -> io::Result<Self> {
        let path = CString::new(folder)?;
        // SAFETY: takes no pointer.
        let watch = owned(unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) }.into())?;
        // SAFETY: the path is a C string that outlives the call.
        match unsafe { libc::inotify_add_watch(watch.as_raw_fd(), path.as_ptr(), libc::IN_CREATE) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(Watch(watch)),
        }
    }

    /// Whether it has told anything since it was last asked. What it tells is not told twice.
    pub(crate) fn delivered(&self) -> io::Result<bool> {
        let mut events = [0_u8; 4096];
        // SAFETY: the buffer is as long as said.
        match unsafe { libc::read(self.0.as_raw_fd(), events.as_mut_ptr().cast(), events.len()) } {
            -1 => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
                e => Err(e),
            },
            read => Ok(read > 0),
        }
    }
}

/// Size of `struct io_uring_params`, see io_uring_setup(2); all zero asks for nothing special.
const PARAMS: usize = 120;

/// An io_uring of one entry.
pub(crate) fn io_uring() -> io::Result<OwnedFd> {
    let mut params = [0_u64; PARAMS / 8];
    // SAFETY: the kernel writes at most the structure, which is as long as the array.
    owned(unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) })
}

/// Whether a file descriptor is an io_uring still.
pub(crate) fn is_io_uring(ring: &OwnedFd) -> io::Result<()> {
    let is = std::fs::read_link(format!("/proc/self/fd/{}", ring.as_raw_fd()))?;
    match is.to_string_lossy().contains("[io_uring]") {
        true => Ok(()),
        false => Err(io::Error::other(format!("it is {} now", is.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_tells_once_of_a_new_file() {
        let folder = std::env::temp_dir().join(format!("podferry-watch-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let watch = Watch::of(folder.to_str().unwrap()).unwrap();
        assert!(!watch.delivered().unwrap());
        std::fs::write(folder.join("new"), "").unwrap();
        assert!(watch.delivered().unwrap());
        assert!(!watch.delivered().unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_is_no_io_uring() {
        let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        assert_eq!(is_io_uring(&file).unwrap_err().to_string(), "it is /dev/null now");
    }
}
