//! Cases side by side.

use crate::machine::Place;
use crate::{QUICK, folder, json, run};
use serde_json::Value;
use std::fs;

/// When each case began and ended, in ms, by its scenario's name.
fn spans(run: &Value) -> Vec<(String, f64, f64)> {
    let cases = run["cases"].as_array().expect("cases");
    let of = |case: &Value| {
        let (from, ms) = (case["from_ms"].as_f64().expect("a begin"), case["ms"].as_f64().expect("a time"));
        (case["scenario"].as_str().expect("a name").to_owned(), from, from + ms)
    };
    cases.iter().map(of).collect()
}

fn overlap(a: &(String, f64, f64), b: &(String, f64, f64)) -> bool {
    a.1 < b.2 && b.1 < a.2
}

/// Long enough that two of them meet.
fn slow() -> String {
    QUICK.replace("atLeast: 3", "atLeast: 100")
}

#[test]
fn cases_run_beside_each_other_but_for_those_that_are_timed() {
    let place = Place::new();
    let slow = slow();
    let (timed, heavy) = (slow.clone() + "  weight: exclusive\n", slow.clone() + "  weight: 2\n");
    let all = [("one", &*slow), ("alone", &*timed), ("two", &*slow), ("heavy", &*heavy), ("three", &*slow)];
    run(&place, &all, &["--engine", "runc", "--jobs", "2"]).exits(0);
    let run = json(&place);
    let spans = spans(&run);
    let names: Vec<&str> = spans.iter().map(|s| s.0.as_str()).collect();
    assert_eq!(names, ["one", "alone", "two", "heavy", "three"], "reports keep the order of the scenarios");
    let find = |name: &str| spans.iter().find(|s| s.0 == name).expect("a case");
    assert!(overlap(find("one"), find("two")), "two jobs, one after the other: {spans:?}");
    for whole in ["alone", "heavy"] {
        let met: Vec<_> = spans.iter().filter(|s| s.0 != whole && overlap(s, find(whole))).collect();
        assert!(met.is_empty(), "{whole} did not have the machine for itself: {met:?}");
    }
    // What is counted of the process as a whole is told of those alone that ran alone.
    let counted = |name: &str| {
        let case = run["cases"].as_array().expect("cases").iter().find(|c| c["scenario"] == name).expect("a case");
        case["metrics"].as_array().expect("metrics").iter().any(|m| m["name"] == "spawns")
    };
    assert!(counted("alone") && !counted("one"), "{run:#}");
}

/// One that fails has its nodes made anew, and the other lane does not notice.
#[test]
fn a_case_that_fails_harms_none_beside_it() {
    let place = Place::new();
    let (slow, red) = (slow(), QUICK.replace("state: running", "state: stopped"));
    let all = [("one", &*slow), ("red", &*red), ("two", &*slow), ("red-again", &*red), ("three", &*slow)];
    run(&place, &all, &["--engine", "runc", "--jobs", "2"]).exits(10);
    let run = json(&place);
    let of = |outcome: &str| run["cases"].as_array().expect("cases").iter().filter(|c| c["status"] == outcome).count();
    assert_eq!((of("passed"), of("failed")), (3, 2), "{run:#}");
    // The events of both lanes are in one record, each line whole.
    let events = fs::read_to_string(folder(&place).join("events.jsonl")).expect("events");
    assert!(events.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}
