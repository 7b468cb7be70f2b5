//! Chores of the workspace. Each builds what it needs, then starts a program; the work itself is done there.

mod build;
mod ci;
mod matrix;
mod step;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
Chores of the podferry workspace

Usage: cargo xtask COMMAND [ARGS]

Commands:
  e2e [ARGS]    build podferry and the workloads, then run `podferry ARGS` (no ARGS: the shipped suite on two nodes)
  test [PART]   run the tests, each part with its time: unit, nodes (real ones: needs root), or one such as e2e
  bench [ARGS]  build optimised, then run `podferry bench ARGS`: the figures of the README
  ci LANE       what CI runs after the tests: lint, kubernetes (a real cluster, the core tier on its kubelets), e2e
                (every tier), engines (the core tier on the other engines), containerd (which releases restore), reds (the
                suite made wrong must fail), perf (a slower runtime must be found, the same must not); `ci matrix` prints
                their cells for a job of GitHub Actions, each of which is run by `ci CELL`; `ci leftovers` removes what killed
                runs left
  codegen       generate committed code again (needs the Go module proxy); --check only compares
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let done = match command {
        "e2e" => build::binaries(build::Profile::Dev).and_then(|built| built.podferry(rest)),
        "bench" => build::binaries(build::Profile::Release)
            .and_then(|built| built.podferry(&[&["bench".to_owned()], rest].concat())),
        "test" => test::run(rest),
        "ci" => ci::run(rest),
        "codegen" => step::cargo(["run", "--quiet", "--package", "codegen", "--"]).args(rest).status(),
        "help" | "--help" | "-h" => {
            print(HELP);
            Ok(0)
        }
        other => {
            complain(&format!("xtask: no command `{other}`\n\n{HELP}"));
            Ok(2)
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            complain(&format!("xtask: {message}\n"));
            ExitCode::from(1)
        }
    }
}

#[expect(clippy::print_stdout, reason = "the one place that writes to standard output")]
fn print(text: &str) {
    print!("{text}");
}

#[expect(clippy::print_stderr, reason = "the one place that writes to standard error")]
fn complain(text: &str) {
    eprint!("{text}");
}
