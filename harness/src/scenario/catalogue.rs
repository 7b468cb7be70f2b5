//! What the room must know of workloads: given by the caller, since the catalogue itself is elsewhere.

use super::document::{Document, Workload};
use super::explain;
use super::place::Place;
use super::plan::ClientKind;
use super::read::{Reader, error, nearest};
use super::units::{Port, Rate, Size};
use super::value::Scalar;
use std::collections::BTreeSet;
use std::path::Path;
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
    /// What it is by its settings, where those make it tell less; the first that fits.
    pub variants: &'static [Variant],
}

/// What a program is by some of its settings.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// How those settings must be given, all of them.
    pub when: &'static [(&'static str, Given)],
    /// The settings that it cannot do without then.
    pub needs: &'static [&'static str],
    /// What it is then. Its name is how a scenario says so: `probe: log`.
    pub kind: WorkloadKind,
}

/// How a setting is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// As this word.
    Word(&'static str),
    /// Somehow.
    Somehow,
    /// Not at all.
    Not,
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
    /// `8080`.
    Port,
    /// A file, by its path from the folder of the scenario.
    File,
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
            SettingKind::Port => Port::WHAT.to_owned(),
            SettingKind::File => "a file".to_owned(),
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
            SettingKind::Port => Port::parse(text).is_some(),
            SettingKind::Flag => bool::parse(text).is_some(),
            SettingKind::Word(words) => words.contains(&text),
            SettingKind::Text | SettingKind::File => true,
        }
    }
}

/// Whether a file is there, asked by the path that it is opened by; if not, where it was looked for. The room itself opens none.
pub type FileLookup<'a> = &'a (dyn Fn(&Path) -> Result<(), String> + Sync);

/// The path of a file that a scenario names: from the scenario's own folder.
pub(super) fn beside(scenario: &str, file: &str) -> String {
    Path::new(scenario).parent().map_or_else(|| file.to_owned(), |folder| folder.join(file).display().to_string())
}

/// The kind of a workload with its settings, if it is the same in all cells and known.
pub(super) fn kind_of<'k>(workload: &Workload, kinds: &'k [WorkloadKind]) -> Option<&'k WorkloadKind> {
    let name = workload.kind.fixed()?;
    let kind = kinds.iter().find(|k| k.name == name)?;
    Some(variant_of(workload, kind).map_or(kind, |variant| &variant.kind))
}

/// What a workload is by its settings. One that differs from cell to cell makes it none, and so does one that there is not,
/// since it stands for another.
fn variant_of<'k>(workload: &Workload, kind: &'k WorkloadKind) -> Option<&'k Variant> {
    let known = |key: &str| kind.settings.iter().any(|s| s.name == key);
    if !workload.with.iter().flat_map(|w| &w.0).all(|(key, ..)| known(key)) {
        return None;
    }
    let fits = |(name, wanted): &(&str, Given)| {
        let field = workload.with.iter().flat_map(|w| &w.0).find(|(key, ..)| key == name).map(|(.., field)| field);
        match wanted {
            Given::Word(word) => field.and_then(|f| f.fixed()).is_some_and(|text| text == word),
            Given::Somehow => field.is_some(),
            Given::Not => field.is_none(),
        }
    };
    kind.variants.iter().find(|variant| variant.when.iter().all(fits))
}

/// What to write in the place of a variant that does not tell something: the others of the same program that do.
pub(super) fn others(
    variant: &WorkloadKind,
    kinds: &[WorkloadKind],
    tells: impl Fn(&WorkloadKind) -> bool,
) -> Option<String> {
    let siblings = kinds.iter().map(|k| k.variants).find(|all| all.iter().any(|v| std::ptr::eq(&v.kind, variant)))?;
    let names: Vec<&str> = siblings.iter().map(|v| &v.kind).filter(|k| tells(k)).map(|k| k.name).collect();
    (!names.is_empty())
        .then(|| format!("it is told by {}: write that, if the program does so", super::read::quoted(&names)))
}

