//! The invariants of ARCHITECTURE.md, checked over the sources.

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 50, "the walk found only {} files", found.len());
    found
}

fn collect(root: &Path, dir: &Path, found: &mut Vec<(String, String)>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root).expect("below the root").display().to_string();
            found.push((name, fs::read_to_string(&path).expect("a source file")));
        }
    }
}

/// The lines of a file that are code: comments may name anything. Tests at a file's end may do I/O.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|l| l.trim() != "#[cfg(test)]").filter(|l| !l.trim_start().starts_with("//"))
}

fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs") || name.contains("/tests/")
}

fn offenders(within: impl Fn(&str) -> bool, forbidden: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| within(name) && !is_test(name)) {
        for line in code(text) {
            if forbidden.iter().any(|f| line.contains(f)) {
                found.push(format!("{name}: {}", line.trim()));
            }
        }
    }
    found
}

fn room(rooms: &'static [&'static str]) -> impl Fn(&str) -> bool {
    move |name| rooms.iter().any(|r| name.starts_with(&format!("{r}/")))
}

#[test]
fn pure_rooms_do_no_io_and_name_no_engine() {
    let io = ["std::fs", "std::net", "std::process", "tokio::", "std::thread", "nix::", "Instant::now", "SystemTime"];
    let found = offenders(room(&["scenario", "check", "report", "stats", "record"]), &io);
    assert_eq!(found, Vec::<String>::new());
    let engines = ["crate::engine", "crate::node", "crate::provider", "crate::run"];
    let found = offenders(room(&["scenario", "check", "report", "stats", "record"]), &engines);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_bottom_room_knows_no_other() {
    let others = ["check", "scenario", "report", "stats", "client", "image", "process", "ledger", "component", "clock"];
    let forbidden: Vec<String> = others.iter().map(|o| format!("crate::{o}")).collect();
    let forbidden: Vec<&str> = forbidden.iter().map(String::as_str).collect();
    assert_eq!(offenders(room(&["record", "stats"]), &forbidden), Vec::<String>::new());
}

#[test]
fn only_process_and_a_nodes_init_spawn() {
    let outside = |name: &str| !name.starts_with("process/") && !name.starts_with("node/init");
    assert_eq!(offenders(outside, &["Command::new(", "posix_spawn", "fork()"]), Vec::<String>::new());
}

#[test]
fn only_one_module_names_the_yaml_crate() {
    assert_eq!(offenders(|name| name != "scenario/yaml.rs", &["serde_saphyr"]), Vec::<String>::new());
}

#[test]
fn only_one_module_names_the_crate_of_expressions() {
    let elsewhere = |name: &str| name != "scenario/expr.rs" && !name.starts_with("scenario/expr/");
    assert_eq!(offenders(elsewhere, &["rhai::"]), Vec::<String>::new());
}

#[test]
fn engines_never_see_yaml() {
    assert_eq!(offenders(room(&["engine"]), &["crate::scenario"]), Vec::<String>::new());
}

/// The calls that leave out all that an engine does against the traps of the stack.
#[test]
fn bare_calls_are_made_for_scenarios_alone() {
    let outside =
        |name: &str| !name.starts_with("engine/") && !["run/action/bare.rs", "run/action/restore.rs"].contains(&name);
    assert_eq!(offenders(outside, &["checkpoint_bare(", "restore_bare("]), Vec::<String>::new());
}

#[test]
fn rooms_are_small_and_have_names_of_their_own() {
    for (name, text) in sources().iter().filter(|(name, _)| !name.contains("/generated/")) {
        let lines = text.lines().count();
        assert!(lines <= 450, "{name} has {lines} lines: one concern each");
        let stem = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".rs");
        assert!(!["util", "utils", "helper", "helpers", "common", "misc"].contains(&stem), "{name}: name its concern");
    }
}
