//! Descriptors that wait for things.

use crate::kernel::Watch;
use crate::zoo::kind::{Area, Kind, Label, home, same};
use crate::zoo::sys::signal;
use nix::sys::epoll::{Epoll as NixEpoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd as NixEventFd};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd as NixSignalFd};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd as NixTimerFd, TimerFlags, TimerSetTimeFlags};
use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::time::{Duration, Instant};

const fn label(name: &'static str, about: &'static str) -> Label {
    Label::new(name, Area::Events, about).outside(&["fd."])
}

/// A set of descriptors that are waited for.
pub(super) struct Epoll {
    set: NixEpoll,
    quiet: (PipeReader, PipeWriter),
    ready: (PipeReader, PipeWriter),
}

impl Epoll {
    fn waiting(&self) -> io::Result<Vec<u64>> {
        let mut events = [EpollEvent::empty(); 4];
        let count = self.set.wait(&mut events, EpollTimeout::ZERO)?;
        let mut found: Vec<u64> = events[..count].iter().map(EpollEvent::data).collect();
        found.sort_unstable();
        Ok(found)
    }
}

impl Kind for Epoll {
    const LABEL: Label =
        label("epoll", "a set of descriptors that are waited for, with numbers of their own; one is ready")
            .zdtm("epoll epoll01 eventfs00 poll");

    fn hold() -> io::Result<Self> {
        let set = NixEpoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let (quiet, mut ready) = (io::pipe()?, io::pipe()?);
        set.add(&quiet.0, EpollEvent::new(EpollFlags::EPOLLIN, 0xdead_beef_0001))?;
        set.add(&ready.0, EpollEvent::new(EpollFlags::EPOLLIN, 0xdead_beef_0002))?;
        ready.1.write_all(b"x")?;
        Ok(Epoll { set, quiet, ready })
    }

    fn verify(&mut self) -> io::Result<String> {
        same("what is ready", &vec![0xdead_beef_0002], &self.waiting()?)?;
        self.quiet.1.write_all(b"x")?;
        let both = self.waiting()?;
        self.quiet.0.read_exact(&mut [0])?;
        same("what is ready when both are", &vec![0xdead_beef_0001, 0xdead_beef_0002], &both)?;
        self.ready.0.read_exact(&mut [0])?;
        self.ready.1.write_all(b"x")?;
        Ok("two descriptors, one ready".to_owned())
    }
}

/// A counter that can be waited for.
pub(super) struct EventFd(NixEventFd);

impl Kind for EventFd {
    const LABEL: Label = label("eventfd", "a counter that can be waited for, and its value").zdtm("eventfs00");

    fn hold() -> io::Result<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(EventFd(NixEventFd::from_value_and_flags(4321, flags)?))
    }

    fn verify(&mut self) -> io::Result<String> {
        let value = self.0.read()?;
        self.0.write(4321)?;
        same("its value", &4321, &value)?;
        Ok("4321".to_owned())
    }
}

/// Signals that come by a descriptor.
pub(super) struct SignalFd(NixSignalFd);

impl Kind for SignalFd {
    const LABEL: Label = label("signalfd", "signals that come by a descriptor; one is waiting").zdtm("signalfd00");

    fn hold() -> io::Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGUSR2);
        set.thread_block()?;
        let fd = NixSignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        signal::queue(libc::SIGUSR2, 77)?;
        Ok(SignalFd(fd))
    }

    fn verify(&mut self) -> io::Result<String> {
        let came = self.0.read_signal()?.map(|s| (s.ssi_signo, s.ssi_ptr));
        signal::queue(libc::SIGUSR2, 77)?;
        same("the signal and its value", &Some((libc::SIGUSR2.cast_unsigned(), 77)), &came)?;
        Ok("SIGUSR2 with 77".to_owned())
    }
}

/// A timer that can be waited for.
pub(super) struct TimerFd {
    fast: NixTimerFd,
    slow: NixTimerFd,
    set: Instant,
}

const SLOW: Duration = Duration::from_secs(3600);

impl Kind for TimerFd {
    const LABEL: Label =
        label("timerfd", "timers that can be waited for: one that fires each 20 ms, one in an hour").zdtm("timerfd");

    fn hold() -> io::Result<Self> {
        let new = || NixTimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK);
        let (fast, slow) = (new()?, new()?);
        let at = |d: Duration| nix::sys::time::TimeSpec::from(d);
        let often = Duration::from_millis(20);
        fast.set(Expiration::IntervalDelayed(at(often), at(often)), TimerSetTimeFlags::empty())?;
        slow.set(Expiration::OneShot(at(SLOW)), TimerSetTimeFlags::empty())?;
        Ok(TimerFd { fast, slow, set: Instant::now() })
    }

    fn verify(&mut self) -> io::Result<String> {
        std::thread::sleep(Duration::from_millis(30));
        self.fast.wait().map_err(|e| io::Error::other(format!("the fast one has not fired: {e}")))?;
        let Some(Expiration::OneShot(left)) = self.slow.get()? else {
            return Err(io::Error::other("the slow one is not set"));
        };
        let left = Duration::from(left);
        // It stands still while the process does: what is left may be more than the clock says, never less.
        let least = SLOW.saturating_sub(self.set.elapsed() + Duration::from_secs(1));
        same("that the slow one has its hour", &true, &(left >= least && left <= SLOW))?;
        Ok(format!("the slow one has {} s left", left.as_secs()))
    }
}

/// A watch on a folder.
pub(super) struct Inotify(Watch);

impl Kind for Inotify {
    const LABEL: Label = label("inotify", "a watch on a folder of the root file system")
        .zdtm("inotify00 inotify01 inotify02 inotify04 inotify_irmap inotify_system inotify_system_nodel fanotify00 config_inotify_irmap")
        .alone("CRIU finds what is watched by handles, which an overlay file system does not give");

    fn hold() -> io::Result<Self> {
        let folder = home().join("watched");
        fs::create_dir_all(&folder)?;
        Ok(Inotify(Watch::of(folder.to_str().unwrap_or_default())?))
    }

    fn verify(&mut self) -> io::Result<String> {
        let file = home().join("watched/new");
        File::create(&file)?;
        fs::remove_file(&file)?;
        same("that it told of a new file", &true, &self.0.delivered()?)?;
        Ok("it told of a new file".to_owned())
    }
}
