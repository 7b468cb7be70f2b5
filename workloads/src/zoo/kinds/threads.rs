//! Threads.

use crate::zoo::kind::{Area, Kind, Label, lost, same};
use crate::zoo::sys::registers::through_a_read;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
use std::cell::Cell;
use std::fs;
use std::io::{self, PipeWriter, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a thread may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
const COUNT: usize = 4;

thread_local! {
    static OWN: Cell<usize> = const { Cell::new(0) };
}

/// Threads that wait on a condition, each with a name and a value of its own.
pub(super) struct Threads {
    turn: Arc<(Mutex<u64>, Condvar)>,
    answers: Receiver<(String, usize, u64)>,
    turns: u64,
}

impl Kind for Threads {
    const LABEL: Label =
        Label::new("threads", Area::Processes, "threads that wait on a futex, with names and values of their own")
            .zdtm("pthread00 pthread01 pthread02 futex futex-rl pthread_timers")
            .outside(&["status.Threads", "tasks"]);

    fn hold() -> io::Result<Self> {
        let turn = Arc::new((Mutex::new(0), Condvar::new()));
        let (sender, answers) = channel();
        for number in 1..=COUNT {
            let (turn, sender) = (Arc::clone(&turn), sender.clone());
            thread::Builder::new().name(format!("keeper-{number}")).spawn(move || wait(number, &turn, &sender))?;
        }
        Ok(Threads { turn, answers, turns: 0 })
    }

    fn verify(&mut self) -> io::Result<String> {
        self.turns += 1;
        *self.turn.0.lock().unwrap_or_else(PoisonError::into_inner) = self.turns;
        self.turn.1.notify_all();
        let mut answered = Vec::new();
        for _ in 0..COUNT {
            let answer = self.answers.recv_timeout(PATIENCE);
            answered.push(answer.map_err(|e| io::Error::other(format!("{} threads answered: {e}", answered.len())))?);
        }
        answered.sort();
        let wanted: Vec<_> = (1..=COUNT).map(|n| (format!("keeper-{n}"), n, self.turns)).collect();
        same("what the threads are", &wanted, &answered)?;
        Ok(format!("{COUNT} threads woke up, turn {}", self.turns))
    }
}

fn wait(number: usize, turn: &(Mutex<u64>, Condvar), answers: &Sender<(String, usize, u64)>) {
    OWN.set(number);
    let mut last = 0;
    loop {
        let mut now = turn.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *now == last {
            now = turn.1.wait(now).unwrap_or_else(PoisonError::into_inner);
        }
        last = *now;
        drop(now);
        let name = fs::read_to_string("/proc/thread-self/comm").unwrap_or_default().trim().to_owned();
        if answers.send((name, OWN.get(), last)).is_err() {
            return;
        }
    }
}

/// A thread in the middle of a long sleep.
pub(super) struct Sleeper(Arc<AtomicBool>);

impl Kind for Sleeper {
    const LABEL: Label = Label::new("sleep", Area::Processes, "a thread in the middle of a sleep of an hour")
        .zdtm("sleeping00 restartable-sequence");

    fn hold() -> io::Result<Self> {
        let woke = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&woke);
        thread::Builder::new().spawn(move || {
            // One call: std would sleep on after an interruption.
            let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::empty(), &TimeSpec::new(3600, 0));
            of_thread.store(true, Ordering::SeqCst);
        })?;
        Ok(Sleeper(woke))
    }

    fn verify(&mut self) -> io::Result<String> {
        if self.0.load(Ordering::SeqCst) { lost("the sleep ended early") } else { Ok("it sleeps on".to_owned()) }
    }
}

/// A thread that waits in the kernel with known numbers in registers of the floating-point unit.
pub(super) struct Registers {
    wake: PipeWriter,
    answers: Receiver<io::Result<[u8; 32]>>,
}

const NUMBERS: [u8; 32] = *b"numbers in vector registers, 32 ";

impl Kind for Registers {
    const LABEL: Label =
        Label::new("fpu-registers", Area::Processes, "numbers in vector registers while a thread waits")
            .zdtm("fpu00 fpu01 mmx00 sse00 sse20 fpu02 fpu03");

    fn hold() -> io::Result<Self> {
        if !cfg!(target_arch = "x86_64") {
            return Err(crate::zoo::kind::absent("registers are held on x86_64 only"));
        }
        let (from, wake) = io::pipe()?;
        let (sender, answers) = channel();
        thread::Builder::new()
            .spawn(move || while sender.send(through_a_read(from.as_raw_fd(), NUMBERS)).is_ok() {})?;
        Ok(Registers { wake, answers })
    }

    fn verify(&mut self) -> io::Result<String> {
        self.wake.write_all(b"x")?;
        let answer = self.answers.recv_timeout(PATIENCE).map_err(|e| io::Error::other(format!("its thread: {e}")))?;
        same("the registers", &NUMBERS, &answer?)?;
        Ok("32 bytes in xmm8 and xmm9".to_owned())
    }
}
