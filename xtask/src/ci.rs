//! The lanes of CI.

use crate::build::{self, Profile};
use crate::step::{cargo, program, root};
use std::path::Path;

/// What a lane does; its exit code.
type Lane = fn() -> Result<u8, String>;

/// The lanes by name; each is a job of its own where jobs are many (`ci matrix`).
const LANES: [(&str, Lane); 8] = [
    ("lint", lint),
    ("browser", browser),
    ("kubernetes", kubernetes),
    ("e2e", e2e),
    ("engines", engines),
    ("containerd", containerd),
    ("reds", || crate::test::run(&["reds".to_owned()])),
    ("perf", || crate::test::run(&["perf".to_owned()])),
];

/// Runs a lane.
pub(crate) fn run(args: &[String]) -> Result<u8, String> {
    let all = || LANES.map(|(name, _)| name).join(", ");
    match args.first().map(String::as_str) {
        Some("matrix") => {
            crate::print(&matrix());
            Ok(0)
        }
        Some(asked) => match LANES.iter().find(|(name, _)| *name == asked) {
            Some((_, lane)) => lane(),
            None => Err(format!("no lane `{asked}`: {}, or matrix", all())),
        },
        None => Err(format!("which lane: {}, or matrix", all())),
    }
}

/// The lanes as the matrix of a GitHub Actions job.
fn matrix() -> String {
    let lanes = LANES.map(|(name, _)| format!("{{\"lane\":\"{name}\"}}"));
    format!("{{\"include\":[{}]}}\n", lanes.join(","))
}

/// The whole suite: every tier.
fn e2e() -> Result<u8, String> {
    build::binaries(Profile::Dev)?.podferry(&["run", "--deny-skips", "--tier", "all"].map(str::to_owned))
}

/// The core tier on every engine that the whole suite does not run on; what one of them cannot do is skipped and told. Little
/// data, since some of them write it many times over.
fn engines() -> Result<u8, String> {
    const BESIDE: &str = "crun,cri-crun,ctr,podman,podman-runc,docker";
    build::binaries(Profile::Dev)?.podferry(&["run", "--engine", BESIDE, "--param", "data=16Mi"].map(str::to_owned))
}

/// One release of each line of containerd, built from its sources: which of them restores? The last of 2.1, which restores by
/// default; those of 2.2 and 2.3 after it was switched off there; 2.0 before it came and 2.4 after it went, whose cases are
/// skipped and told: a test asks them first.
fn containerd() -> Result<u8, String> {
    const RELEASES: &str = "containerd=module@v2.0.14,module@v2.1.9,module@v2.2.9,module@v2.3.7,module@v2.4.2";
    let built = build::binaries(Profile::Dev)?;
    let asked = crate::test::ignored(&built, "cri", "")?;
    let run = ["run", "--engine", "cri", "--component", RELEASES, "--param", "data=16Mi"];
    let cases = ["looper-migrates", "redis-migrates", "checkpoint-image", "restore-three-times", "truncated-archive"];
    let passes = built.podferry(&[&run[..], &cases].concat().into_iter().map(str::to_owned).collect::<Vec<_>>())?;
    Ok(if asked == 0 { passes } else { asked })
}

/// A real cluster on local nodes: its programs are built from source if need be (12 minutes on two busy cores), then what a
/// kubelet must do and the core tier on it.
fn kubernetes() -> Result<u8, String> {
    const CLUSTER: &[&str] = &["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"];
    let built = build::binaries(Profile::Dev)?;
    let paths = built.step().args(["component", "build", "--path"]).args(CLUSTER).read()?;
    let paths: Vec<&str> = paths.lines().collect();
    let conforms = crate::test::kubelet(&built, &paths.join(":"))?;
    let run = ["run", "--provider", "local", "--kubernetes", "1.36", "--engine", "kubelet", "--param", "data=16Mi"];
    let passes = built.podferry(&run.map(str::to_owned))?;
    Ok(if conforms == 0 { passes } else { conforms })
}

fn lint() -> Result<u8, String> {
    cargo(["fmt", "--all", "--check"]).must("rustfmt")?;
    cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).must("clippy")?;
    // Each benchmark once, in the profile of the tests: that it runs is looked at here, not how fast.
    cargo(["test", "--quiet", "--package", "podferry", "--bench", "pure"]).must("benchmarks")?;
    workflows()
}

/// The reports in a headless browser, which is not installed here: `.ci/run` does, and a test says so if there is none.
fn browser() -> Result<u8, String> {
    cargo(["test", "--package", "podferry", "--test", "browser", "--", "--ignored", "--test-threads=1"]).status()
}

/// The workflows of GitHub Actions, by the linter of their kind.
fn workflows() -> Result<u8, String> {
    const LINTER: &str = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12";
    // Where Go's own archive is unpacked to, if it is not on the path.
    let unpacked = Path::new("/usr/local/go/bin/go");
    let go = if unpacked.is_file() { unpacked } else { Path::new("go") };
    let lint = program(go).args(["run", LINTER, "-no-color", "-shellcheck=", "-pyflakes="]);
    lint.args([root().join(".github/workflows/ci.yml")]).must("actionlint")?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &str); 2] =
        [("ci.yml", include_str!("../../.github/workflows/ci.yml")), ("action.yml", include_str!("../../action.yml"))];

    #[test]
    fn every_lane_is_a_job_and_every_job_a_lane_of_ci() {
        let run = include_str!("../../.ci/run");
        for (lane, _) in LANES {
            assert!(matrix().contains(&format!("{{\"lane\":\"{lane}\"}}")));
            assert!(run.contains(&format!("\ncargo xtask ci {lane}\n")), "{lane} is no lane of .ci/run");
        }
    }

    /// A lane that finds no browser fails: where CI runs, the package is put there first.
    #[test]
    fn a_browser_is_there_before_its_lane() {
        let run = include_str!("../../.ci/run");
        let (before, _) = run.split_once("\ncargo xtask ci browser\n").expect("the lane");
        assert!(before.contains("apt-get install --yes --no-install-recommends chromium"), "{before}");
    }

    /// A tag can be moved by whoever owns the action.
    #[test]
    fn actions_of_others_are_pinned_by_commit() {
        for (file, text) in FILES {
            let used: Vec<&str> =
                text.lines().filter_map(|line| line.split_once("uses: ")).map(|(_, used)| used).collect();
            assert!(!used.is_empty(), "{file} uses none");
            for used in used.iter().filter(|used| !used.starts_with("./")) {
                let commit = used.split_once('@').map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
                let pinned = commit.is_some_and(|c| c.len() == 40 && c.chars().all(|c| c.is_ascii_hexdigit()));
                assert!(pinned, "{file}: {used}");
            }
        }
    }
}
