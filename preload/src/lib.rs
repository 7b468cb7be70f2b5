//! One call of CRIU's page server, made to work without `CAP_SYS_RESOURCE`.
//!
//! `pipe_read_dest_init` in `criu/page-pipe.c` (criu 4.2.1) asks for a pipe of 819 pages, which the kernel grants above
//! `/proc/sys/fs/pipe-max-size` (1 MiB) only with that capability. Without it the function returns before it has opened
//! its sink, says nothing, and its caller goes on: no lazy page can be served then (`splice: -1: Bad file descriptor`).
//! The pages themselves lie in pipes of at most 1 MiB on such a machine, so that a pipe of 1 MiB is enough.
//!
//! No other call may be touched: where CRIU makes a pipe larger for its pages, it needs the refusal, to open another.
#![expect(unsafe_code, reason = "stands in for a function of the C library")]

use libc::{F_GETPIPE_SZ, F_SETPIPE_SZ, RTLD_NEXT, c_char, c_int, c_long};
use std::ffi::CStr;
use std::mem::transmute;
use std::sync::OnceLock;

/// What CRIU asks for: its `PIPE_MAX_SIZE` in pages of 4 KiB.
const ASKED: c_long = 819 * 4096;
/// What a pipe has that was never made larger.
const FRESH: c_int = 64 << 10;
/// What the kernel grants anybody by default.
const GRANTED: c_long = 1 << 20;

type Fcntl = unsafe extern "C" fn(c_int, c_int, ...) -> c_int;

/// `fcntl` as programs with small files know it.
///
/// # Safety
/// As the C library's. The argument is read whether or not there is one, as the C library does it: it comes in a register.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: c_long) -> c_int {
    static NEXT: OnceLock<Option<Fcntl>> = OnceLock::new();
    // SAFETY: the caller's promise.
    unsafe { call(*NEXT.get_or_init(|| next(c"fcntl")), fd, command, argument) }
}

/// `fcntl` as programs with large files know it: what CRIU calls.
///
/// # Safety
/// See [`fcntl`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fcntl64(fd: c_int, command: c_int, argument: c_long) -> c_int {
    static NEXT: OnceLock<Option<Fcntl>> = OnceLock::new();
    // SAFETY: the caller's promise.
    unsafe { call(*NEXT.get_or_init(|| next(c"fcntl64")), fd, command, argument) }
}

/// The function that this one stands before.
fn next(name: &CStr) -> Option<Fcntl> {
    let name: *const c_char = name.as_ptr();
    // SAFETY: the name is a C string; what is found under it has been a function of this form since the C library has it.
    unsafe { transmute::<*mut libc::c_void, Option<Fcntl>>(libc::dlsym(RTLD_NEXT, name)) }
}

unsafe fn call(next: Option<Fcntl>, fd: c_int, command: c_int, argument: c_long) -> c_int {
    let Some(next) = next else {
        // SAFETY: the thread's own errno.
        unsafe { *libc::__errno_location() = libc::ENOSYS };
        return -1;
    };
    // SAFETY: the caller's promise.
    let done = unsafe { next(fd, command, argument) };
    if done >= 0 || command != F_SETPIPE_SZ || argument != ASKED {
        return done;
    }
    // SAFETY: neither takes a pointer.
    let refused = unsafe { *libc::__errno_location() } == libc::EPERM;
    let fresh = refused && unsafe { next(fd, F_GETPIPE_SZ) } == FRESH;
    // SAFETY: likewise. A refusal of this one leaves errno as the caller has to see it.
    if fresh { unsafe { next(fd, F_SETPIPE_SZ, GRANTED) } } else { done }
}
