//! What the language has beside plain steps, on real nodes: known issues, `finally`, parameters, expressions, groups of steps,
//! repetition by time, and the choice of cases by an expression.

use super::machine::Place;
use super::{case, json, junit, read, run};
use quick_junit::TestCaseStatus;

const KNOWN: &str = include_str!("../../../fixtures/language/known.yaml");
const TOUR: &str = include_str!("../../../fixtures/language/tour.yaml");

/// What stands below `spec:`.
fn spec(text: &str) -> &str {
    text.split_once("\nspec:\n").expect("a scenario has a spec").1
}

/// A known failure passes the run and is told everywhere; the cell that does not have it passes as ever.
#[test]
fn a_failure_that_is_known_is_told_and_passes_the_run() {
    let place = Place::new();
    let ended = run(&place, &[("known", spec(KNOWN))], &["--engine", "runc"]);
    ended.exits(0);
    assert!(ended.out.starts_with("PASSED  1 of 2 cases passed, 1 known to fail"), "{}", ended.out);
    assert!(ended.out.contains("KNOWN"), "{}", ended.out);
    let link = "https://podferry.example/traps#an-archive-without-its-changed-files";
    assert!(
        ended.out.contains(&format!("known: nobody misses the changed files, {link} (until 2099-12-31)\n    known["))
    );
    let json = json(&place);
    let cases = json["cases"].as_array().expect("cases");
    assert_eq!(cases[1]["id"], "known[engine=runc,entry=rootfs-diff.tar]");
    assert_eq!((&cases[1]["status"], &cases[1]["known"][0]["state"]), (&"known".into(), &"shown".into()));
    assert_eq!((&cases[0]["status"], &json["counts"]["known"]), (&"passed".into(), &1.into()));
    let report = junit(&place);
    assert_eq!((report.failures, report.errors), (0, 0));
    let known = &report.test_suites[0].test_cases[1].status;
    assert!(matches!(known, TestCaseStatus::Skipped { ty: Some(ty), .. } if ty.as_str() == "known-issue"), "{known:?}");
    assert!(read(&place, "summary.md").contains("KNOWN"));
    assert!(read(&place, "report.html").contains("badge s-known"));
}

#[test]
fn an_issue_that_does_not_show_one_that_is_over_and_another_failure_fail() {
    let everywhere = spec(KNOWN).replace("          where: matrix.entry == \"rootfs-diff.tar\"\n", "");
    let place = Place::new();
    let told = run(&place, &[("known", &everywhere)], &["--engine", "runc", "entry=stats-dump"]);
    told.exits(10);
    let (outcome, reason) = case(&json(&place), "known");
    assert_eq!(outcome, "failed");
    assert!(reason.starts_with("the check `sameProcess` passed, and https://podferry.example/traps"), "{reason}");
    assert!(told.out.contains("strict: false"), "{}", told.out);

    let over = spec(KNOWN).replace("2099-12-31", "2026-01-31");
    let place = Place::new();
    let told = run(&place, &[("known", &over)], &["--engine", "runc", "entry=rootfs-diff.tar"]);
    told.exits(10);
    assert_eq!(case(&json(&place), "known").0, "failed");
    assert!(told.out.contains("expired on 2026-01-31"), "{}", told.out);

    let other = spec(KNOWN).replace("text: No such file", "text: another process");
    let place = Place::new();
    run(&place, &[("known", &other)], &["--engine", "runc", "entry=rootfs-diff.tar"]).exits(10);
}

const UNDONE: &str = "  workloads: {counter: {use: counter, with: {interval: 10ms}}}
  steps:
    - deploy: {workload: counter, node: a}
    - freeze: {of: counter}
    - wait: {counter: {of: counter, atLeast: 1000}}
      timeout: 2s
    - migrate: {of: counter, to: b}
  finally:
    - thaw: {of: counter}
    - remove: {of: counter-moved}
    - wait: {counter: {of: counter, atLeast: 100000}}
      timeout: 1s
    - remove: {of: counter}
  checks:
    - instance: {of: counter, state: absent}
