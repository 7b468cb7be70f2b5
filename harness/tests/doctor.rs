//! The doctor on this machine, for real. Needs root; makes the shipped node image if the user's cache has none.

use podferry::component::{Cache, NodeImageSpec, Progress};
use podferry::doctor::{Context, State, doctor, healthy, render};
use podferry::ledger::runs_dir;

struct Shown;

impl Progress for Shown {
    #[expect(clippy::print_stderr, reason = "a progress channel")]
    fn say(&self, line: &str) {
        eprintln!("{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_runs_these_tests_is_healthy() {
    let cache = Cache::of_user();
    let image = NodeImageSpec::shipped();
    let podferry = env!("CARGO_BIN_EXE_podferry").into();
    let findings = doctor(&Context { podferry, cache: &cache, image: &image, overrides: &[], progress: &Shown }).await;
    let text = render(&findings);
    assert!(healthy(&findings), "{text}");
    let names: Vec<_> = findings.iter().map(|f| f.name).collect();
    assert_eq!(names.last(), Some(&"dump and restore"), "{text}");
    let left: Vec<_> = std::fs::read_dir(runs_dir()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|f| !f.to_string_lossy().starts_with("doctor-")), "{left:?}");

    // Numbers, versions and states that may be `warn` differ from machine to machine.
    insta::with_settings!({ filters => vec![
        (r"(?m)^(ok|warn)     (capabilities|bootstrap tool|disk|memory) .*(\n {9}.*)*", "[state]  $2 ..."),
        (r"\d+(\.\d+)+[^ ,\n]*", "[number]"),
        (r"\d+(\.\d+)? m?s\b", "[time]"),
        (r"sid [0-9a-f]{16}", "sid [key]"),
        (r"mounted over .*", "mounted over [folder]"),
        (r"(cgroups +)(v1|v2|hybrid)", "$1[kind]"),
    ] }, { insta::assert_snapshot!(text) });
    assert!(findings.iter().all(|f| f.state != State::Missing));
}
