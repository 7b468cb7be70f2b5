//! Calls of the kernel that std and nix do not have, or only as unsafe ones, each behind a safe function.

#![expect(unsafe_code, reason = "that is what this module is for: the rest of the zoo needs none")]

pub(crate) mod ipc;
pub(crate) mod memory;
pub(crate) mod registers;
pub(crate) mod signal;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The result of a call that tells errors by a negative number.
pub(crate) fn checked(result: impl Into<i64>) -> io::Result<i64> {
    match result.into() {
        n if n < 0 => Err(io::Error::last_os_error()),
        n => Ok(n),
    }
}

fn descriptor(result: i64) -> io::Result<OwnedFd> {
    let fd = i32::try_from(checked(result)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made it for us, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn path(of: &Path) -> io::Result<CString> {
    use std::os::unix::ffi::OsStrExt;
    Ok(CString::new(of.as_os_str().as_bytes())?)
}

/// Has `first` done in the child before its program starts. It must do system calls and nothing else.
pub(crate) fn before_exec(command: &mut Command, first: impl FnMut() -> io::Result<()> + Send + Sync + 'static) {
    // SAFETY: the callers' closures make a few system calls, and cells have one thread when they start children.
    unsafe {
        command.pre_exec(first);
    }
}

/// prctl(2) with one number.
pub(crate) fn prctl(option: i32, value: u64) -> io::Result<i64> {
    // SAFETY: only called with options whose argument is a number.
    checked(unsafe { libc::prctl(option, value, 0, 0, 0) })
}

/// prctl(2) with an option that writes an `int`.
pub(crate) fn prctl_read(option: i32) -> io::Result<i32> {
    let mut value: libc::c_int = 0;
    // SAFETY: the kernel writes an int, which is what the pointer points to.
    checked(unsafe { libc::prctl(option, &raw mut value, 0, 0, 0) })?;
    Ok(value)
}

/// A filter for system calls that allows all of them.
pub(crate) fn seccomp_allow_all() -> io::Result<()> {
    let code = u16::try_from(libc::BPF_RET | libc::BPF_K).map_err(io::Error::other)?;
    let mut filter = [libc::sock_filter { code, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];
    let program = libc::sock_fprog { len: 1, filter: filter.as_mut_ptr() };
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    // SAFETY: the program and its one instruction outlive the call; the kernel copies them.
    checked(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0) }).map(drop)
}

/// Effective, permitted and inheritable capabilities, bit by bit.
pub(crate) fn capabilities() -> io::Result<[u64; 3]> {
    let mut data = [[0_u32; 3]; 2];
    capability_call(libc::SYS_capget, &mut data)?;
    let whole = |i: usize| u64::from(data[0][i]) | u64::from(data[1][i]) << 32;
    Ok([whole(0), whole(1), whole(2)])
}

/// Sets them.
pub(crate) fn set_capabilities(sets: [u64; 3]) -> io::Result<()> {
    let half = |shift: u32| sets.map(|set| (set >> shift) as u32);
    capability_call(libc::SYS_capset, &mut [half(0), half(32)])
}

fn capability_call(call: libc::c_long, data: &mut [[u32; 3]; 2]) -> io::Result<()> {
    // _LINUX_CAPABILITY_VERSION_3 of linux/capability.h: two structures of three words.
    let mut header = [0x2008_0522_u32, 0];
    // SAFETY: header and data have the size of version 3.
    checked(unsafe { libc::syscall(call, header.as_mut_ptr(), data.as_mut_ptr()) }).map(drop)
}

/// The nice value of this process.
pub(crate) fn nice() -> i32 {
    // SAFETY: takes numbers alone.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

/// Sets it, and the policy for batch work.
pub(crate) fn be_batch(nice: i32) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the structure outlives the call.
    checked(unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) })?;
    // SAFETY: takes numbers alone.
    checked(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }).map(drop)
}

/// The scheduling policy of this process.
pub(crate) fn policy() -> i32 {
    // SAFETY: takes a number.
    unsafe { libc::sched_getscheduler(0) }
}

/// Sets the personality's bits, or reads them (`u64::from(u32::MAX)`).
pub(crate) fn personality(bits: libc::c_ulong) -> io::Result<i64> {
    // SAFETY: takes a number.
    checked(unsafe { libc::personality(bits) })
}

