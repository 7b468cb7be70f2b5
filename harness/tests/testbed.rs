//! The library for tests of one's own, where things do not go well: what it says, what its report says, and that nothing is left.
//! That all goes well is the worked example's part (`examples/own-tests`). Needs root and the node image.

#[path = "machine/mod.rs"]
mod machine;

use machine::{Traces, names, runs};
use podferry::record::{HeldCheck, HeldExpectation};
use podferry::testbed::{
    CheckSpec, EngineKind, ErrorClass, Failed, FaultKind, InstanceExpectation, LinkFault, Setup, TestBed, TestResult,
    Workload,
};
use serde_json::Value;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

/// A bed with its folder in `out`.
fn setup(out: &Path) -> Setup {
    TestBed::setup().engine(EngineKind::Runc).name("red").out(out)
}

fn counter() -> Workload {
    Workload::new("counter").with("interval", "10ms")
}

/// The one case of the only run below `out`, as its report has it.
fn reported(out: &Path) -> Value {
    let runs = runs(out);
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert!(runs[0].join("report.html").is_file());
    let text = fs::read_to_string(runs[0].join("run.json")).expect("run.json");
    let run: Value = serde_json::from_str(&text).expect("JSON");
    run["cases"][0].clone()
}

/// Runs a test on a bed, and looks that nothing of it is left.
fn run(body: impl AsyncFnOnce(&TestBed) -> TestResult) -> (String, Value) {
    let (before, out) = (Traces::now(), tempfile::tempdir().expect("a folder"));
    let error = setup(out.path()).test(body).expect_err("the test is red");
    assert!(error.downcast_ref::<Failed>().is_some(), "{error}");
    assert_nothing_left(&before, out.path());
    (error.to_string().replace(&out.path().display().to_string(), "OUT"), reported(out.path()))
}

#[track_caller]
fn assert_nothing_left(before: &Traces, out: &Path) {
    assert_eq!(before.since(), Vec::<String>::new());
    assert_eq!(machine::cgroups(out), Vec::<std::path::PathBuf>::new());
}

#[track_caller]
fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is not in:\n{text}");
    }
}

#[test]
fn a_check_that_does_not_hold_is_named_with_what_was_seen_and_the_evidence() {
    let (error, case) = run(async |bed| {
        let counter = bed.deploy(counter()).await?;
        let before = counter.capture().await?;
        // A cold start in the place of a migration: it runs, and is another process.
        counter.remove().await?;
        let impostor = bed.deploy(Workload::new("counter").with("interval", "10ms")).on("b").named("impostor").await?;
        bed.check_all([impostor.is(InstanceExpectation::Running), impostor.is_process_of(&before)]).await?;
        Ok(())
    });
    assert_says(
        &error,
        &["check sameProcess does not hold", "seen:", "wanted:", "harness/tests/testbed.rs:", "evidence: OUT/"],
    );
    assert!(!error.contains("check instance"), "what holds is not told: {error}");
    assert_eq!(case["status"], "failed");
    assert_says(case["reason"].as_str().expect("a reason"), &["sameProcess: "]);
}

#[test]
fn a_check_that_nobody_looked_at_fails_the_test_all_the_same() {
    let (error, _) = run(async |bed| {
        let counter = bed.deploy(counter()).await?;
        let _ = bed.check(counter.is(InstanceExpectation::Stopped)).await;
        Ok(())
    });
    assert_says(&error, &["check instance does not hold", "evidence: OUT/"]);
}

#[test]
fn a_step_that_fails_says_what_it_met_and_ends_the_test() {
    let (error, case) = run(async |bed| {
        // Watched files are a thing that CRIU refuses.
        let counter = bed.deploy(counter().with("hold", "inotify")).await?;
        let met = counter.migrate("b").await.err().expect("it is refused");
        assert_eq!(met.failure().map(|f| f.class), Some(ErrorClass::Inotify), "{met}");
        let refused = counter.freeze().await.expect_err("nothing is done after a failed step");
        assert_eq!(refused.to_string().lines().next(), met.to_string().lines().next());
        Ok(())
    });
    assert_says(&error, &["can't migrate counter to b", ": inotify: ", "harness/tests/testbed.rs:", "evidence: OUT/"]);
    assert_eq!(case["status"], "failed");
}

