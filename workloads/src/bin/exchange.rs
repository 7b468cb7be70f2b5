//! Two of these, in two containers, exchange numbers through a file that both have mapped: `first` gives the next one when
//! the last was taken, `second` takes it. Each remembers in its own memory where it was. So they are never more than one
//! apart, and a cut through both at two instants shows: one is then ahead of what the other, or the file, knows. They say so
//! for ever, and go on. Over TCP, a line a question: `GET`, `STATE`, `ECHO text`.

use podferry_workloads::{Boot, Options, SharedWords, end_on_signals, json_string, listen, serve};
use std::error::Error;
use std::io::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    First,
    Second,
}

/// How often the other's word is looked at.
const LOOK: Duration = Duration::from_micros(100);

struct Exchange {
    boot: Boot,
    role: Role,
    words: SharedWords,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number that it gave or took last. In no file.
    mine: u64,
    /// How it was first seen that the other is elsewhere.
    broken: Option<String>,
}

impl Exchange {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One look. False: there was nothing to do.
    fn step(&self) -> bool {
        let mut state = self.state();
        let (given, taken, mine) = (self.words.given(), self.words.taken(), state.mine);
        match self.role {
            Role::First => {
                if given != mine || !(taken == mine || taken.checked_add(1) == Some(mine)) {
                    state.break_off(format!("gave {mine}, and the file says given {given}, taken {taken}"));
                    state.mine = mine.max(given).max(taken);
                } else if taken == mine {
                    state.mine += 1;
                } else {
                    return false;
                }
                self.words.give(state.mine);
            }
            Role::Second => {
                if taken != mine || !(given == mine || mine.checked_add(1) == Some(given)) {
                    state.break_off(format!("took {mine}, and the file says given {given}, taken {taken}"));
                } else if given == mine {
                    return false;
                }
                state.mine = given;
                self.words.take(given);
            }
        }
        true
    }

    fn answer(&self, line: &str) -> String {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("GET", "") => self.state().mine.to_string(),
            ("STATE", "") => {
                let state = self.state();
                let pair = state.broken.as_ref().map_or("in step".to_owned(), |how| format!("out of step: {how}"));
                let boot = self.boot.json_members();
                format!(r#"{{{boot},"counter":{},"pair":{}}}"#, state.mine, json_string(&pair))
            }
            ("ECHO", text) => text.to_owned(),
            _ => format!("error: unknown request `{line}`"),
        }
    }
}

impl State {
    fn break_off(&mut self, how: String) {
        self.broken.get_or_insert(how);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1), &["role", "file", "port", "bind"])?;
    let role = match options.get("role", "first".to_owned())?.as_str() {
        "first" => Role::First,
        "second" => Role::Second,
        other => return Err(format!("--role: `{other}` is neither first nor second").into()),
    };
    let path = options.get("file", "/exchange".to_owned())?;
    let words = SharedWords::map(&path).map_err(|e| format!("can't map {path}: {e}"))?;
    let exchange = Arc::new(Exchange { boot: Boot::new()?, role, words, state: Mutex::default() });
    let listener = listen(options.get("bind", IpAddr::from([0, 0, 0, 0]))?, options.get("port", 7000)?)?;
    let steps = Arc::clone(&exchange);
    std::thread::Builder::new().spawn(move || {
        loop {
            if !steps.step() {
                std::thread::sleep(LOOK);
            }
        }
    })?;
    serve(&listener, move |line| exchange.answer(line))
}

fn main() -> ExitCode {
    end_on_signals();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "exchange: {e}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exchange, Role, State};
    use podferry_workloads::{Boot, SharedWords};
    use std::path::Path;
    use std::sync::Mutex;

    struct Pair {
        first: Exchange,
        second: Exchange,
        file: std::path::PathBuf,
    }

    impl Drop for Pair {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.file);
        }
    }

    fn pair(name: &str) -> Pair {
        let file = std::env::temp_dir().join(format!("podferry-exchange-{}-{name}", std::process::id()));
        let of = |role, file: &Path| Exchange {
            boot: Boot::new().unwrap(),
            role,
            words: SharedWords::map(file.to_str().unwrap()).unwrap(),
            state: Mutex::default(),
        };
        Pair { first: of(Role::First, &file), second: of(Role::Second, &file), file }
    }

    #[test]
    fn they_take_turns_and_stay_in_step() {
        let p = pair("turns");
        for n in 1..=3 {
            assert!(p.first.step() && !p.first.step(), "it waits until {n} is taken");
            assert!(p.second.step() && !p.second.step());
            assert_eq!(p.second.answer("GET"), n.to_string());
        }
        assert!(p.first.answer("STATE").ends_with(r#""counter":3,"pair":"in step"}"#), "{}", p.first.answer("STATE"));
    }

    /// Memory of one instant beside memory, or a file, of a later one: whoever is behind or ahead says so, for ever.
    #[test]
    fn whoever_was_left_behind_says_so_and_both_go_on() {
        for left in [Role::First, Role::Second] {
            let p = pair(&format!("{left:?}"));
            let round = || (p.first.step(), p.second.step());
            for _ in 0..10 {
                round();
            }
            let back = if left == Role::First { &p.first } else { &p.second };
            *back.state() = State { mine: 4, broken: None };
            for _ in 0..3 {
                round();
            }
            let said = back.answer("STATE");
            assert!(said.contains("out of step: ") && said.contains(" 4, and the file says given 1"), "{said}");
            let (first, second) = (p.first.state().mine, p.second.state().mine);
            assert!(first > 10 && first - second <= 1, "{first} {second}");
        }
    }
}
