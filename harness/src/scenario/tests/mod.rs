//! Tests of the room as a whole.

mod invalid;
mod robust;

use super::{Diagnostic, Scenario, Selection, Setting, SettingKind, WorkloadKind, load, plan};
use crate::record::EngineKind;
use crate::scenario::plan::ClientKind;

const fn setting(name: &'static str, kind: SettingKind) -> Setting {
    Setting { name, kind, required: false, about: "a setting" }
}

/// A catalogue as the shipped suite needs it.
pub(super) const KINDS: &[WorkloadKind] = &[
    kind(
        "redis",
        &[setting("data", SettingKind::Size)],
        [false, true, false],
        &[ClientKind::RedisWriter, ClientKind::TcpEcho],
    ),
    kind(
        "counter",
        &[setting("interval", SettingKind::Duration), setting("hold", SettingKind::Word(&["tcp", "file-lock"]))],
        [true, true, false],
        &[ClientKind::CounterReader],
    ),
    kind("looper", &[], [true, false, false], &[ClientKind::LogFollower]),
    kind("memory", &[setting("size", SettingKind::Size)], [false, true, true], &[ClientKind::TcpEcho]),
    kind(
        "exchange",
        &[setting("role", SettingKind::Word(&["first", "second"])), setting("file", SettingKind::Text)],
        [true, true, false],
        &[ClientKind::TcpEcho],
    ),
    kind("memcached", &[], [false, true, false], &[ClientKind::TcpEcho]),
    kind("nginx", &[], [false, true, false], &[ClientKind::TcpEcho]),
    kind("python", &[], [true, true, false], &[ClientKind::TcpEcho, ClientKind::CounterReader]),
];

const fn kind(
    name: &'static str,
    settings: &'static [Setting],
    [counter, identity, memory_digest]: [bool; 3],
    clients: &'static [ClientKind],
) -> WorkloadKind {
    WorkloadKind { name, about: "a program", settings, counter, identity, memory_digest, clients, variants: &[] }
}

pub(super) fn lint(text: &str) -> (Option<Scenario>, Vec<Diagnostic>) {
    load(text, "test.yaml", KINDS)
}

#[test]
fn a_check_may_be_for_some_engines_alone() {
    let text = "apiVersion: podferry/v1alpha1\nkind: Scenario\nmetadata: {name: x}\nspec:\n  workloads: {counter: {use: \
                counter}}\n  steps:\n    - deploy: {workload: counter, node: a}\n  checks:\n    \
                - instance: {of: counter, state: running}\n    - instance: {of: counter, state: running}\n      \
                engines: [ctr, docker]\n";
    let (scenario, found) = lint(text);
    let scenario = scenario.unwrap_or_else(|| panic!("{found:?}"));
    let engines = vec![EngineKind::Cri, EngineKind::Docker];
    let cases = plan(&[scenario], &Selection { engines, ..Selection::default() }).expect("a plan").cases;
    assert_eq!(cases.iter().map(|case| case.checks.len()).collect::<Vec<_>>(), [1, 2]);
}
