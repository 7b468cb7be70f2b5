//! Tests of the room as a whole.

mod invalid;
mod robust;

use super::{Diagnostic, Scenario, Setting, SettingKind, WorkloadKind, load};
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
    WorkloadKind { name, about: "a program", settings, counter, identity, memory_digest, clients }
}

pub(super) fn lint(text: &str) -> (Option<Scenario>, Vec<Diagnostic>) {
    load(text, "test.yaml", KINDS)
}
