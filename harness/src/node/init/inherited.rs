#![expect(unsafe_code, reason = "neither the standard library nor nix or rustix wraps close_range")]

use nix::errno::Errno;
use nix::libc;

/// Keeps from the node's programs every file that PID 1 got from the shell, the CI runner or whatever else started the
/// harness. One of them in a container would make CRIU refuse to dump it. (Linux 5.11)
pub(super) fn hide_from_programs() -> nix::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC.cast_signed();
    // SAFETY: it takes numbers only, and sets a flag that matters when a program is executed; nothing is closed here.
    Errno::result(unsafe { libc::close_range(3, libc::c_uint::MAX, flags) }).map(drop)
}
