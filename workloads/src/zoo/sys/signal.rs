//! Signals and interval timers.

use super::checked;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How often each signal has come to [`count`].
static CAUGHT: [AtomicU32; 65] = [const { AtomicU32::new(0) }; 65];

extern "C" fn count(signal: libc::c_int) {
    if let Some(caught) = usize::try_from(signal).ok().and_then(|at| CAUGHT.get(at)) {
        caught.fetch_add(1, Ordering::SeqCst);
    }
}

/// Has a signal counted from now on; with these flags (`SA_ONSTACK`).
pub(crate) fn count_signal(signal: i32, flags: i32) -> io::Result<()> {
    // SAFETY: a structure of numbers and a null pointer, for which zero is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count as extern "C" fn(libc::c_int) as libc::sighandler_t;
    action.sa_flags = flags | libc::SA_RESTART;
    // SAFETY: the handler does nothing but add to an atomic; the structure outlives the call.
    checked(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }).map(drop)
}

/// How often it has come.
pub(crate) fn caught(signal: i32) -> u32 {
    usize::try_from(signal).ok().and_then(|at| CAUGHT.get(at)).map_or(0, |n| n.load(Ordering::SeqCst))
}

/// Sends this process a signal.
pub(crate) fn raise(signal: i32) -> io::Result<()> {
    // SAFETY: takes a number.
    checked(unsafe { libc::raise(signal) }).map(drop)
}

/// The mask of signals as bits; the first signal is bit 0.
fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: sigemptyset makes it a value whatever it was; zero is one already.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    for signal in signals {
        // SAFETY: the set is a value.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    set
}

/// Blocks signals of this thread.
pub(crate) fn block(signals: &[i32]) -> io::Result<()> {
    let set = set_of(signals);
    // SAFETY: the set outlives the call.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) } {
        0 => Ok(()),
        e => Err(io::Error::from_raw_os_error(e)),
    }
}

/// Queues a signal with a value for this process.
pub(crate) fn queue(signal: i32, value: usize) -> io::Result<()> {
    let value = libc::sigval { sival_ptr: value as *mut libc::c_void };
    // SAFETY: takes numbers; the pointer is a number that nobody follows.
    checked(unsafe { libc::sigqueue(libc::getpid(), signal, value) }).map(drop)
}

/// Takes a pending signal with its value; `None` if none of them is pending.
pub(crate) fn take(signals: &[i32]) -> io::Result<Option<(i32, usize)>> {
    let (set, now) = (set_of(signals), libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: a structure of numbers, which the kernel fills.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: all three outlive the call.
    match unsafe { libc::sigtimedwait(&raw const set, &raw mut info, &raw const now) } {
        -1 => match io::Error::last_os_error() {
            e if e.raw_os_error() == Some(libc::EAGAIN) => Ok(None),
            e => Err(e),
        },
        // SAFETY: these signals were queued, so the structure has a value.
        signal => Ok(Some((signal, unsafe { info.si_value() }.sival_ptr as usize))),
    }
}

/// A stack of one's own for signal handlers.
pub(crate) struct AltStack(Vec<u8>);

impl AltStack {
    /// Sets one of 64 KiB.
    pub(crate) fn set() -> io::Result<Self> {
        let mut memory = vec![0_u8; 64 << 10];
        let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: memory.len() };
        // SAFETY: the memory lives as long as the returned value, whose cell lives as long as the process.
        checked(unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) })?;
        Ok(AltStack(memory))
    }

    /// Whether it is the stack that is set now.
    pub(crate) fn is_set(&self) -> io::Result<bool> {
        // SAFETY: a structure of numbers and a pointer, which the kernel fills.
        let mut now: libc::stack_t = unsafe { std::mem::zeroed() };
        // SAFETY: the structure outlives the call.
        checked(unsafe { libc::sigaltstack(std::ptr::null(), &raw mut now) })?;
        Ok(std::ptr::eq(now.ss_sp.cast(), self.0.as_ptr()) && now.ss_size == self.0.len())
    }
}

fn time(of: Duration) -> libc::timeval {
    libc::timeval { tv_sec: of.as_secs().cast_signed(), tv_usec: i64::from(of.subsec_micros()) }
}

/// Sets an interval timer: when it fires first, and how often then.
pub(crate) fn set_interval(which: i32, first: Duration, then: Duration) -> io::Result<()> {
    let value = libc::itimerval { it_interval: time(then), it_value: time(first) };
    // SAFETY: the structure outlives the call.
    checked(unsafe { libc::setitimer(which, &raw const value, std::ptr::null_mut()) }).map(drop)
}

/// What is left until it fires, and its interval; in microseconds.
pub(crate) fn interval(which: i32) -> io::Result<(i64, i64)> {
    // SAFETY: a structure of numbers, which the kernel fills.
    let mut now: libc::itimerval = unsafe { std::mem::zeroed() };
    // SAFETY: the structure outlives the call.
    checked(unsafe { libc::getitimer(which, &raw mut now) })?;
    let micros = |t: libc::timeval| t.tv_sec * 1_000_000 + t.tv_usec;
    Ok((micros(now.it_value), micros(now.it_interval)))
}