#[test]
fn an_error_that_does_not_come_fails_the_test() {
    let (error, _) = run(async |bed| {
        let counter = bed.deploy(counter()).await?;
        counter.migrate("b").fails(ErrorClass::LinkBroken).await?;
        Ok(())
    });
    assert_says(&error, &["succeeded, expected link-broken"]);
}

#[test]
fn names_that_are_not_there_are_told() {
    let (error, case) = run(async |bed| {
        let counter = bed.deploy(counter()).await?;
        counter.migrate("c").await?;
        Ok(())
    });
    assert_says(&error, &["no node `c`: there is a, b", "harness/tests/testbed.rs:"]);
    assert_eq!(case["status"], "errored");
}

#[test]
fn a_setting_that_is_none_is_told() {
    let (error, _) = run(async |bed| {
        bed.deploy(Workload::new("counter").with("intervall", "10ms")).await?;
        Ok(())
    });
    assert_says(&error, &["intervall"]);
}

#[test]
fn a_panic_leaves_nothing_and_a_report() {
    let (before, out) = (Traces::now(), tempfile::tempdir().expect("a folder"));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        setup(out.path()).test(async |bed| {
            bed.deploy(counter()).await?;
            // A fault in force: it is mended before the nodes go.
            bed.fault("b", FaultKind::Link(LinkFault::Cut)).await?;
            panic!("the test's own assertion");
        })
    }));
    assert!(panicked.is_err());
    assert_nothing_left(&before, out.path());
    let case = reported(out.path());
    assert_eq!((case["status"].as_str(), case["reason"].as_str()), (Some("errored"), Some("the test panicked")));
}

#[tokio::test]
async fn a_bed_that_is_dropped_is_taken_down_and_says_so() {
    let (before, out) = (Traces::now(), tempfile::tempdir().expect("a folder"));
    let bed = setup(out.path()).start().await.expect("a bed");
    let counter = bed.deploy(counter()).await.expect("a counter");
    drop(bed);
    assert!(counter.capture().await.is_ok(), "an instance keeps its bed");
    drop(counter);
    assert_nothing_left(&before, out.path());
    let case = reported(out.path());
    assert_eq!(case["status"], "errored");
    assert_eq!(case["reason"], "the test ended before it had finished the bed");
}

#[test]
fn what_the_engine_lacks_skips_the_test_and_the_report_says_why() {
    let (before, out) = (Traces::now(), tempfile::tempdir().expect("a folder"));
    let mut came = false;
    let skipped = setup(out.path()).test(async |bed| {
        let counter = bed.deploy(counter()).await?;
        counter.checkpoint(podferry::testbed::SourceFate::Running).await?;
        let image = podferry::testbed::Medium::Image;
        counter.migrate("b").medium(image).await?;
        came = true;
        Ok(())
    });
    skipped.expect("a skip is no failure");
    assert!(!came);
    assert_nothing_left(&before, out.path());
    let case = reported(out.path());
    assert_eq!(case["status"], "skipped");
    assert_says(case["reason"].as_str().expect("a reason"), &["checkpoint image"]);
}

#[test]
fn two_tests_at_once_have_folders_of_their_own() {
    let out = tempfile::tempdir().expect("a folder");
    std::thread::scope(|s| {
        for name in ["left", "right"] {
            let setup = setup(out.path()).name(name);
            s.spawn(move || {
                setup
                    .test(async |bed| {
                        let counter = bed.deploy(counter()).await?;
                        counter.counts(3).timeout(Duration::from_secs(30)).await?;
                        let spec = HeldCheck { of: counter.name().to_owned(), state: HeldExpectation::Kept };
                        let red = bed.check(CheckSpec::Held(spec)).violated("").await?;
                        assert_eq!(red.len(), 1);
                        Ok(())
                    })
                    .expect("it goes well");
            });
        }
    });
    assert_eq!(runs(out.path()).len(), 2);
    assert!(names(out.path()).contains(&out.path().join("latest")));
}