/// A descriptor of a process.
pub(crate) fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers alone.
    descriptor(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// Signals a process by its descriptor; 0 asks whether it is there.
pub(crate) fn pidfd_signal(fd: &OwnedFd, signal: i32) -> io::Result<()> {
    // SAFETY: takes numbers and a null pointer, which is allowed.
    checked(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0)
    })
    .map(drop)
}

/// A userfaultfd for faults of user mode alone, which needs no privilege.
pub(crate) fn userfaultfd() -> io::Result<OwnedFd> {
    const USER_MODE_ONLY: i32 = 1;
    // SAFETY: takes a number.
    descriptor(unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | USER_MODE_ONLY) })
}

/// A ring of the old asynchronous I/O, by its id.
pub(crate) fn aio_ring(entries: u32) -> io::Result<u64> {
    let mut id = 0_u64;
    // SAFETY: the kernel writes one word.
    checked(unsafe { libc::syscall(libc::SYS_io_setup, entries, &raw mut id) })?;
    Ok(id)
}

/// Asks a ring for what has ended, without waiting.
pub(crate) fn aio_ended(ring: u64) -> io::Result<i64> {
    let (mut events, now) = ([0_u64; 4], libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: room for one event of 32 bytes; the time outlives the call.
    checked(unsafe { libc::syscall(libc::SYS_io_getevents, ring, 0, 1, events.as_mut_ptr(), &raw const now) })
}

/// Sets who gets a descriptor's signals, and which.
pub(crate) fn set_owner(file: &File, pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes numbers alone.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETOWN, pid) })?;
    // SAFETY: takes numbers alone.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), F_SETSIG, signal) }).map(drop)
}

/// Who gets them, and which.
pub(crate) fn owner(file: &File) -> io::Result<(i64, i64)> {
    // SAFETY: takes numbers alone.
    let pid = checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETOWN) })?;
    // SAFETY: takes numbers alone.
    Ok((pid, checked(unsafe { libc::fcntl(file.as_raw_fd(), F_GETSIG) })?))
}

/// fcntl.h of Linux; the crate libc does not have them.
const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;

/// Takes a lease of this kind (`F_RDLCK`), or gives it back (`F_UNLCK`).
pub(crate) fn set_lease(file: &File, kind: i32) -> io::Result<()> {
    // SAFETY: takes numbers alone.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) }).map(drop)
}

/// The lease that is held.
pub(crate) fn lease(file: &File) -> io::Result<i32> {
    // SAFETY: takes numbers alone.
    let kind = checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) })?;
    i32::try_from(kind).map_err(io::Error::other)
}

/// Sets an extended attribute.
pub(crate) fn set_xattr(file: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    let (file, name) = (path(file)?, CString::new(name)?);
    // SAFETY: strings and value outlive the call, and the length is the value's.
    let done = unsafe { libc::setxattr(file.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    checked(done).map(drop)
}

/// Reads one, of at most 256 bytes.
pub(crate) fn xattr(file: &Path, name: &str) -> io::Result<Vec<u8>> {
    let (file, name) = (path(file)?, CString::new(name)?);
    let mut value = vec![0_u8; 256];
    // SAFETY: the buffer is as long as said.
    let read = unsafe { libc::getxattr(file.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    let length = checked(i64::try_from(read).map_err(io::Error::other)?)?;
    value.truncate(usize::try_from(length).map_err(io::Error::other)?);
    Ok(value)
}

/// A second descriptor of a file under this number, which must be free.
pub(crate) fn duplicate_as(of: &File, number: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers; F_DUPFD gives one that nobody has, not below the number asked for.
    descriptor(i64::from(unsafe { libc::fcntl(of.as_raw_fd(), libc::F_DUPFD, number) }))
}

/// A descriptor that a message has brought.
pub(crate) fn received(fd: std::os::fd::RawFd) -> io::Result<File> {
    // SAFETY: the kernel made it for us with the message, and its receiver takes it once.
    descriptor(i64::from(fd)).map(File::from)
}

/// Names this process.
pub(crate) fn name_process(name: &std::ffi::CStr) -> io::Result<()> {
    // SAFETY: a C string that outlives the call.
    checked(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) }).map(drop)
}
