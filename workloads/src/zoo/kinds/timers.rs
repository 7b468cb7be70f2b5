//! Timers and clocks.

use crate::zoo::kind::{Area, Kind, Label, lost, same};
use crate::zoo::sys::signal::{caught, count_signal, interval, set_interval};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigEvent, SigevNotify, Signal};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};
use std::io;
use std::time::{Duration, SystemTime};

const fn label(name: &'static str, about: &'static str) -> Label {
    Label::new(name, Area::Time, about)
}

const OFTEN: Duration = Duration::from_millis(20);
const HOUR: Duration = Duration::from_secs(3600);
/// How much later than it should a timer may have come before it counts as lost.
const LATE: Duration = Duration::from_millis(500);

/// Waits until a signal was caught more often than that.
fn fires(signal: i32) -> io::Result<()> {
    let (before, end) = (caught(signal), std::time::Instant::now() + LATE);
    while caught(signal) == before {
        if std::time::Instant::now() > end {
            return lost(format!("it has not fired within {LATE:?}"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// An interval timer of real time.
pub(super) struct Interval;

impl Kind for Interval {
    const LABEL: Label = label("interval-timer", "an interval timer of real time that fires each 20 ms").zdtm("timers");

    fn hold() -> io::Result<Self> {
        count_signal(libc::SIGALRM, 0)?;
        set_interval(libc::ITIMER_REAL, OFTEN, OFTEN)?;
        Ok(Interval)
    }

    fn verify(&mut self) -> io::Result<String> {
        fires(libc::SIGALRM)?;
        same("its interval", &20_000, &interval(libc::ITIMER_REAL)?.1)?;
        Ok(format!("fired {} times", caught(libc::SIGALRM)))
    }
}

/// Interval timers of the processor's time.
pub(super) struct CpuIntervals;

impl Kind for CpuIntervals {
    const LABEL: Label =
        label("cpu-interval-timers", "interval timers of the processor's time, far from firing").zdtm("timers");

    fn hold() -> io::Result<Self> {
        for which in [libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
            set_interval(which, HOUR, Duration::from_secs(50))?;
        }
        Ok(CpuIntervals)
    }

    fn verify(&mut self) -> io::Result<String> {
        for which in [libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
            let (left, then) = interval(which)?;
            same("the interval", &50_000_000, &then)?;
            same("that it has most of its hour", &true, &((3_500_000_000..=3_601_000_000).contains(&left)))?;
        }
        Ok("both have their hour".to_owned())
    }
}

/// Timers of POSIX.
pub(super) struct Posix {
    fast: Timer,
    slow: Timer,
}

fn timer(signal: Signal, first: Duration, then: Option<Duration>) -> io::Result<Timer> {
    let notify = SigEvent::new(SigevNotify::SigevSignal { signal, si_value: 0 });
    let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, notify)?;
    let when = match then {
        Some(then) => Expiration::IntervalDelayed(first.into(), then.into()),
        None => Expiration::OneShot(first.into()),
    };
    timer.set(when, TimerSetTimeFlags::empty())?;
    Ok(timer)
}

impl Kind for Posix {
    const LABEL: Label = label("posix-timers", "timers of POSIX: one that fires each 20 ms, one in an hour")
        .zdtm("posix_timers dead_thread_posix_timer pthread_timers pthread_timers_h")
        .outside(&["timers"]);

    fn hold() -> io::Result<Self> {
        count_signal(libc::SIGUSR2, 0)?;
        count_signal(libc::SIGALRM, 0)?;
        Ok(Posix { fast: timer(Signal::SIGUSR2, OFTEN, Some(OFTEN))?, slow: timer(Signal::SIGALRM, HOUR, None)? })
    }

    fn verify(&mut self) -> io::Result<String> {
        fires(libc::SIGUSR2)?;
        let Some(Expiration::IntervalDelayed(_, then)) = self.fast.get()? else {
            return lost("the fast one is not set");
        };
        same("the fast one's interval", &OFTEN, &then.into())?;
        let Some(Expiration::OneShot(left)) = self.slow.get()? else { return lost("the slow one is not set") };
        let left = Duration::from(left);
        same(
            "that the slow one has most of its hour",
            &true,
            &(left > HOUR - Duration::from_secs(600) && left <= HOUR),
        )?;
        same("signals of the slow one", &0, &caught(libc::SIGALRM))?;
        Ok(format!("the slow one has {} s left", left.as_secs()))
    }
}

/// The clock that only goes on.
pub(super) struct Monotonic([Duration; 2]);

fn now(clock: ClockId) -> io::Result<Duration> {
    Ok(clock_gettime(clock)?.into())
}

impl Monotonic {
    fn read() -> io::Result<[Duration; 2]> {
        Ok([now(ClockId::CLOCK_MONOTONIC)?, now(ClockId::CLOCK_BOOTTIME)?])
    }
}

impl Kind for Monotonic {
    const LABEL: Label = label("clock-monotonic", "that the clocks since the start of the machine only go on")
        .zdtm("timens_nested timens_for_kids time uptime_grow vdso00 vdso01 vdso02 vdso-proxy");

    fn hold() -> io::Result<Self> {
        Ok(Monotonic(Monotonic::read()?))
    }

    fn verify(&mut self) -> io::Result<String> {
        let read = Monotonic::read()?;
        let passed = [0, 1].map(|i| read[i].checked_sub(self.0[i]));
        self.0 = read;
        match passed {
            [Some(one), Some(other)] if one < HOUR && other < HOUR => {
                Ok(format!("{} ms since the last look", one.as_millis()))
            }
            other => lost(format!("since the last look have passed {other:?}")),
        }
    }
}

/// The clock of the day.
pub(super) struct Realtime(SystemTime);

impl Kind for Realtime {
    const LABEL: Label = label("clock-realtime", "that the clock of the day goes on").zdtm("time");

    fn hold() -> io::Result<Self> {
        Ok(Realtime(SystemTime::now()))
    }

    fn verify(&mut self) -> io::Result<String> {
        let read = SystemTime::now();
        let passed =
            read.duration_since(self.0).map_err(|e| io::Error::other(format!("it went back by {:?}", e.duration())))?;
        self.0 = read;
        if passed < HOUR {
            Ok(format!("{} ms since the last look", passed.as_millis()))
        } else {
            lost(format!("{passed:?} have passed"))
        }
    }
}

/// How much time of the processor it has had.
pub(super) struct CpuTime(Duration);

fn used() -> io::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let of = |t: nix::sys::time::TimeVal| {
        Duration::from_micros(u64::try_from(t.tv_sec() * 1_000_000 + t.tv_usec()).unwrap_or(0))
    };
    Ok(of(usage.user_time()) + of(usage.system_time()))
}

impl Kind for CpuTime {
    const LABEL: Label = label("cpu-time", "how much of the processor's time it has had");

    fn hold() -> io::Result<Self> {
        let end = used()? + Duration::from_millis(60);
        while used()? < end {
            std::hint::spin_loop();
        }
        Ok(CpuTime(used()?))
    }

    fn verify(&mut self) -> io::Result<String> {
        let read = used()?;
        same("that it is no less than before", &true, &(read >= self.0))
            .map_err(|_| io::Error::other(format!("it was {} ms, is {} ms", self.0.as_millis(), read.as_millis())))?;
        self.0 = read;
        Ok(format!("{} ms", read.as_millis()))
    }
}
