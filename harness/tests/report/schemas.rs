//! What the committed schemas say holds for what is written: by podferry as `run.json`, and by the shipped suite.

use super::{empty, golden};
use jsonschema::Validator;
use podferry::report;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn schema(name: &str) -> Validator {
    let text = fs::read_to_string(Path::new(REPOSITORY).join("fixtures").join(name)).expect("a schema");
    jsonschema::validator_for(&serde_json::from_str(&text).expect("JSON")).expect("a JSON schema")
}

fn complaints(schema: &Validator, value: &Value) -> Vec<String> {
    schema.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

fn in_folder(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(Path::new(REPOSITORY).join(folder))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    files
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

#[test]
fn every_run_is_as_its_schema_says() {
    let schema = schema("run.schema.json");
    for run in [golden::run(), golden::known(), golden::killed(), empty()] {
        let written: Value = serde_json::from_str(&report::json(&run)).expect("JSON");
        assert_eq!(complaints(&schema, &written), [""; 0], "{}", run.id);
        for (field, wrong) in [("verdict", Value::Null), ("counts", "12 passed".into()), ("cases", Value::Null)] {
            let mut other = written.clone();
            other[field] = wrong;
            assert!(!schema.is_valid(&other), "{field}");
            other.as_object_mut().expect("an object").remove(field);
            assert!(!schema.is_valid(&other), "{field}");
        }
    }
}

#[test]
fn an_editor_finds_nothing_to_mark_in_the_shipped_suite() {
    let schema = schema("scenario.schema.json");
    let files = in_folder("scenarios");
    assert!(files.len() > 40, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).expect("a scenario");
        assert_eq!(complaints(&schema, &yaml(&text)), [""; 0], "{}", file.display());
        assert!(!schema.is_valid(&yaml(&text.replacen("\n  steps:", "\n  stepz:", 1))), "{}", file.display());
    }
}
