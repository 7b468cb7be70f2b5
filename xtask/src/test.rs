//! The tests, part by part, each with its time.

use crate::build::{self, Built, Profile};
use crate::print;
use crate::step::cargo;
use std::time::{Duration, Instant};

/// Test targets that need neither root nor a node: they run with the unit tests.
const PURE_TESTS: [&str; 6] = ["architecture", "cli", "releases", "report", "workloads", "zoo"];

/// Test targets on real nodes, in order: what the later ones build on comes first.
const NODE_TESTS: [&str; 18] = [
    "component",
    "modules",
    "nodes",
    "clients",
    "images",
    "conformance",
    "runc",
    "postcopy",
    "cri",
    "podman",
    "docker",
    "doctor",
    "e2e",
    "testbed",
    "own-tests",
    "survey",
    "killed",
    "stored",
];

/// Tests of a crate that uses the library, as anybody's does.
const OWN_TESTS: &str = "own-tests";

/// On real nodes too, and only when they are named: they take minutes, or a machine without other work. Lanes of CI run them.
const LONG_TESTS: [&str; 2] = ["perf", "reds"];

/// Runs one part, or all. Every part runs even if an earlier one failed; the code is that of the first failure.
pub(crate) fn run(args: &[String]) -> Result<u8, String> {
    let only = args.first().map(String::as_str);
    let nodes: Vec<&str> = match only {
        None | Some("nodes") => NODE_TESTS.to_vec(),
        Some(one) => NODE_TESTS.into_iter().chain(LONG_TESTS).filter(|n| *n == one).collect(),
    };
    let unit = matches!(only, None | Some("unit"));
    if nodes.is_empty() && !unit {
        let parts = [&NODE_TESTS[..], &LONG_TESTS[..]].concat().join(", ");
        return Err(format!("no part `{}`: unit, nodes, or one of {parts}", args[0]));
    }
    let mut parts = Parts::default();
    let built = parts.time("build", || build::binaries(Profile::Dev))?;
    parts.time("build tests", || {
        cargo(["test", "--workspace", "--exclude", "codegen", "--no-run"]).must("building the tests").map(|()| 0)
    })?;
    if unit {
        parts.go("unit", self::unit);
    }
    if !nodes.is_empty() {
        let rootfs = parts.time("node image", || built.step().args(["component", "image", "--path"]).read())?;
        for name in nodes {
            parts.go(name, || on_nodes(name, &built, &rootfs));
        }
    }
    print(&parts.table());
    Ok(parts.code)
}

fn unit() -> Result<u8, String> {
    let mut step = cargo(["test", "--workspace", "--exclude", "codegen", "--lib", "--bins", "--no-fail-fast"]);
    for name in PURE_TESTS {
        step = step.args(["--test", name]);
    }
    step.status()
}

fn on_nodes(name: &str, built: &Built, rootfs: &str) -> Result<u8, String> {
    let mut step = cargo(["test", "--package", "podferry"]);
    step = match name {
        // The worked example of the library. With podferry beside it, so that nothing is built once more with fewer features.
        OWN_TESTS => step.args(["--package", OWN_TESTS, "--test", "moves"]),
        _ => step.args(["--test", name]),
    };
    step.args(["--no-fail-fast", "--", "--test-threads=1"])
        .env("PODFERRY_TEST_ROOTFS", rootfs)
        .env("PODFERRY_WORKLOADS", built.workloads())
        .status()
}

/// What an engine must do, for the engine `kubelet`, and what users of its endpoint meet: with these programs of a cluster, parted
/// by colons.
pub(crate) fn kubelet(built: &Built, programs: &str) -> Result<u8, String> {
    let conforms = conformance(built, ("PODFERRY_TEST_KUBERNETES", programs))?;
    let endpoint = ignored(built, "kubernetes", ("PODFERRY_TEST_KUBERNETES", programs))?;
    Ok(if conforms == 0 { endpoint } else { conforms })
}

/// What an engine must do, for the engine `kubelet`. `on`: the variable that says where, with its value.
pub(crate) fn conformance(built: &Built, on: (&str, &str)) -> Result<u8, String> {
    let rootfs = built.step().args(["component", "image", "--path"]).read()?;
    cargo(["test", "--package", "podferry", "--test", "conformance", "--", "kubelet::"])
        .env("PODFERRY_TEST_ROOTFS", &rootfs)
        .env("PODFERRY_WORKLOADS", built.workloads())
        .env(on.0, on.1)
        .status()
}

/// The tests of a file that a lane of their own runs, since what they need takes minutes to build; one after the other. `on`: as
/// in [`conformance`].
pub(crate) fn ignored(built: &Built, file: &str, on: (&str, &str)) -> Result<u8, String> {
    let rootfs = built.step().args(["component", "image", "--path"]).read()?;
    cargo(["test", "--package", "podferry", "--test", file, "--", "--ignored", "--test-threads", "1"])
        .env("PODFERRY_TEST_ROOTFS", &rootfs)
        .env("PODFERRY_WORKLOADS", built.workloads())
        .env(on.0, on.1)
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
        let whole: Duration = self.done.iter().map(|(_, time, _)| *time).sum();
        text += &format!("       {:<12} {:>7.1} s\n", "together", whole.as_secs_f64());
        text
    }
}
