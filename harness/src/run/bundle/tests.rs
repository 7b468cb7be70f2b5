use super::*;
use crate::record::{Event, HostRecord, Origin, Outcome, RunId};
use crate::run::{keep_scenarios, load, recheck};
use std::io::Read;

struct Deaf;

impl crate::run::Listener for Deaf {
    fn line(&self, _: &Line) {}
    fn case(&self, _: &crate::record::CaseRecord) {}
}

/// A run of two cases, as a recorder writes it, each with a log and a file of its own.
fn stored(dir: &Path) -> [CaseId; 2] {
    let recorder = crate::run::Recorder::create(dir, Box::new(Deaf)).unwrap();
    recorder.run(Event::RunStarted {
        id: RunId("20260101-000000-0000".to_owned()),
        podferry: "0.1.0".to_owned(),
        command: vec!["podferry".to_owned()],
        started: "2026-01-01T00:00:00Z".to_owned(),
        host: HostRecord::default(),
        image: String::new(),
    });
    keep_scenarios(&recorder, [("one.yaml", "kind: Scenario\n"), ("two.yaml", "kind: Scenario # two\n")]);
    let cases = ["one", "two"].map(|name| CaseId(format!("{name}[engine=runc]")));
    for (case, name) in cases.iter().zip(["one", "two"]) {
        recorder.case(
            case,
            Event::CasePlanned {
                scenario: name.to_owned(),
                title: String::new(),
                origin: Origin { file: format!("{name}.yaml"), line: 1, column: 1 },
                engine: crate::record::EngineKind::Runc,
                params: std::collections::BTreeMap::new(),
                labels: std::collections::BTreeMap::new(),
                rerun: format!("podferry run {name}"),
            },
        );
        recorder.case(case, Event::ChecksPlanned(Vec::new()));
        recorder.case(case, Event::CaseStarted);
        let logs = dir.join("cases").join(folder(case)).join("logs/a");
        fs::create_dir_all(&logs).unwrap();
        fs::write(logs.join("criu.log"), format!("log of {name}\n")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", logs.join("link")).unwrap();
        recorder.case(case, Event::CaseFinished { outcome: Outcome::Failed, reason: Some("no".to_owned()) });
    }
    fs::write(dir.join("kubeconfig"), "secret").unwrap();
    recorder.run(Event::RunFinished { exit_code: 10 });
    cases
}

/// The files of a zip, by name.
fn unzipped(path: &Path) -> BTreeMap<String, String> {
    let mut zip = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    let mut text = |name: String| {
        let mut text = String::new();
        zip.by_name(&name).unwrap().read_to_string(&mut text).unwrap();
        (name, text)
    };
    names.into_iter().map(&mut text).collect()
}

#[test]
fn a_bundle_is_a_run_of_one_case_that_can_be_read_and_judged_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let [one, _] = stored(dir.path());
    let made = bundle(dir.path(), &one, &dir.path().join("bundles")).unwrap();
    let files = unzipped(&made.path);
    assert_eq!((files.len(), made.bytes), (made.files, fs::metadata(&made.path).unwrap().len()));
    let top = "20260101-000000-0000-one_engine=runc_/";
    let names: Vec<&str> = files.keys().map(|n| n.strip_prefix(top).expect("all in one folder")).collect();
    let expected = [
        "README.md",
        "cases/one_engine=runc_/logs/a/criu.log",
        "events.jsonl",
        "report.html",
        "run.json",
        "scenarios/one.yaml",
        "summary.md",
        "traces.otlp.jsonl",
    ];
    assert_eq!(names, expected, "nothing of the other case, no link, no kubeconfig");
    assert!(files[&format!("{top}README.md")].contains("podferry run one"));
    let there = tempfile::tempdir().unwrap();
    for (name, text) in &files {
        let path = there.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let unpacked = there.path().join(top);
    let run = load(&unpacked).unwrap();
    assert_eq!(run.cases.len(), 1);
    assert_eq!(run.cases[0], load(dir.path()).unwrap().cases[0]);
    assert_eq!(run.scenarios["one.yaml"].text.as_deref(), Some("kind: Scenario\n"));
    assert!(!recheck(&unpacked, |_| None).unwrap().cases[0].changed());
}

#[test]
fn a_bundle_that_cannot_be_written_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let [one, _] = stored(dir.path());
    let into = dir.path().join("bundles");
    let name = format!("20260101-000000-0000-{}.zip", folder(&one));
    fs::create_dir_all(into.join(&name).join("in the way")).unwrap();
    assert!(matches!(bundle(dir.path(), &one, &into), Err(StoredRunError::Write { .. })));
    let left: Vec<_> = fs::read_dir(&into).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [name.as_str()]);
}
