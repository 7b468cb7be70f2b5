//! What can be done with a real run once it is over, in a place where its nodes are no more: judge it again, bundle a case of it,
//! export its traces; and two builds of podferry in turn, which read each other's runs.

mod machine;

use machine::{Place, Traces};
use std::fs;
use std::path::{Path, PathBuf};

const SCENARIO: &str = include_str!("../../scenarios/counter-migrates.yaml");
const CASE: &str = "counter-migrates[engine=runc]";

/// The plainest migration, of which a machine with much else to do does not change what is checked.
const MOVES: &str = "
apiVersion: podferry/v1alpha1
kind: Scenario
metadata: {name: moves, title: a counter moves}
spec:
  workloads:
    counter: {use: counter, with: {interval: 10ms}}
  steps:
    - deploy: {workload: counter, node: a}
    - wait: {counter: {of: counter, atLeast: 5}}
    - capture: {of: counter, as: before}
    - migrate: {of: counter, to: b, as: moved}
  checks:
    - sameProcess: {of: moved, asOf: before}
";

/// Exit code and output.
fn podferry(place: &Place, args: &[&str]) -> (i32, String) {
    let done = place.podferry(args).output().expect("podferry starts");
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    (done.status.code().expect("it exits"), said)
}

/// The only file of this ending below a folder.
fn one(folder: &Path, ending: &str) -> PathBuf {
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    found.retain(|p| p.display().to_string().ends_with(ending));
    assert_eq!(found.len(), 1, "{ending} in {}: {found:?}", folder.display());
    found.remove(0)
}

#[test]
fn a_real_run_is_judged_again_bundled_and_traced() {
    let (place, before) = (Place::new(), Traces::now());
    fs::write(place.path("counts.yaml"), SCENARIO).expect("the scenario");
    let run = ["run", "counts.yaml", "--engine", "runc", "--repeat", "2", "--quiet", "--out", "out"];
    let (code, said) = podferry(&place, &[&run[..], &["--otlp", "traces.jsonl"]].concat());
    assert_eq!(code, 0, "{said}");

    let (code, said) = podferry(&place, &["recheck", "out/latest"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("all as they were, 7 checks judged again") && !said.contains("note"), "{said}");

    // A budget that the run does not keep.
    fs::write(place.path("tight.yaml"), SCENARIO.replace("max: 10s", "max: 1ms")).expect("the scenario");
    let (code, said) = podferry(&place, &["recheck", "out/latest", "--scenario", "tight.yaml"]);
    assert_eq!(code, 10, "{said}");
    let line = 1 + SCENARIO.lines().position(|l| l.trim_start().starts_with("- budget:")).expect("a budget");
    assert!(said.contains("was passed") && said.contains(&format!("tight.yaml:{line}:7  budget")), "{said}");

    let (code, said) = podferry(&place, &["bundle", "out/latest", CASE, "--out", "bundles"]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = podferry(&place, &["bundle", "out/latest"]);
    assert!(code == 4 && said.contains("every case passed"), "{said}");
    let unpacked = unpack(&one(&place.path("bundles"), ".zip"), &place.path("elsewhere"));
    let unpacked = unpacked.to_str().expect("a path");
    let (code, said) = podferry(&place, &["recheck", unpacked]);
    assert!(code == 0 && said.contains("7 checks judged again"), "{said}");

    // An answer of the source after its copy had answered: both were there at once, in the first repetition.
    let history = one(&place.path("out/latest/cases/counter-migrates_engine=runc_"), "r0.csv");
    let text = fs::read_to_string(&history).expect("a history");
    let (head, last) = text.trim_end().rsplit_once('\n').expect("lines");
    let (line, endpoint) = last.rsplit_once(',').expect("fields");
    assert_eq!(endpoint, "1", "the last answer is the copy's: {last}");
    fs::write(&history, format!("{head}\n{line},0\n")).expect("it is written");
    let (code, said) = podferry(&place, &["recheck", "out/latest"]);
    assert_eq!(code, 10, "{said}");
    assert!(said.contains("exclusive") && said.contains("held: "), "{said}");

    let traces = fs::read_to_string(place.path("traces.jsonl")).expect("traces");
    let read = |line: &str| serde_json::from_str::<opentelemetry_proto::tonic::trace::v1::TracesData>(line);
    let read: Vec<_> = traces.lines().map(|l| read(l).expect("OTLP/JSON")).collect();
    assert_eq!(read.len(), 2, "the run and its case");
    for name in ["\"checkpoint\"", "\"restore\"", "reader: no answer", "counter-migrates[engine=runc]"] {
        assert!(traces.contains(name), "{name}");
    }
    place.assert_clean(&before, "after all");
}

/// Unpacks a zip file into a folder; gives the one folder that is in it.
fn unpack(file: &Path, into: &Path) -> PathBuf {
    zip::ZipArchive::new(fs::File::open(file).expect("a file")).expect("a zip file").extract(into).expect("it unpacks");
    one(into, "")
}

/// The same build on both sides. Few samples say little, but all of them are there; nothing is far enough out for a second round.
#[test]
fn two_builds_are_compared_each_sample_a_run_of_its_own() {
    let (place, before) = (Place::new(), Traces::now());
    fs::write(place.path("moves.yaml"), MOVES).expect("the scenario");
    let ab = ["perf", "ab", "moves.yaml", "--engine", "runc", "--pairs", "16", "--warmup", "0", "--quiet"];
    let build = ["--candidate-build", machine::PODFERRY, "--max-load", "1000", "--margin", "900", "--out", "out"];
    let (code, said) = podferry(&place, &[&ab[..], &build].concat());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("checkpoint") && !said.contains("nothing to compare"), "{said}");
    let text = fs::read_to_string(place.path("out/latest/comparison.json")).expect("the comparison");
    let told: podferry::record::Comparison = serde_json::from_str(&text).expect("a comparison");
    assert!(told.differences.is_empty(), "the same program: {:?}", told.differences);
    let figure = |name: &str| told.cases[0].figures.iter().find(|f| f.name == name).expect("a figure");
    for name in ["checkpoint", "total", "spawns"] {
        assert_eq!((figure(name).baseline.all.len(), figure(name).candidate.all.len()), (16, 16), "{name}");
    }
    assert!(fs::read_to_string(place.path("out/latest/comparison.html")).expect("a page").contains("</html>"));
    place.assert_clean(&before, "after all");
}
