//! The shipped suite, against the catalogue of workloads as it is.

use crate::record::EngineKind;
use crate::scenario::{Selection, load, plan};
use crate::workload::KINDS;
use std::path::PathBuf;

pub(super) fn shipped() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "yaml"))
        .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&p).unwrap()))
        .collect();
    all.sort();
    all
}

/// What `yaml-language-server`, which most editors have, reads in the first line.
const MODELINE: &str = "# yaml-language-server: $schema=../fixtures/scenario.schema.json";

#[test]
fn every_shipped_scenario_is_clean() {
    let all = shipped();
    assert!(!all.is_empty());
    for (file, text) in all {
        let (scenario, found) = load(&text, &file, KINDS);
        assert!(found.is_empty(), "{}", found.iter().map(|d| d.render(&text)).collect::<String>());
        let scenario = scenario.unwrap();
        assert_eq!(format!("{}.yaml", scenario.name()), file, "a scenario is named like its file");
        assert_ne!(scenario.title(), scenario.name(), "{file} has a title");
        let (modeline, reason) = text.split_once('\n').unwrap();
        assert_eq!(modeline, MODELINE, "{file}: editors complete and check what says its schema");
        assert!(reason.starts_with("# "), "{file} begins with its reason");
    }
}

#[test]
fn plan_of_the_shipped_suite() {
    let scenarios: Vec<_> = shipped().iter().map(|(f, t)| load(t, f, KINDS).0.unwrap()).collect();
    let selection = Selection { engines: vec![EngineKind::Cri, EngineKind::Runc], ..Selection::default() };
    let plan = plan(&scenarios, &selection).unwrap();
    let mut shown = String::new();
    for case in &plan.cases {
        shown.push_str(&format!("{}\n", case.id));
        for step in case.steps.iter().filter(|_| case.engine == EngineKind::Cri) {
            shown.push_str(&format!("  {}: {}\n", step.id, step.title));
        }
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn the_schemas_are_fresh() {
    for (file, fresh) in
        [("scenario.schema.json", crate::scenario::schema()), ("run.schema.json", crate::report::json_schema())]
    {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(file);
        if std::env::var_os("PODFERRY_UPDATE").is_some() {
            std::fs::write(&path, &fresh).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == fresh, "fixtures/{file} is stale: set PODFERRY_UPDATE=1 and run this test again");
    }
}
