//! The broken inputs of `fixtures/invalid`.

use super::lint;
use crate::record::ErrorClass;
use crate::scenario::{CODES, explain};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/invalid")
}

fn fixtures() -> Vec<(String, String)> {
    let mut all: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&p).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn ten_mistakes_give_ten_diagnostics() {
    let text = std::fs::read_to_string(folder().join("ten-mistakes.yaml")).unwrap();
    let (scenario, found) = lint(&text);
    assert!(scenario.is_none());
    insta::assert_snapshot!("ten-mistakes", found.iter().map(|d| d.render(&text)).collect::<String>());
    assert_eq!(found.len(), 10);
    for d in &found {
        assert!(d.place.line > 1 && d.place.column > 0 && d.place.length > 0, "{d}");
        assert!(d.help.is_some(), "{d} has no suggestion");
    }
}

#[test]
fn every_fixture_gives_its_code_and_no_other() {
    for (name, text) in fixtures().iter().filter(|(n, _)| n.starts_with('E')) {
        let (scenario, found) = lint(text);
        let codes: BTreeSet<_> = found.iter().map(|d| d.code).collect();
        let shown: String = found.iter().map(|d| format!("{d}\n")).collect();
        insta::assert_snapshot!(name.as_str(), shown);
        assert!(codes.contains(&name[..5]), "{name}:\n{shown}");
        assert_eq!(scenario.is_some(), name.starts_with("E02"), "{name}");
    }
}

#[test]
fn every_code_has_a_fixture_and_a_text() {
    let names = fixtures();
    for code in CODES {
        assert!(names.iter().any(|(n, _)| n.starts_with(code.code)), "{} has no fixture", code.code);
        assert!(explain(code.code).is_some_and(|t| t.len() > 40));
    }
    assert!(explain("e0001").is_some());
    assert!(explain("E9999").is_none());
}

#[test]
fn every_class_of_error_is_explained() {
    for class in crate::scenario::classes::ALL {
        assert!(explain(class.name()).is_some(), "{class}");
    }
    let unique: BTreeSet<ErrorClass> = crate::scenario::classes::ALL.into_iter().collect();
    assert_eq!(unique.len(), crate::scenario::classes::ALL.len());
    // The last one that there is: a class that is added behind it must be added to the list too.
    assert_eq!(unique.last(), Some(&ErrorClass::Other));
}
