//! Counts up at a fixed pace, remembers every value twice (in memory, and in a file of the container's root), and says
//! so over TCP, a line a question: `GET`, `STATE`, `JOURNAL`, `ECHO text`, `FILE`.

use podferry_workloads::{Boot, Hold, Options, PAGE, Pages, Startup, end_on_signals, json_string, listen, serve};
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write as _};
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

struct Counter {
    boot: Boot,
    interval: Duration,
    path: String,
    growth: Growth,
    startup: Option<Startup>,
    held: Option<Hold>,
    /// Whether every value is printed too.
    log: bool,
    /// A file that is written once, at the start, and closed: nobody holds it when the process is dumped.
    note: String,
    state: Mutex<State>,
}

/// How much memory it takes, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Growth {
    /// More with each count.
    step: usize,
    /// At most; 0: without end.
    most: usize,
}

#[derive(Default)]
struct State {
    journal: Vec<u64>,
    /// The first error of the journal file. The counter counts on: it is the memory that is under test.
    file_error: Option<String>,
    /// What it has grown by. Written to, or the kernel would give no memory for it.
    grown: Vec<Vec<u8>>,
}

impl State {
    fn grown(&self) -> usize {
        self.grown.iter().map(Vec::len).sum()
    }
}

impl Counter {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn value(&self) -> u64 {
        self.state().journal.last().copied().unwrap_or(0)
    }

    /// One step: memory first, then the file, both under the lock, so that no answer falls between them.
    fn step(&self, file: Option<&mut File>) {
        let mut state = self.state();
        let value = state.journal.last().map_or(1, |v| v + 1);
        state.journal.push(value);
        let Growth { step, most } = self.growth;
        if step > 0 && (most == 0 || state.grown() + step <= most) {
            // No two pages alike and none of zeros: nobody may share or skip them.
            let page = |i: usize| (value << 20 | i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
            state.grown.push((0..step.div_ceil(8)).flat_map(page).take(step).collect());
        }
        if let Some(file) = file
            && let Err(e) = file.write_all(format!("{} {value}\n", self.boot.nonce).as_bytes())
        {
            state.file_error.get_or_insert_with(|| e.to_string());
        }
        // Under the lock too: what is answered is on its way to the log.
        if self.log {
            let _ = writeln!(std::io::stdout(), "{value}");
        }
    }

    /// Counts for ever. A pace that was missed is not made up for: after a freeze the counter goes on where it was, it
    /// does not run after the clock.
    fn count(&self, mut file: Option<File>) -> ! {
        let mut next = Instant::now();
        loop {
            next += self.interval;
            let now = Instant::now();
            match next.checked_duration_since(now) {
                Some(wait) => std::thread::sleep(wait),
                None => next = now,
            }
            self.step(file.as_mut());
        }
    }

    fn answer(&self, line: &str) -> String {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("GET", "") => self.value().to_string(),
            ("STATE", "") => self.describe(),
            ("JOURNAL", "") => {
                let mut out = String::new();
                for value in &self.state().journal {
                    let _ = write!(out, "{}{value}", if out.is_empty() { "" } else { " " });
                }
                out
            }
            ("ECHO", text) => text.to_owned(),
            ("FILE", "") => self.file().unwrap_or_else(|e| format!("error: can't read {}: {e}", self.path)),
            _ => format!("error: unknown request `{line}`"),
        }
    }

    fn describe(&self) -> String {
        let state = self.state();
        format!(
            r#"{{{}{},"counter":{},"interval_ms":{},"grown":{},"note":{},"file_error":{},"held":{}}}"#,
            self.boot.json_members(),
            self.startup.as_ref().map(Startup::json_members).unwrap_or_default(),
            state.journal.last().unwrap_or(&0),
            self.interval.as_secs_f64() * 1e3,
            state.grown(),
            self.noted().as_deref().map_or("null".to_owned(), json_string),
            state.file_error.as_deref().map_or("null".to_owned(), json_string),
            self.held(),
        )
    }

    /// What became of what it holds, in JSON: `"kept"`, or `"lost: ..."`.
    fn held(&self) -> String {
        match self.held.as_ref().map(Hold::look) {
            None => "null".to_owned(),
            Some(Ok(())) => json_string("kept"),
            Some(Err(e)) => json_string(&format!("lost: {e}")),
        }
    }

    /// What the note holds now; an error is told as it is, so that it is not taken for what was written.
    fn noted(&self) -> Option<String> {
        let read = || std::fs::read_to_string(&self.note).unwrap_or_else(|e| format!("can't read {}: {e}", self.note));
        (self.note != "none").then(read)
    }

    /// The number of lines of the file and its last line, read from the file itself.
    fn file(&self) -> std::io::Result<String> {
        let _no_step_meanwhile = self.state();
        let (mut lines, mut last) = (0u64, String::new());
        for line in BufReader::new(File::open(&self.path)?).lines() {
            (lines, last) = (lines + 1, line?);
        }
        Ok(format!("{lines} {last}"))
    }
}

