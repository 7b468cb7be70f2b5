//! `docs/catalogue.md`, made of the shipped scenarios.

use super::shipped::shipped;
use crate::record::{EngineKind, Tier};
use crate::scenario::plan::{Case, Weight};
use crate::scenario::{Scenario, Selection, load, plan};
use crate::workload::KINDS;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

/// What the areas are, in the order in which they are read. Every scenario's label `area` is one of these.
const AREAS: [(&str, &str); 12] = [
    ("migration", "Migrations that must go well"),
    ("connection", "What becomes of established connections"),
    ("pod", "Pods of several containers"),
    ("volume", "Volumes"),
    ("use", "What checkpoints are used for"),
    ("state", "State in the ways of its own"),
    ("process-state", "What of a process is carried, and what CRIU refuses"),
    ("target", "What the target lacks or has too much of"),
    ("restore", "Restores"),
    ("fault", "Faults on the way"),
    ("bad-input", "Checkpoints that are not as they were written"),
    ("trap", "Traps of today's stack, shown with the harness's guard off"),
];

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The engines that a scenario is for, in words.
fn engines(cases: &[&Case]) -> String {
    let all: BTreeSet<EngineKind> = cases.iter().map(|case| case.engine).collect();
    if all.len() == EngineKind::ALL.len() {
        return "all".to_owned();
    }
    all.iter().map(|engine| format!("`{engine}`")).collect::<Vec<_>>().join(", ")
}

fn line(scenario: &Scenario, cases: &[&Case]) -> String {
    let checks: BTreeSet<&str> = cases.iter().flat_map(|c| &c.checks).map(|c| c.spec.name()).collect();
    let checks: Vec<String> = checks.into_iter().map(|name| format!("`{name}`")).collect();
    let (name, tier) = (scenario.name(), scenario.tier().name());
    let cells: BTreeSet<_> = cases.iter().map(|case| &case.params).collect();
    let alone = if cases.iter().any(|case| case.weight == Weight::Exclusive) { "yes" } else { "" };
    format!(
        "| [`{name}`](../scenarios/{name}.yaml) | {} | {tier} | {} | {} | {} | {alone} |\n",
        cell(scenario.title()),
        cells.len(),
        engines(cases),
        checks.join(", ")
    )
}

fn catalogue() -> String {
    let files = shipped();
    let read =
        |(file, text): &(String, String)| load(text, &format!("scenarios/{file}"), KINDS).0.expect("it is clean");
    let scenarios: Vec<Scenario> = files.iter().map(read).collect();
    let all = Selection { engines: EngineKind::ALL.to_vec(), ..Selection::default() };
    let cases = plan(&scenarios, &all).expect("a plan").cases;
    let usual: Vec<&Case> = cases.iter().filter(|c| [EngineKind::Cri, EngineKind::Runc].contains(&c.engine)).collect();
    let core = usual.iter().filter(|case| case.tier == Tier::Core).count();
    let mut out = format!(
        "# The shipped scenarios\n\nMade of `scenarios/` by a test (`PODFERRY_UPDATE=1 cargo test -p podferry --lib catalogue`): don't \
         edit it.\n\n{} scenarios, which are {} cases on `cri` and `runc`, {core} of them of the core tier, which runs when nothing \
         is named. `podferry plan NAME` shows the steps of one, `podferry run NAME` runs it. *Cells* are those of its matrix: a case \
         for each, on each engine. *Alone*: cases of it have the machine for themselves where others run side by side (`--jobs`).\n",
        scenarios.len(),
        usual.len(),
    );
    let mut areas: BTreeMap<&str, Vec<&Scenario>> = BTreeMap::new();
    for scenario in &scenarios {
        let area = scenario.labels().find(|(name, _)| *name == "area").map(|(_, area)| area);
        areas.entry(area.expect("a shipped scenario has the label `area`")).or_default().push(scenario);
    }
    for (area, about) in AREAS {
        let of_area = areas.remove(area).unwrap_or_default();
        let _ = write!(out, "\n## {about}\n\n`podferry run area={area}`\n\n");
        out +=
            "| scenario | what it shows | tier | cells | engines | checks | alone |\n|---|---|---|---|---|---|---|\n";
        for scenario in of_area {
            let own: Vec<&Case> = cases.iter().filter(|case| case.scenario == scenario.name()).collect();
            out += &line(scenario, &own);
        }
    }
    assert!(areas.is_empty(), "areas that the catalogue does not know: {:?}", areas.keys());
    out
}

#[test]
fn the_catalogue_is_fresh() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/catalogue.md");
    let fresh = catalogue();
    if std::env::var_os("PODFERRY_UPDATE").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == fresh, "docs/catalogue.md is stale: set PODFERRY_UPDATE=1 and run this test again");
}
