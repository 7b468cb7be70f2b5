//! The doctor on this machine, for real. Needs root; makes the shipped node image if the user's cache has none.

use podferry::component::{Cache, NodeImageSpec, Override, Progress, node_image};
use podferry::doctor::{Context, Finding, State, doctor, healthy, render};
use podferry::ledger::runs_dir;

struct Shown;

impl Progress for Shown {
    #[expect(clippy::print_stderr, reason = "a progress channel")]
    fn say(&self, line: &str) {
        eprintln!("{line}");
    }
}

/// One at a time: each looks at what it left.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn findings(overrides: &[Override]) -> Vec<Finding> {
    let cache = Cache::of_user();
    let image = NodeImageSpec::shipped();
    let podferry = env!("CARGO_BIN_EXE_podferry").into();
    doctor(&Context { podferry, cache: &cache, image: &image, overrides, progress: &Shown }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_criu_that_only_says_that_it_dumped_is_found_out() {
    let _one = ONE.lock().await;
    let image = node_image(&NodeImageSpec::shipped(), &Cache::of_user(), &Shown).await.unwrap();
    let criu: Override = format!("criu={}", image.rootfs.join("usr/bin/true").display()).parse().unwrap();
    let findings = findings(&[criu]).await;
    let last = findings.last().unwrap();
    assert_eq!((last.name, last.state), ("dump and restore", State::Missing), "{}", render(&findings));
    assert_eq!(last.detail, "a listening redis-server: it is still there after its dump: waited 5s");
    assert!(!healthy(&findings));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_runs_these_tests_is_healthy() {
    let _one = ONE.lock().await;
    let findings = findings(&[]).await;
    let text = render(&findings);
    assert!(healthy(&findings), "{text}");
    let names: Vec<_> = findings.iter().map(|f| f.name).collect();
    assert_eq!(names.last(), Some(&"dump and restore"), "{text}");
    let left: Vec<_> = std::fs::read_dir(runs_dir()).unwrap().map(|e| e.unwrap().file_name()).collect();
    let own = format!("-{}.ledger", std::process::id());
    assert!(left.iter().all(|f| !f.to_string_lossy().ends_with(&own)), "{left:?}");

    // Numbers, versions and states that may be `warn` differ from machine to machine.
    insta::with_settings!({ filters => vec![
        (r"(?m)^(ok|warn) +(capabilities|bootstrap tool|disk|memory) .*(\n {9}.*)*", "[state]  $2 ..."),
        (r"\d+(\.\d+)? m?s\b", "[time]"),
        (r"\d+(\.\d+)+[^ ,\n]*", "[number]"),
        (r"sid [0-9a-f]{16}", "sid [key]"),
        (r"mounted over .*", "mounted over [folder]"),
        (r"(cgroups +)(v1|v2|hybrid)", "$1[kind]"),
    ] }, { insta::assert_snapshot!(text) });
    assert!(findings.iter().all(|f| f.state != State::Missing));
}
