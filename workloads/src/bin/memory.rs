//! Holds a given amount of memory filled from a seed, dirties it at a given rate, and judges every word of it on
//! request. A line a question: `HASH`, `STATE`, `GET`, `DIRTY on|off|<MiB/s>`, `ECHO text`. It listens when the memory
//! is filled, not before.

use podferry_workloads::{Boot, Options, PAGE, Pages, end_on_signals, listen, serve};
use std::error::Error;
use std::io::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const PAGES_PER_MIB: usize = (1 << 20) / (PAGE * 8);
const TICK: Duration = Duration::from_millis(1);
/// A tick that came later than this is not made up for: after a freeze there is no burst.
const MOST_AT_ONCE: Duration = Duration::from_millis(20);

struct Memory {
    boot: Boot,
    seed: u64,
    pages: Mutex<Pages>,
    /// MiB a second when on; and whether it is on.
    rate: Mutex<(f64, bool)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    fn dirty_for_ever(&self) -> ! {
        let mut last = Instant::now();
        let mut owed = 0.0;
        loop {
            std::thread::sleep(TICK);
            let passed = last.elapsed().min(MOST_AT_ONCE);
            last = Instant::now();
            let (rate, on) = *locked(&self.rate);
            owed = if on { owed + rate * PAGES_PER_MIB as f64 * passed.as_secs_f64() } else { 0.0 };
            if owed >= 1.0 {
                locked(&self.pages).dirty(owed as usize);
                owed = owed.fract();
            }
        }
    }

    fn answer(&self, line: &str) -> String {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("GET", "") => locked(&self.pages).dirtied().to_string(),
            // The lock is held for the whole pass: what is judged is one instant.
            ("HASH", "") => locked(&self.pages).check().to_string(),
            ("STATE", "") => self.describe(),
            ("ECHO", text) => text.to_owned(),
            ("DIRTY", how) => self.set_dirty(how),
            _ => format!("error: unknown request `{line}`"),
        }
    }

    fn set_dirty(&self, how: &str) -> String {
        let mut rate = locked(&self.rate);
        match (how, how.parse::<f64>()) {
            ("on", _) => rate.1 = true,
            ("off", _) => rate.1 = false,
            (_, Ok(r)) if r.is_finite() && r >= 0.0 => *rate = (r, true),
            _ => return format!("error: DIRTY takes on, off or a rate in MiB/s, not `{how}`"),
        }
        "ok".to_owned()
    }

    fn describe(&self) -> String {
        let (pages, dirtied) = {
            let pages = locked(&self.pages);
            (pages.len(), pages.dirtied())
        };
        let (rate, on) = *locked(&self.rate);
        format!(
            r#"{{{},"seed":{},"pages":{pages},"dirtied":{dirtied},"dirty_mib_s":{}}}"#,
            self.boot.json_members(),
            self.seed,
            if on { rate } else { 0.0 },
        )
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1), &["port", "mib", "seed", "dirty-mib-s", "bind"])?;
    let mib: usize = options.get("mib", 16)?;
    if !(1..=1 << 20).contains(&mib) {
        return Err(format!("--mib: {mib} is not within 1 .. 1048576").into());
    }
    let rate: f64 = options.get("dirty-mib-s", 0.0)?;
    if !(rate.is_finite() && rate >= 0.0) {
        return Err(format!("--dirty-mib-s: {rate} is not a rate").into());
    }
    let seed = options.get("seed", 1)?;
    let memory = Arc::new(Memory {
        boot: Boot::new()?,
        seed,
        pages: Mutex::new(Pages::new(seed, mib * PAGES_PER_MIB)),
        rate: Mutex::new((rate, rate > 0.0)),
    });
    let listener = listen(options.get("bind", IpAddr::from([0, 0, 0, 0]))?, options.get("port", 7001)?)?;
    let dirtying = Arc::clone(&memory);
    std::thread::Builder::new().spawn(move || dirtying.dirty_for_ever())?;
    serve(&listener, move |line| memory.answer(line))
}

fn main() -> ExitCode {
    end_on_signals();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "memory: {e}");
            ExitCode::from(2)
        }
    }
}
