//! Runs that pass.

use super::machine::{PODFERRY, Place, Traces, names, runs};
use super::{Ended, QUICK, case, command, folder, json, junit, read, run};
use std::fs;
use std::process::Stdio;

#[test]
fn a_migration_passes_on_both_engines_and_everything_is_written() {
    let place = Place::new();
    let before = Traces::now();
    let args = ["run", "--quiet", "--out", "out", "--engine", "cri,runc", "counter-migrates"];
    let ended = Ended::of(place.podferry(&args));
    ended.exits(0);
    place.assert_clean(&before, "after a run that passed");
    assert!(ended.out.contains("2 passed") || ended.out.contains("all 2 cases passed"), "{}", ended.out);

    let run = json(&place);
    assert_eq!((run["exit_code"].as_u64(), run["counts"]["passed"].as_u64()), (Some(0), Some(2)));
    let components = run["nodes"][0]["components"].as_array().expect("components");
    for name in ["containerd", "runc", "criu"] {
        let found =
            components.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("no {name}: {components:?}"));
        let text = |key: &str| found[key].as_str().unwrap_or_default();
        assert!(text("version").starts_with(|c: char| c.is_ascii_digit()), "{found}");
        assert!(text("digest").starts_with("sha256:") && text("digest").len() == 71, "{found}");
    }
    let report = junit(&place);
    assert_eq!((report.tests, report.failures, report.errors), (2, 0, 0));
    assert!(read(&place, "summary.md").contains("counter-migrates"));
    let page = read(&place, "report.html");
    assert!(page.contains("counter-migrates[engine=cri]") && page.contains("counter-migrates[engine=runc]"));
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"), "the page needs nobody else");
    assert_eq!(fs::canonicalize(place.path("out/latest")).unwrap(), fs::canonicalize(folder(&place)).unwrap());
    for line in read(&place, "events.jsonl").lines() {
        serde_json::from_str::<podferry::record::Line>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
    rendering_again_gives_the_same(&place);
}

/// A stored run is rendered without root, by another program, and the same comes out.
fn rendering_again_gives_the_same(place: &Place) {
    let files = ["run.json", "junit.xml", "summary.md", "report.html"];
    let then: Vec<String> = files.iter().map(|f| read(place, f)).collect();
    for file in files {
        fs::remove_file(folder(place).join(file)).expect("removed");
    }
    Ended::of(place.podferry(&["report", "out/latest"])).exits(0);
    for (file, then) in files.iter().zip(then) {
        assert_eq!(read(place, file), then, "{file}");
    }
}

#[test]
fn two_runs_at_a_time_do_not_meet() {
    let place = Place::new();
    let before = Traces::now();
    let args = ["run", "--quiet", "--out", "out", "--engine", "runc,cri", "counter-migrates"];
    let start = || {
        let mut command = place.podferry(&args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect(PODFERRY)
    };
    let both = [start(), start()];
    for child in both {
        let done = child.wait_with_output().expect("it ends");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    assert_eq!(runs(&place.out()).len(), 2);
    assert!(place.path("out/latest/report.html").is_file());
    let stray = names(place.out()).into_iter().filter(|p| p.to_string_lossy().contains("/.latest")).count();
    assert_eq!(stray, 0);
    place.assert_clean(&before, "after two runs");
}

#[test]
fn what_an_engine_cannot_do_is_skipped_with_its_reason() {
    let spec = "  workloads: {counter: {use: counter, with: {interval: 10ms}}}
  steps:
    - deploy: {workload: counter}
    - migrate: {of: counter, to: b, medium: image}
  checks:
    - instance: {of: counter-moved, state: running}
";
    for (more, code) in [(vec!["--engine", "runc"], 0), (vec!["--engine", "runc", "--deny-skips"], 13)] {
        let place = Place::new();
        let ended = run(&place, &[("by-image", spec), ("quick", QUICK)], &more);
        ended.exits(code);
        let run = json(&place);
        let (outcome, reason) = case(&run, "by-image");
        assert_eq!(outcome, "skipped");
        assert!(reason.contains("can't restore from a checkpoint image: "), "{reason}");
        assert_eq!(case(&run, "quick").0, "passed");
        assert!(ended.out.contains(&reason), "{}", ended.out);
        assert!(read(&place, "junit.xml").contains("skipped=\"1\""), "{}", read(&place, "junit.xml"));
    }
}

/// A patched runc, as its maker tries it: in the place of the image.s, and said so in the report.
#[test]
fn a_binary_of_the_users_own_is_what_runs() {
    let place = Place::new();
    let image = super::node_image::rootfs();
    let own = place.path("my-runc");
    fs::copy(image.join("usr/sbin/runc"), &own).expect("a copy");
    let component = format!("runc={}", own.display());
    let command = command(&place, &[("quick", QUICK)], &["--engine", "runc", "--component", &component]);
    Ended::of(command).exits(0);
    let run = json(&place);
    let components = run["nodes"][0]["components"].as_array().expect("components");
    let runc = components.iter().find(|c| c["name"] == "runc").expect("runc");
    assert_eq!(runc["source"], format!("path {}", own.display()));
}
