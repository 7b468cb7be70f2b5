//! YAML as written -> checked [`Plan`] with source positions. Pure: text in, plan or diagnostics out. It may name the
//! plain data of `record`, and nothing else of the crate.
//!
//! The way of a file: `yaml` makes a tree of it in which every node has its place; `slips` puts right what was plainly meant
//! otherwise; `read` and the shapes make the
//! scenario as written of that, telling of everything that does not fit; `flow` goes through the steps in order and
//! tells of names and orders that cannot be; `expand` makes the cases.

mod action;
mod catalogue;
mod classes;
mod condition;
mod corpus;
mod diagnostic;
mod document;
mod examples;
mod expand;
mod explain;
mod expr;
mod faults;
mod field;
mod flow;
mod groups;
mod judge;
mod known;
mod malformed;
mod matrix;
mod parameters;
mod place;
pub mod plan;
mod pods;
mod read;
mod schema;
mod select;
mod slips;
#[cfg(test)]
mod tests;
mod title;
mod units;
mod value;
mod verdicts;
mod volumes;
mod yaml;

pub use catalogue::{FileLookup, Given, Setting, SettingKind, Variant, WorkloadKind};
pub use condition::WHERE;
pub use corpus::bench_corpus;
pub use diagnostic::{Diagnostic, Severity};
pub use expand::plan;
pub use explain::{CODES, Code, classes, explain};
pub use place::Place;
pub use plan::Plan;
pub use schema::{new_template, schema};
pub use select::Selection;
pub(crate) use title::of as step_title;
pub use units::{duration, size};

use crate::record::Tier;
use document::Document;
use read::{Read, Reader, error};
use std::collections::BTreeSet;

/// The version of the language.
pub const API_VERSION: &str = "podferry/v1alpha1";

/// A scenario without errors, ready to be planned.
#[derive(Clone, Debug)]
pub struct Scenario {
    file: String,
    document: Document,
    /// Settings of workloads that are files: the workload, and the setting.
    files: BTreeSet<(String, String)>,
}

impl Scenario {
    /// Its name.
    pub fn name(&self) -> &str {
        self.document.name().map_or("", |n| n.text())
    }

    fn metadata(&self) -> Option<&document::Metadata> {
        self.document.metadata.0.as_ref()
    }

    /// Why it is there, if it says so.
    pub fn description(&self) -> Option<&str> {
        self.metadata()?.description.as_ref().map(|d| d.value.as_str())
    }

    /// Its title; the name if it has none.
    pub fn title(&self) -> &str {
        self.metadata().and_then(|m| m.title.as_ref()).map_or(self.name(), |t| &t.value)
    }

    /// Its tier.
    pub fn tier(&self) -> Tier {
        self.metadata().and_then(|m| m.tier.as_ref()).map_or_else(Tier::default, |t| t.value)
    }

    /// The file as the user named it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The trap of the stack that it shows, if it is of that kind.
    pub fn trap(&self) -> Option<&str> {
        self.metadata()?.trap.as_ref().map(|t| t.value.as_str())
    }

    /// The axes of its matrix.
    pub fn axes(&self) -> impl Iterator<Item = &str> {
        self.document.spec.matrix.iter().flat_map(|m| &m.axes.0).map(|(name, _)| name.text())
    }

    /// Its parameters: name, default, and what it is.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
        let all = self.document.spec.parameters.iter().flat_map(|p| &p.0);
        all.map(|(name, p)| (name.text(), p.default.value.as_str(), p.description.as_ref().map(|d| d.value.as_str())))
    }

    /// Its labels.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.metadata().and_then(|m| m.labels.as_ref()).into_iter().flat_map(|l| &l.0);
        labels.map(|(name, value)| (name.text(), value.value.as_str()))
    }
}

/// Reads a scenario and tells of everything that is wrong with it, in the order of the file. There is a scenario when no
/// finding is an error. `workloads` is the catalogue that `use` and `with` are checked against. Files that it names are
/// taken to be there.
pub fn load(text: &str, file: &str, workloads: &[WorkloadKind]) -> Loaded {
    load_with(text, file, workloads, &|_| Ok(()))
}

/// [`load`], with the files that it names looked for.
pub fn load_with(text: &str, file: &str, workloads: &[WorkloadKind], is_there: FileLookup<'_>) -> Loaded {
    let mut r = Reader { file: file.to_owned(), ..Reader::default() };
    let document = match yaml::parse(text) {
        Ok(mut root) => {
            slips::mend(&mut root, &mut r);
            groups::expand(&mut root, &mut r);
            r.axes = document::axes(&root);
            r.params = document::parameters(&root);
            let start = Place { line: 1, column: 1, ..Place::default() };
            if document::is_foreign(&root, &mut r) { None } else { Document::read(&root, start, &mut r) }
        }
        Err(malformed) => {
            let help = malformed::mend(&malformed.message, text, malformed.place.line);
            r.tell(malformed.place, error(explain::MALFORMED, malformed.message).help(help));
            None
        }
    };
    if let Some(document) = &document {
        matrix::check(document, &mut r);
        parameters::check(document, &mut r);
        r.inputs = matrix::cells(document.spec.matrix.as_ref(), &[])
            .into_iter()
            .map(|cell| field::Inputs::new(cell, parameters::values(document, &[])))
            .collect();
        field::check(&mut r);
        catalogue::check(document, workloads, is_there, &mut r);
        flow::check(document, workloads, &mut r);
    }
    let files = document.as_ref().map(|document| catalogue::files(document, workloads)).unwrap_or_default();
    finish(document, files, r)
}

/// What [`load`] gives for a file.
pub type Loaded = (Option<Scenario>, Vec<Diagnostic>);

/// [`load_with`] for many files, (name, text), on all processors; in their order.
pub fn load_all(files: &[(String, String)], workloads: &[WorkloadKind], is_there: FileLookup<'_>) -> Vec<Loaded> {
    let each = |(file, text): &(String, String)| load_with(text, file, workloads, is_there);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    if files.len() < 64 || threads < 2 {
        return files.iter().map(each).collect();
    }
    let share = files.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let parts: Vec<_> =
            files.chunks(share).map(|part| scope.spawn(move || part.iter().map(each).collect::<Vec<_>>())).collect();
        let joined = parts.into_iter().map(|p| p.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.flatten().collect()
    })
}

fn finish(
    document: Option<Document>,
    files: BTreeSet<(String, String)>,
    r: Reader,
) -> (Option<Scenario>, Vec<Diagnostic>) {
    let Reader { file, mut diagnostics, .. } = r;
    diagnostics.sort_by_key(|d| (d.place.offset, d.code));
    // What is wrong in a group of steps is wrong at each of its uses: once is enough.
    diagnostics.dedup_by(|a, b| (a.code, a.place, &a.message) == (b.code, b.place, &b.message));
    let sound = !diagnostics.iter().any(Diagnostic::is_error);
    let scenario = document.filter(|_| sound).map(|document| Scenario { file, document, files });
    (scenario, diagnostics)
}
