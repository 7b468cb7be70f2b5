//! The one clock that everything is timed by.

use crate::record::At;
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The time on `CLOCK_MONOTONIC`. About 25 ns a call: the kernel's vDSO answers it without a system call.
pub fn now() -> At {
    // This clock is there on every Linux; only a bad address or a bad clock id makes the call fail.
    let t = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    At(u64::try_from(t.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::now;
    use std::time::Duration;

    #[test]
    fn it_goes_forward_as_time_does() {
        let a = now();
        std::thread::sleep(Duration::from_millis(2));
        let b = now();
        assert!(a.0 > 0 && b.since(a) >= Duration::from_millis(2), "{a:?} {b:?}");
    }
}
