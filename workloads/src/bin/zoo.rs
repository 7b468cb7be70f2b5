//! Holds kinds of state, each in a process of its own, and says of each whether it is still there. A line a question:
//! `REPORT` (a line a kind, then `end`), `STATE`, `GET` (how many kinds), `DRAW` (the next number of its own generator),
//! `ECHO text`. It listens when all is held.

use podferry_workloads::zoo::{self, KINDS, Keeper};
use podferry_workloads::{Boot, Options, end_on_signals, listen, serve};
use std::error::Error;
use std::io::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A generator as programs have them, seeded once at the start (splitmix64).
struct Generator(u64);

impl Generator {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

struct Zoo {
    boot: Boot,
    kinds: usize,
    keeper: Mutex<Keeper>,
    generator: Mutex<Generator>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Zoo {
    fn answer(&self, line: &str) -> String {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("GET", "") => self.kinds.to_string(),
            ("STATE", "") => format!("{{{},\"kinds\":{}}}", self.boot.json_members(), self.kinds),
            ("DRAW", "") => format!("{:016x}", locked(&self.generator).draw()),
            ("ECHO", text) => text.to_owned(),
            ("REPORT", "") => {
                let mut lines: Vec<String> = locked(&self.keeper).report().iter().map(zoo::Answer::line).collect();
                lines.push("end".to_owned());
                lines.join("\n")
            }
            _ => format!("error: unknown request `{line}`"),
        }
    }
}

/// The kinds that `--hold` names: `all`, `none`, or a list separated by commas.
fn chosen(text: &str) -> Result<Vec<String>, String> {
    match text {
        "all" => Ok(KINDS.iter().map(|k| k.label.name.to_owned()).collect()),
        "none" => Ok(Vec::new()),
        list => list
            .split(',')
            .map(|name| match zoo::find(name) {
                Some(_) => Ok(name.to_owned()),
                None => Err(format!("--hold: no kind of state is named `{name}`")),
            })
            .collect(),
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1), &["port", "bind", "hold", "cell", "idle", "orphan"])?;
    match options.get("cell", String::new())? {
        none if none.is_empty() => {}
        kind => return Ok(zoo::live(&kind)?),
    }
    match options.get("idle", -1)? {
        below if below >= 0 => return Ok(zoo::be_idle(u32::try_from(below)?)?),
        _ => {}
    }
    if options.get("orphan", 0)? > 0 {
        return Ok(zoo::be_orphaned()?);
    }
    end_on_signals();
    let kinds = chosen(&options.get("hold", "all".to_owned())?)?;
    let boot = Boot::new()?;
    let seed = u64::from_str_radix(&boot.nonce[..16], 16)?;
    let zoo = Zoo {
        kinds: kinds.len(),
        keeper: Mutex::new(Keeper::of(&kinds)?),
        generator: Mutex::new(Generator(seed)),
        boot,
    };
    let listener = listen(options.get("bind", IpAddr::from([0, 0, 0, 0]))?, options.get("port", 7002)?)?;
    serve(&listener, move |line| zoo.answer(line))
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "zoo: {e}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Generator, chosen};

    #[test]
    fn kinds_are_chosen_by_name() {
        assert!(chosen("all").unwrap().len() > 50);
        assert!(chosen("none").unwrap().is_empty());
        assert_eq!(chosen("heap,umask").unwrap(), ["heap", "umask"]);
        assert!(chosen("heap,breath").unwrap_err().contains("`breath`"));
    }

    #[test]
    fn equal_seeds_draw_equal_numbers() {
        let (mut a, mut b) = (Generator(7), Generator(7));
        assert_eq!(a.draw(), b.draw());
        assert_ne!(a.draw(), Generator(7).draw());
    }
}
