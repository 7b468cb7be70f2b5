//! What the room must know of workloads: given by the caller, since the catalogue itself is elsewhere.

use super::document::{Document, Workload};
use super::explain;
use super::place::Place;
use super::plan::ClientKind;
use super::read::{Reader, error, nearest};
use super::units::{Rate, Size};
use super::value::Scalar;
use std::time::Duration;

/// A program that scenarios can `use`.
#[derive(Clone, Copy, Debug)]
pub struct WorkloadKind {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Its settings.
    pub settings: &'static [Setting],
    /// Whether it tells a counter.
    pub counter: bool,
    /// Whether it tells a nonce or another value fixed at start, without which `sameProcess` cannot judge.
    pub identity: bool,
    /// Whether it tells a digest of its memory.
    pub memory_digest: bool,
    /// The clients that can talk to it.
    pub clients: &'static [ClientKind],
}

/// A setting of a workload.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key under `with`.
    pub name: &'static str,
    /// What its value is.
    pub kind: SettingKind,
    /// Whether it must be given.
    pub required: bool,
    /// What it does, and its default, in a line.
    pub about: &'static str,
}

/// What a setting's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// `64Mi`.
    Size,
    /// `250ms`.
    Duration,
    /// `1000/s`.
    Rate,
    /// `200`.
    Count,
    /// `true` or `false`.
    Flag,
    /// One of these.
    Word(&'static [&'static str]),
    /// Anything.
    Text,
}

impl SettingKind {
    /// What is wanted, for people, with an example.
    pub fn what(self) -> String {
        match self {
            SettingKind::Size => Size::WHAT.to_owned(),
            SettingKind::Duration => Duration::WHAT.to_owned(),
            SettingKind::Rate => Rate::WHAT.to_owned(),
            SettingKind::Count => u64::WHAT.to_owned(),
            SettingKind::Flag => bool::WHAT.to_owned(),
            SettingKind::Word(words) => format!("one of {}", super::read::quoted(words)),
            SettingKind::Text => String::WHAT.to_owned(),
        }
    }

    /// Whether the text is such a value.
    pub fn accepts(self, text: &str) -> bool {
        match self {
            SettingKind::Size => Size::parse(text).is_some(),
            SettingKind::Duration => Duration::parse(text).is_some(),
            SettingKind::Rate => Rate::parse(text).is_some(),
            SettingKind::Count => u64::parse(text).is_some(),
            SettingKind::Flag => bool::parse(text).is_some(),
            SettingKind::Word(words) => words.contains(&text),
            SettingKind::Text => true,
        }
    }
}

/// The kind of a workload, if it is the same in all cells and known.
pub(super) fn kind_of<'k>(workload: &Workload, kinds: &'k [WorkloadKind]) -> Option<&'k WorkloadKind> {
    let name = workload.kind.fixed()?;
    kinds.iter().find(|k| k.name == name)
}

/// Checks `use` and `with` of all workloads.
pub(super) fn check(document: &Document, kinds: &[WorkloadKind], r: &mut Reader) {
    for (_, workload) in &document.spec.workloads.0 {
        let names: Vec<(String, Place)> =
            workload.kind.texts(r).into_iter().map(|(t, p)| (t.into_owned(), p)).collect();
        for (name, place) in names {
            match kinds.iter().find(|k| k.name == name) {
                Some(kind) => check_settings(workload, kind, r),
                None => {
                    let finding = error(explain::UNKNOWN_WORKLOAD, format!("there is no program `{name}` to use"));
                    r.tell(place, finding.meant(&name, kinds.iter().map(|k| k.name)));
                }
            }
        }
    }
}

fn check_settings(workload: &Workload, kind: &WorkloadKind, r: &mut Reader) {
    let before = r.diagnostics.len();
    let given = workload.with.as_ref().map_or(&[][..], |w| &w.0);
    for (key, place, field) in given {
        let Some(setting) = kind.settings.iter().find(|s| s.name == key) else {
            let finding = error(explain::BAD_SETTING, format!("`{}` has no setting `{key}`", kind.name));
            r.tell(*place, finding.meant(key, kind.settings.iter().map(|s| s.name)));
            continue;
        };
        let bad: Vec<(String, Place)> = field
            .texts(r)
            .into_iter()
            .filter(|(text, _)| !setting.kind.accepts(text))
            .map(|(t, p)| (t.into_owned(), p))
            .collect();
        for (text, at) in bad {
            if r.diagnostics.iter().any(|d| d.place == at) {
                continue;
            }
            let message = format!("`{text}` is not {}, which `{key}` of `{}` is", setting.kind.what(), kind.name);
            let finding = error(explain::BAD_SETTING, message);
            let finding = match setting.kind {
                SettingKind::Word(words) if nearest(&text, words).is_some() => {
                    finding.meant(&text, words.iter().copied())
                }
                _ => finding.help(setting.about),
            };
            r.tell(at, finding);
        }
    }
    // A mistyped key was told of just now; that the right one is missing says nothing new.
    if r.diagnostics.len() > before {
        return;
    }
    for setting in kind.settings.iter().filter(|s| s.required) {
        if !given.iter().any(|(key, ..)| key == setting.name) {
            let message = format!("`{}` needs the setting `{}`", kind.name, setting.name);
            let help = format!("add `with: {{{}: ...}}`: {}", setting.name, setting.about);
            r.tell(workload.kind.place, error(explain::BAD_SETTING, message).help(help));
        }
    }
}
