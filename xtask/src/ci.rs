//! The lanes of CI.

use crate::build::{self, Profile};
use crate::matrix;
use crate::step::{cargo, program, root};
use std::path::Path;

/// What a lane does; its exit code.
type Lane = fn() -> Result<u8, String>;

/// The lanes by name; each is a job of its own where jobs are many (`ci matrix`).
const LANES: [(&str, Lane); 10] = [
    ("lint", lint),
    ("browser", browser),
    ("kubernetes", kubernetes),
    ("kind", kind),
    ("minikube", minikube),
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
            crate::print(&matrix::json());
            Ok(0)
        }
        Some("leftovers") => leftovers(),
        Some(asked) => match LANES.iter().find(|(name, _)| *name == asked) {
            Some((_, lane)) => lane(),
            None => matrix::run(asked).unwrap_or_else(|| Err(format!("no lane `{asked}`: {}, {BESIDE_LANES}", all()))),
        },
        None => Err(format!("which lane: {}, {BESIDE_LANES}", all())),
    }
}

const BESIDE_LANES: &str = "a cell of the matrix, matrix, or leftovers";

/// The names of the lanes.
pub(crate) fn lanes() -> impl Iterator<Item = &'static str> {
    LANES.into_iter().map(|(name, _)| name)
}

/// What runs that were killed left on this machine: podferry's own things by its ledger, and clusters of kind's in the host's
/// Docker by their label.
fn leftovers() -> Result<u8, String> {
    const CLUSTER: &str = "label=io.x-k8s.kind.cluster=podferry";
    let swept = build::binaries(Profile::Dev)?.podferry(&["clean".to_owned()])?;
    let docker = Path::new("/var/run/docker.sock");
    if docker.exists() {
        let found = program("docker".as_ref()).args(["ps", "--all", "--quiet", "--filter", CLUSTER]).read()?;
        for container in found.split_whitespace() {
            program("docker".as_ref())
                .args(["rm", "--force", "--volumes", container])
                .must("removing a node of kind's")?;
        }
    }
    Ok(swept)
}

/// The whole suite: every tier.
fn e2e() -> Result<u8, String> {
    build::binaries(Profile::Dev)?.podferry(&["run", "--deny-skips", "--tier", "all"].map(str::to_owned))
}

/// The engines that the whole suite does not run on.
pub(crate) const BESIDE: &str = "crun,cri-crun,ctr,podman,podman-runc,docker";

/// The core tier on every other engine; what one of them cannot do is skipped and told. Little data, since some of them write it
/// many times over.
fn engines() -> Result<u8, String> {
    build::binaries(Profile::Dev)?.podferry(&["run", "--engine", BESIDE, "--param", "data=16Mi"].map(str::to_owned))
}

/// One release of each line of containerd, built from its sources: which of them restores? The last of 2.1, which restores by
/// default; those of 2.2 and 2.3 after it was switched off there; 2.0 before it came and 2.4 after it went, whose cases are
/// skipped and told: a test asks them first.
pub(crate) const RELEASES: &str = "containerd=module@v2.0.14,module@v2.1.9,module@v2.2.9,module@v2.3.7,module@v2.4.2";
pub(crate) const CONTAINERD_CASES: &[&str] =
    &["looper-migrates", "redis-migrates", "checkpoint-image", "restore-three-times", "truncated-archive"];

fn containerd() -> Result<u8, String> {
    let asked = asked()?;
    let run = ["run", "--engine", "cri", "--component", RELEASES, "--param", "data=16Mi"];
    let args = [&run[..], CONTAINERD_CASES].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let passes = build::binaries(Profile::Dev)?.podferry(&args)?;
    Ok(if asked == 0 { passes } else { asked })
}

/// The cell of the lane `containerd` that has no case: those are asked that are said to restore none.
pub(crate) const ASKED: &str = "containerd-asked";

pub(crate) fn asked() -> Result<u8, String> {
    crate::test::ignored(&build::binaries(Profile::Dev)?, "cri", ("PODFERRY_TEST_KUBERNETES", ""))
}

/// The core tier in a kind cluster of two workers, under a dockerd that podferry starts itself; that a broken containerd fails there;
/// a second podferry that finds such a cluster. What kind's nodes are made of is
/// built if need be: beside what the lane `kubernetes` builds, kind, kubeadm, kube-proxy and CoreDNS.
fn kind() -> Result<u8, String> {
    let run = ["run", "--provider", "kind", "--param", "data=16Mi"];
    let passes = build::binaries(Profile::Dev)?.podferry(&run.map(str::to_owned))?;
    let (red, there) = (kind_red()?, kind_existing()?);
    Ok(if passes == 0 { red.max(there) } else { passes })
}

/// The core tier in a minikube cluster of two workers, under a dockerd that podferry starts itself, after what minikube's own
/// program takes and refuses. Beside what the lane `kind` builds, minikube and crictl are built if need be.
fn minikube() -> Result<u8, String> {
    let told = minikube_told()?;
    let run = ["run", "--provider", "minikube", "--param", "data=16Mi"];
    let passes = build::binaries(Profile::Dev)?.podferry(&run.map(str::to_owned))?;
    Ok(if told == 0 { passes } else { told })
}

/// The cell of the lane `minikube` that has no case.
pub(crate) const MINIKUBE_TOLD: &str = "minikube-told";