/// Prints so many lines of a KiB that end in no number: who copies the log is busy with them for a while.
fn preamble(kib: u64) -> std::io::Result<()> {
    let line = format!("{:-<1023}\n", "");
    let mut out = std::io::stdout().lock();
    (0..kib).try_for_each(|_| out.write_all(line.as_bytes()))
}

const KNOWN: &[&str] = &[
    "port",
    "interval-ms",
    "journal",
    "bind",
    "startup-ms",
    "grow",
    "grow-to",
    "mib",
    "log",
    "note",
    "hold",
    "preamble-kib",
];

fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1), KNOWN)?;
    let interval: f64 = options.get("interval-ms", 10.0)?;
    if !(interval.is_finite() && (0.01..=3.6e6).contains(&interval)) {
        return Err(format!("--interval-ms: {interval} is not within 0.01 .. 3600000").into());
    }
    let path = options.get("journal", "/journal".to_owned())?;
    let file = match path.as_str() {
        "none" => None,
        path => Some(
            OpenOptions::new().append(true).create(true).open(path).map_err(|e| format!("can't open {path}: {e}"))?,
        ),
    };
    let hold = options.get("hold", "none".to_owned())?;
    let boot = Boot::new()?;
    let startup = match options.get("startup-ms", 0)? {
        0 => None,
        ms => Some(Startup::compute(Duration::from_millis(ms))),
    };
    let note = options.get("note", "none".to_owned())?;
    if note != "none" {
        std::fs::write(&note, &boot.nonce).map_err(|e| format!("can't write {note}: {e}"))?;
    }
    preamble(options.get("preamble-kib", 0)?)?;
    // Weight: it makes a checkpoint take longer, and is never looked at.
    let weight = Pages::new(1, options.get("mib", 0_usize)? * ((1 << 20) / (PAGE * 8)));
    let counter = Arc::new(Counter {
        boot,
        growth: Growth { step: options.get("grow", 0)?, most: options.get("grow-to", 0)? },
        startup,
        interval: Duration::from_secs_f64(interval / 1e3),
        path,
        held: Hold::take(&hold).map_err(|e| format!("can't hold {hold}: {e}"))?,
        log: options.get("log", false)?,
        note,
        state: Mutex::default(),
    });
    let listener = listen(options.get("bind", IpAddr::from([0, 0, 0, 0]))?, options.get("port", 7000)?)?;
    let counting = Arc::clone(&counter);
    std::thread::Builder::new().spawn(move || counting.count(file))?;
    serve(&listener, move |line| {
        std::hint::black_box(&weight);
        counter.answer(line)
    })
}

fn main() -> ExitCode {
    end_on_signals();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "counter: {e}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counter, Growth, State};
    use podferry_workloads::Boot;
    use std::fs::OpenOptions;
    use std::sync::Mutex;
    use std::time::Duration;

    fn counter(path: &str) -> Counter {
        Counter {
            boot: Boot::new().unwrap(),
            interval: Duration::from_millis(10),
            path: path.to_owned(),
            growth: Growth::default(),
            startup: None,
            held: None,
            log: false,
            note: "none".to_owned(),
            state: Mutex::new(State::default()),
        }
    }

    #[test]
    fn questions_and_answers() {
        let c = counter("/nonexistent/journal");
        assert_eq!(c.answer("GET"), "0");
        assert_eq!(c.answer("JOURNAL"), "");
        c.step(None);
        c.step(None);
        assert_eq!(c.answer("GET"), "2");
        assert_eq!(c.answer("JOURNAL"), "1 2");
        assert_eq!(c.answer("ECHO a  b "), "a  b ");
        assert_eq!(c.answer("ECHO"), "");
        assert_eq!(c.answer("GET 1"), "error: unknown request `GET 1`");
        assert_eq!(c.answer("get"), "error: unknown request `get`");
        assert!(c.answer("FILE").starts_with("error: can't read /nonexistent/journal: "));
        let state = c.answer("STATE");
        assert!(state.contains(&format!(r#""nonce":"{}""#, c.boot.nonce)), "{state}");
        assert!(
            state.ends_with(r#""counter":2,"interval_ms":10,"grown":0,"note":null,"file_error":null,"held":null}"#),
            "{state}"
        );
    }

    #[test]
    fn it_grows_by_memory_of_its_own_until_it_may_not() {
        let mut c = counter("/nonexistent/journal");
        c.growth = Growth { step: 10_000, most: 25_000 };
        for _ in 0..4 {
            c.step(None);
        }
        let state = c.state();
        assert_eq!((state.grown(), state.grown.len()), (20_000, 2));
        assert_ne!(state.grown[0][..4096], state.grown[1][..4096]);
        assert!(state.grown.iter().all(|block| block.chunks(64).all(|c| c.iter().any(|b| *b != 0))));
    }

    #[test]
    fn a_full_disk_is_told_and_the_counter_counts_on() {
        let c = counter("/dev/full");
        let mut full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        c.step(Some(&mut full));
        c.step(Some(&mut full));
        assert_eq!(c.value(), 2);
        assert!(c.answer("STATE").contains(r#""file_error":"No space left on device"#));
    }
}
