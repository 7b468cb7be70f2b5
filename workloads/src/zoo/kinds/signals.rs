//! Signals.

use crate::zoo::kind::{Area, Kind, Label, same};
use crate::zoo::sys::signal::{AltStack, block, caught, count_signal, queue, raise, take};
use std::io;

/// Signals that wait until they are let through.
pub(super) struct Pending;

/// A real-time signal, of which each that is sent waits.
const REAL_TIME: i32 = 40;

fn send() -> io::Result<()> {
    queue(libc::SIGUSR1, 5)?;
    queue(REAL_TIME, 6)?;
    queue(REAL_TIME, 7)
}

impl Kind for Pending {
    const LABEL: Label = Label::new("signals-pending", Area::Signals, "blocked signals that wait, with their values")
        .zdtm("sigpending sigtrap sigtrap01")
        .outside(&["status.SigBlk", "status.SigPnd", "status.ShdPnd"]);

    fn hold() -> io::Result<Self> {
        block(&[libc::SIGUSR1, REAL_TIME])?;
        send()?;
        Ok(Pending)
    }

    fn verify(&mut self) -> io::Result<String> {
        let mut found = Vec::new();
        while let Some(one) = take(&[libc::SIGUSR1, REAL_TIME])? {
            found.push(one);
        }
        send()?;
        same("what waits", &vec![(libc::SIGUSR1, 5), (REAL_TIME, 6), (REAL_TIME, 7)], &found)?;
        Ok("SIGUSR1 with 5, signal 40 with 6 and 7".to_owned())
    }
}

/// Handlers, and a stack of their own.
pub(super) struct Handlers {
    stack: AltStack,
    caught: u32,
}

impl Kind for Handlers {
    const LABEL: Label =
        Label::new("signal-handlers", Area::Signals, "a handler on a stack of its own, and a signal that is ignored")
            .zdtm("sigaltstack signals00 busyloop00")
            .outside(&["status.SigCgt", "status.SigIgn"]);

    fn hold() -> io::Result<Self> {
        let stack = AltStack::set()?;
        count_signal(libc::SIGUSR1, libc::SA_ONSTACK)?;
        Ok(Handlers { stack, caught: 0 })
    }

    fn verify(&mut self) -> io::Result<String> {
        raise(libc::SIGUSR1)?;
        self.caught += 1;
        same("how often it was called", &self.caught, &caught(libc::SIGUSR1))?;
        same("that the stack is set", &true, &self.stack.is_set()?)?;
        Ok(format!("called {} times", self.caught))
    }
}
