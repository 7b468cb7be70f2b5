#![expect(unsafe_code, reason = "neither the standard library nor nix or rustix wraps sched_setscheduler")]

use nix::libc;

/// Lets the calling thread run before all others of the machine, as far as the kernel allows. Only for what lasts some
/// milliseconds.
pub(super) fn before_all_others() {
    // SAFETY: it reads a structure of one number, and concerns the calling thread (0) alone.
    let refused =
        unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &libc::sched_param { sched_priority: 1 }) } != 0;
    if refused {
        let _ = rustix::process::setpriority_process(None, -20);
    }
}
