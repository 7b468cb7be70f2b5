#![expect(unsafe_code, reason = "std has no way to install a signal handler")]

extern "C" fn leave(_signal: libc::c_int) {
    // SAFETY: `_exit` is async-signal-safe and takes any status.
    unsafe { libc::_exit(0) }
}

/// Ends the process with code 0 on SIGTERM and SIGINT. The kernel drops signals that process 1 has no handler for, so
/// without this a container could only be stopped by SIGKILL, after the engine's grace time.
pub fn end_on_signals() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: `leave` has the signature of a handler, lives for ever, and does nothing but `_exit`.
        unsafe {
            libc::signal(signal, leave as extern "C" fn(libc::c_int) as libc::sighandler_t);
        }
    }
}
