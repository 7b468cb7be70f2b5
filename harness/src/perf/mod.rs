//! Whether something got slower: a candidate against a baseline, measured in turn in one run ([`ab`]), or against figures that
//! were stored ([`stored`], [`history`]). Figures come from the record of a run, in which they are already; nothing is measured here.

pub mod ab;
pub mod acks;
mod figures;
mod fit;
pub mod history;
mod judge;
mod machine;
pub mod stored;

pub use fit::{Watch, unfit, unquiet};
pub use machine::fingerprint;

use crate::record::{Comparison, PerfVerdict, RuleRecord, Run, Way};
use crate::report;
use crate::run::Exit;
use crate::stats::Rule;
use figures::Figure;
use std::io;
use std::path::{Path, PathBuf};

/// Why a file of figures cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PerfError {
    /// It cannot be read.
    #[error("can't read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("can't write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It is not of the form that it should be of.
    #[error("{}, line {line}: this is no {what}", .path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
        /// The line.
        line: usize,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The figures are of two machines.
    #[error("the baseline is of machine {baseline} ({}), and these figures are of {here}", describe(.host))]
    OtherMachine {
        /// The baseline's.
        baseline: String,
        /// Its machine.
        host: Box<crate::record::HostRecord>,
        /// The run's.
        here: String,
    },
    /// There are no figures.
    #[error("run {0} has no figures: none of its cases passed")]
    NoFigures(String),
}

impl PerfError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            PerfError::OtherMachine { .. } => Some(
                "make a baseline here with `podferry perf baseline`, or compare all the same with --allow-other-machine",
            ),
            PerfError::NoFigures(_) => Some("figures come from `podferry run --repeat 20`"),
            _ => None,
        }
    }
}

/// A comparison of a run with nothing compared yet.
fn comparison_of(run: &Run, way: Way, rule: RuleRecord) -> Comparison {
    Comparison {
        schema: 1,
        id: run.id.clone(),
        podferry: run.podferry.clone(),
        command: run.command.clone(),
        started: run.started.clone(),
        host: run.host.clone(),
        machine: fingerprint(&run.host),
        way,
        rule,
        differences: Vec::new(),
        machine_use: None,
        warnings: Vec::new(),
        cases: Vec::new(),
    }
}

fn describe(host: &crate::record::HostRecord) -> String {
    format!("kernel {}, {} x {}, {} MiB", host.kernel, host.cpus, host.cpu_model, host.memory_mib)
}

/// The names of all figures that are compared.
pub fn figure_names() -> Vec<&'static str> {
    figures::all().map(|f| f.name).collect()
}

/// The rule unless the user says otherwise.
pub fn shipped_rule() -> RuleRecord {
    let Rule { confidence, margin, find, power, .. } = Rule::default();
    RuleRecord { confidence, margin, least_ms: 1.0, find, power, most_stolen: 0.1, most_load: 4.0 }
}

fn rule_of(rule: &RuleRecord, figure: &Figure) -> Rule {
    let RuleRecord { confidence, margin, least_ms, find, power, .. } = *rule;
    Rule { confidence, margin, least: figure.least(least_ms), find, power }
}

/// The code of a comparison. Without `gate` it only ever tells; with it, a regression that nobody has acknowledged is 12, and
/// figures that say nothing are an error of the surroundings: a gate that cannot see must not stand open.
pub fn exit(comparison: &Comparison, gate: bool) -> Exit {
    let figures = || comparison.cases.iter().flat_map(|c| &c.figures);
    if !gate {
        return Exit::Passed;
    }
    if figures().any(crate::record::ComparedFigure::stops) {
        return Exit::Regressed;
    }
    let invalid = figures().any(|f| f.verdict == PerfVerdict::Invalid && f.gates);
    let nothing = comparison.cases.iter().any(|c| c.trouble.is_some() && !c.skipped) || figures().next().is_none();
    if invalid || nothing { Exit::Surroundings } else { Exit::Passed }
}

/// Writes the reports of a comparison into a folder.
///
/// # Errors
/// One cannot be written.
pub fn write_reports(dir: &Path, comparison: &Comparison) -> Result<(), PerfError> {
    write(&dir.join("comparison.json"), &report::perf::json(comparison))?;
    write(&dir.join("comparison.md"), &report::perf::markdown(comparison))?;
    write(&dir.join("comparison.html"), &report::perf::html(comparison))
}

fn read(path: &Path) -> Result<String, PerfError> {
    std::fs::read_to_string(path).map_err(|source| PerfError::Read { path: path.to_owned(), source })
}

/// Whole or not at all.
fn write(path: &Path, text: &str) -> Result<(), PerfError> {
    let fail = |source| PerfError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, path)).map_err(|e| {
        let _ = std::fs::remove_file(&fresh);
        fail(e)
    })
}