";

/// After a step that failed, and after the time of the case, what stands under `finally` is done: all of it, also after one of
/// its own that fails; what it acts on and never came to be is told.
#[test]
fn what_is_to_be_done_in_any_case_is_done() {
    for (name, steps, first) in [
        ("step", UNDONE.to_owned(), "step `step-3`"),
        (
            "time",
            format!("{}  timeout: 2s\n", UNDONE.replace("      timeout: 2s\n", "")),
            "the case did not end within 2s",
        ),
    ] {
        let place = Place::new();
        let ended = run(&place, &[("undone", &steps)], &["--engine", "runc"]);
        ended.exits(10);
        let json = json(&place);
        let (outcome, reason) = case(&json, "undone");
        assert_eq!(outcome, "failed", "{name}");
        assert!(
            reason.contains(first)
                || json["cases"][0]["problems"][0]["subject"].as_str().is_some_and(|s| s.contains(first)),
            "{name}: {reason}"
        );
        let steps = json["cases"][0]["steps"].as_array().expect("steps");
        let last: Vec<&serde_json::Value> = steps.iter().filter(|s| s["finally"] == true).collect();
        assert_eq!(last.len(), 4, "{name}: {steps:#?}");
        assert!(last[0]["failure"].is_null(), "{name}: {:#}", last[0]);
        assert_eq!(last[1]["passed_over"], "there is no instance `counter-moved`", "{name}");
        assert_eq!(last[2]["failure"]["class"], "timeout", "{name}");
        assert!(last[3]["failure"].is_null(), "{name}: {:#}", last[3]);
        assert!(ended.out.contains("step of `finally` `finally-3`"), "{name}: {}", ended.out);
        let state = json["cases"][0]["instances"][0]["state"].as_str().expect("a state");
        assert!(state.contains("gone") || state.contains("removed"), "{name}: {state}");
    }
}

/// Expressions come to what they should on real nodes, groups of steps are done at each use, parameters are in the names.
#[test]
fn the_tour_of_the_language() {
    let place = Place::new();
    let choice = "engine == \"runc\" && matrix.interval < time(\"10ms\")";
    let more = ["--engine", "cri,runc", "--where", choice, "--param", "count=7", "--repeat", "3s"];
    run(&place, &[("tour", spec(TOUR))], &more).exits(0);
    let json = json(&place);
    let cases = json["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 1, "the other cells and engines were not chosen");
    assert_eq!(cases[0]["id"], "tour[engine=runc,interval=5ms,count=7]");
    assert!(
        cases[0]["rerun"].as_str().is_some_and(|rerun| rerun.contains(" --param count=7 ")),
        "{}",
        cases[0]["rerun"]
    );
    let steps: Vec<&str> =
        cases[0]["steps"].as_array().expect("steps").iter().filter_map(|s| s["title"].as_str()).collect();
    assert!(steps.contains(&"wait until counter counts 7") && steps.contains(&"wait until hop counts 28"), "{steps:?}");
    assert!(cases[0]["steps"][1]["used_at"]["line"].is_u64());
    // Three seconds hold several repetitions of what takes less than one.
    let times = cases[0]["metrics"].as_array().expect("figures").iter().find(|m| m["name"] == "total").expect("total");
    assert!(times["samples"].as_array().expect("samples").len() > 2, "{times}");
}

#[test]
fn an_order_that_was_drawn_is_drawn_again() {
    let order = |seed: &str| {
        let place = Place::new();
        let ended = run(&place, &[("tour", spec(TOUR))], &["--engine", "runc", "--seed", seed]);
        ended.exits(0);
        assert!(ended.err.contains(&format!("--seed {seed} draws it again")), "{}", ended.err);
        let json = json(&place);
        assert_eq!(json["seed"].to_string(), seed);
        json["cases"].as_array().expect("cases").iter().map(|c| c["id"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(order("1"), order("1"));
}