pub(crate) fn minikube_told() -> Result<u8, String> {
    let built = build::binaries(Profile::Dev)?;
    let program = built.step().args(["component", "build", "minikube", "--path"]).read()?;
    crate::test::ignored(&built, "minikube", ("PODFERRY_TEST_KUBERNETES", program.trim()))
}

/// A containerd that forgets in its checkpoints what a container has written: the suite must see that on a kind cluster too.
pub(crate) fn kind_red() -> Result<u8, String> {
    const FAILED: u8 = 10;
    let broken = format!("containerd=module+{}", root().join("fixtures/patches/lost-root").display());
    let run = ["run", "counter-migrates", "--provider", "kind", "--component", &broken];
    match build::binaries(Profile::Dev)?.podferry(&run.map(str::to_owned))? {
        FAILED => {
            crate::print("red: as it must be, a broken containerd fails\n");
            Ok(0)
        }
        code => Err(format!(
            "a containerd that loses what a container wrote passes, or was not tried: {code}, not {FAILED}"
        )),
    }
}

/// The cell of the lane `kind` that must fail to pass.
pub(crate) const KIND_RED: &str = "kind-red";

/// The cell of the lane `kind` whose cluster is there before podferry is, which reaches it by its kubeconfig alone.
pub(crate) const KIND_EXISTING: &str = "kind-existing";

pub(crate) fn kind_existing() -> Result<u8, String> {
    crate::test::ignored(&build::binaries(Profile::Dev)?, "existing", ("PODFERRY_TEST_NODES", "--provider kind"))
}

/// The cell of the matrix, and not of the lane, that asks on kind what an engine must do: it takes minutes.
pub(crate) const KIND_CONFORMS: &str = "kind-conformance";

pub(crate) fn kind_conforms() -> Result<u8, String> {
    crate::test::conformance(&build::binaries(Profile::Dev)?, ("PODFERRY_TEST_NODES", "--provider kind"))
}

/// The version that is pinned.
pub(crate) const KUBERNETES: &str = "1.36";

/// A real cluster on local nodes: its programs are built from source if need be (12 minutes on two busy cores), then what a
/// kubelet must do, and the core tier on it.
fn kubernetes() -> Result<u8, String> {
    let conforms = endpoint()?.max(existing()?);
    let run = ["run", "--provider", "local", "--kubernetes", KUBERNETES, "--engine", "kubelet", "--param", "data=16Mi"];
    let passes = build::binaries(Profile::Dev)?.podferry(&run.map(str::to_owned))?;
    Ok(if conforms == 0 { passes } else { conforms })
}

/// The cell of the lane `kubernetes` that has no case: what a kubelet must do, and what users of its endpoint meet.
pub(crate) const ENDPOINT: &str = "kubernetes-endpoint";

pub(crate) fn endpoint() -> Result<u8, String> {
    let built = build::binaries(Profile::Dev)?;
    let programs = cluster_programs(&built)?;
    crate::test::kubelet(&built, &programs)
}

/// The cell of the lane `kubernetes` whose cluster is there before podferry is, which reaches it by its kubeconfig alone.
pub(crate) const EXISTING: &str = "kubernetes-existing";

pub(crate) fn existing() -> Result<u8, String> {
    let built = build::binaries(Profile::Dev)?;
    let programs = cluster_programs(&built)?;
    crate::test::ignored(&built, "existing", ("PODFERRY_TEST_KUBERNETES", &programs))
}

/// The paths of a cluster's programs, parted by colons; they are built if need be.
fn cluster_programs(built: &build::Built) -> Result<String, String> {
    const CLUSTER: &[&str] = &["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"];
    let paths = built.step().args(["component", "build", "--path"]).args(CLUSTER).read()?;
    Ok(paths.lines().collect::<Vec<_>>().join(":"))
}

fn lint() -> Result<u8, String> {
    cargo(["fmt", "--all", "--check"]).must("rustfmt")?;
    cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).must("clippy")?;
    // What the library says of itself, for who uses it: every link leads somewhere.
    cargo(["doc", "--quiet", "--package", "podferry", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .must("rustdoc")?;
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
    fn every_lane_is_one_of_ci() {
        let run = include_str!("../../.ci/run");
        for (lane, _) in LANES {
            assert!(run.contains(&format!("\ncargo xtask ci {lane}\n")), "{lane} is no lane of .ci/run");
        }
    }

    /// What a job may not leave out, whichever way it ends.
    #[test]
    fn every_job_of_the_matrix_is_a_cell_and_the_last_job_removes_what_is_left() {
        let (_, workflow) = FILES[0].1.split_once("\n  cell:\n").expect("the job of the matrix");
        let (cell, last) = workflow.split_once("\n  leftovers:\n").expect("the last job");
        assert!(
            cell.contains("xtask ci ${{ matrix.name }}") && cell.contains("fromJSON(needs.test.outputs.cells)"),
            "{cell}"
        );
        for kept in ["~/.cache/podferry/components", "podferry-cache", "actions/upload-artifact", "GITHUB_STEP_SUMMARY"]
        {
            assert!(cell.contains(kept), "{kept}");
        }
        assert!(
            last.contains("needs: [test, cell]\n    if: always()") && last.contains("xtask ci leftovers"),
            "{last}"
        );
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
