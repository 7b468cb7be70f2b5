//! The tests, part by part, each with its time.

use crate::build::{self, Built, Profile};
use crate::print;
use crate::step::cargo;
use std::time::{Duration, Instant};

/// Test targets that need real nodes, in order: what the later ones build on comes first.
const NODE_TESTS: [&str; 3] = ["clients", "images", "nodes"];

/// Runs one part, or all. Every part runs even if an earlier one failed; the code is that of the first failure.
pub(crate) fn run(args: &[String]) -> Result<u8, String> {
    let only = args.first().map(String::as_str);
    let mut parts = Parts::default();
    let built = parts.time("build", || build::binaries(Profile::Dev))?;
    parts.time("build tests", || {
        cargo(["test", "--quiet", "--workspace", "--no-run"]).must("building the tests").map(|()| 0)
    })?;
    match only {
        None => {
            parts.go("unit", unit);
            parts.go("nodes", || nodes(&built));
        }
        Some("unit") => parts.go("unit", unit),
        Some("nodes") => parts.go("nodes", || nodes(&built)),
        Some(other) => return Err(format!("no part `{other}`: unit, nodes")),
    }
    print(&parts.table());
    Ok(parts.code)
}

fn unit() -> Result<u8, String> {
    cargo(["test", "--workspace", "--lib", "--bins", "--no-fail-fast"]).status()
}

fn nodes(built: &Built) -> Result<u8, String> {
    let rootfs = built.step().args(["component", "image", "--path"]).read()?;
    let mut step = cargo(["test", "--package", "podferry", "--package", "podferry-workloads", "--no-fail-fast"]);
    for name in NODE_TESTS {
        step = step.args(["--test", name]);
    }
    step.args(["--", "--test-threads=1"])
        .env("PODFERRY_TEST_ROOTFS", rootfs)
        .env("PODFERRY_WORKLOADS", built.workloads())
        .status()
}

#[derive(Default)]
struct Parts {
    done: Vec<(String, Duration, u8)>,
    code: u8,
}

impl Parts {
    fn time<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        let start = Instant::now();
        let done = work();
        self.done.push((name.to_owned(), start.elapsed(), u8::from(done.is_err())));
        done
    }

    fn go(&mut self, name: &str, work: impl FnOnce() -> Result<u8, String>) {
        let start = Instant::now();
        let code = work().unwrap_or_else(|message| {
            crate::complain(&format!("xtask: {name}: {message}\n"));
            1
        });
        if self.code == 0 {
            self.code = code;
        }
        self.done.push((name.to_owned(), start.elapsed(), code));
    }

    fn table(&self) -> String {
        let mut text = "\n".to_owned();
        for (name, time, code) in &self.done {
            let state = if *code == 0 { "ok    " } else { "FAILED" };
            text += &format!("{state} {name:<12} {:>7.1} s\n", time.as_secs_f64());
        }
        text
    }
}