/// The settings of workloads that are files: the workload, and the setting.
pub(super) fn files(document: &Document, kinds: &[WorkloadKind]) -> BTreeSet<(String, String)> {
    let is_file =
        |key: &str| kinds.iter().flat_map(|k| k.settings).any(|s| s.name == key && s.kind == SettingKind::File);
    let of = |(name, workload): &(super::value::Name, Workload)| {
        let keys = workload.with.iter().flat_map(|w| &w.0).map(|(key, ..)| key).filter(|key| is_file(key));
        keys.map(|key| (name.text().to_owned(), key.clone())).collect::<Vec<_>>()
    };
    document.spec.workloads.0.iter().flat_map(of).collect()
}

/// Checks `use` and `with` of all workloads.
pub(super) fn check(document: &Document, kinds: &[WorkloadKind], is_there: FileLookup<'_>, r: &mut Reader) {
    for (_, workload) in &document.spec.workloads.0 {
        let names: Vec<(String, Place)> =
            workload.kind.texts(r).into_iter().map(|(t, p)| (t.into_owned(), p)).collect();
        for (name, place) in names {
            match kinds.iter().find(|k| k.name == name) {
                Some(kind) => check_settings(workload, kind, is_there, r),
                None => {
                    let finding = error(explain::UNKNOWN_WORKLOAD, format!("there is no program `{name}` to use"));
                    r.tell(place, finding.meant(&name, kinds.iter().map(|k| k.name)));
                }
            }
        }
    }
}

fn check_settings(workload: &Workload, kind: &WorkloadKind, is_there: FileLookup<'_>, r: &mut Reader) {
    let before = r.diagnostics.len();
    let given = workload.with.as_ref().map_or(&[][..], |w| &w.0);
    for (key, place, field) in given {
        let Some(setting) = kind.settings.iter().find(|s| s.name == key) else {
            let finding = error(explain::BAD_SETTING, format!("`{}` has no setting `{key}`", kind.name));
            r.tell(*place, finding.meant(key, kind.settings.iter().map(|s| s.name)));
            continue;
        };
        let texts: Vec<(String, Place)> = field.texts(r).into_iter().map(|(t, p)| (t.into_owned(), p)).collect();
        if setting.kind == SettingKind::File {
            files_are_there(&texts, is_there, r);
        }
        for (text, at) in texts.into_iter().filter(|(text, _)| !setting.kind.accepts(text)) {
            if r.diagnostics.iter().any(|d| d.place == at) {
                continue;
            }
            let message = format!("`{text}` is not {}, which `{key}` of `{}` is", setting.kind.what(), kind.name);
            let finding = error(explain::BAD_SETTING, message);
            let finding = match setting.kind {
                SettingKind::Word(words) if nearest(&text, words).is_some() => {
                    finding.meant(&text, words.iter().copied())
                }
                SettingKind::Port => finding.help(format!("write {}", Port::WHAT)),
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
    let Some(variant) = variant_of(workload, kind) else { return };
    for setting in kind.settings.iter().filter(|s| variant.needs.contains(&s.name)) {
        if !given.iter().any(|(key, ..)| key == setting.name) {
            let message = format!("`{}` needs the setting `{}`", variant.kind.name, setting.name);
            let help = format!("add `{}: ...`: {}", setting.name, setting.about);
            r.tell(workload.kind.place, error(explain::BAD_SETTING, message).help(help));
        }
    }
}

fn files_are_there(texts: &[(String, Place)], is_there: FileLookup<'_>, r: &mut Reader) {
    for (text, at) in texts {
        if let Err(looked) = is_there(Path::new(&beside(&r.file, text))) {
            let finding = error(explain::BAD_SETTING, format!("there is no file `{text}`"));
            let help = format!("it was looked for as `{looked}`: a path is one from the scenario's own folder");
            r.tell(*at, finding.label("not there").help(help));
        }
    }
}
