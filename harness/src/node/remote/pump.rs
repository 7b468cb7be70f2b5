//! Who holds the kernel's end of a FUSE mount: a process of its own, which never looks into the mount. The harness must not: a
//! thread of it that waits for an answer can't be killed, a process keeps its descriptors until its last thread has ended, and so
//! the device would stay open for an answer that nobody gives any more. A harness that SIGKILL did not end was seen so.

use nix::sys::prctl;
use nix::sys::signal::Signal;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// What a request may be long: a mebibyte that is written, and its header.
pub(super) const REQUEST: usize = (1 << 20) + 4096;

/// Every message begins with its own length, in the machine's order of bytes.
pub(super) const HEAD: usize = 4;

/// Hands on requests of the device, which is its standard output, and answers of the harness, which is its standard input; until
/// the mount is gone or the harness has ended.
pub(crate) fn serve() -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let device = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (answers, answered) = (line.try_clone()?, device.try_clone()?);
    std::thread::spawn(move || {
        // However it ends, the harness does not answer any more.
        let _ = answer(answers, answered);
        std::process::exit(0)
    });
    ask(device, line)
}

fn ask(mut device: File, mut to: UnixStream) -> io::Result<()> {
    let mut bytes = vec![0; REQUEST];
    loop {
        match device.read(&mut bytes) {
            Ok(n) => to.write_all(&bytes[..n])?,
            Err(e) => match e.raw_os_error() {
                // A request that was taken back meanwhile.
                Some(nix::libc::ENOENT | nix::libc::EINTR | nix::libc::EAGAIN) => {}
                // The mount is gone.
                Some(nix::libc::ENODEV) => return Ok(()),
                _ => return Err(e),
            },
        }
    }
}

fn answer(mut from: UnixStream, mut device: File) -> io::Result<()> {
    loop {
        let mut bytes = vec![0; HEAD];
        from.read_exact(&mut bytes)?;
        bytes.resize(length(&bytes)?, 0);
        from.read_exact(&mut bytes[HEAD..])?;
        // An error: who asked does not wait any more.
        let _ = device.write(&bytes);
    }
}

/// How long the message is that begins so.
pub(super) fn length(head: &[u8]) -> io::Result<usize> {
    let said = head.first_chunk().map_or(0, |head| u32::from_ne_bytes(*head) as usize);
    let possible = (HEAD..=REQUEST).contains(&said);
    possible.then_some(said).ok_or_else(|| io::Error::other(format!("a message of FUSE can't have {said} bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_its_own_length() {
        assert_eq!(length(&80_u32.to_ne_bytes()).unwrap(), 80);
        assert!(length(&3_u32.to_ne_bytes()).is_err() && length(&u32::MAX.to_ne_bytes()).is_err());
        assert!(length(&[1]).is_err());
    }
}
