//! The lanes of CI.

use crate::build::{self, Profile};
use crate::step::cargo;

/// Runs a lane.
pub(crate) fn run(args: &[String]) -> Result<u8, String> {
    match args.first().map(String::as_str) {
        Some("lint") => lint(),
        Some("e2e") => e2e(),
        Some("engines") => engines(),
        Some("containerd") => containerd(),
        Some("kubernetes") => kubernetes(),
        Some(long @ ("perf" | "reds")) => crate::test::run(&[long.to_owned()]),
        Some(other) => Err(format!("no lane `{other}`: lint, e2e, engines, containerd, kubernetes, reds, perf")),
        None => Err("which lane: lint, e2e, engines, containerd, kubernetes, reds, perf".to_owned()),
    }
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
/// skipped and told.
fn containerd() -> Result<u8, String> {
    const RELEASES: &str = "containerd=module@v2.0.14,module@v2.1.9,module@v2.2.9,module@v2.3.7,module@v2.4.2";
    let run = ["run", "--engine", "cri", "--component", RELEASES, "--param", "data=16Mi"];
    let cases = ["looper-migrates", "redis-migrates", "checkpoint-image", "restore-three-times", "truncated-archive"];
    build::binaries(Profile::Dev)?
        .podferry(&[&run[..], &cases].concat().into_iter().map(str::to_owned).collect::<Vec<_>>())
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
    Ok(0)
}
