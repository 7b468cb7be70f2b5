//! A comparison against figures that were stored. Nothing was measured in turn, so only what has no noise is certain.

use super::acks::{self, Acks};
use super::judge::{self, Both};
use super::{PerfError, comparison_of, figures, fingerprint, read, write};
use crate::record::{
    CaseId, CaseRecord, ComparedCase, Comparison, ComponentRecord, HostRecord, Outcome, RuleRecord, Run, RunId, Way,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Every sample of a figure, by case and figure.
pub type Series = BTreeMap<CaseId, BTreeMap<String, Vec<f64>>>;

/// The figures of a run, to hold later ones against: `perf/baseline.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Version of this form; 1.
    pub schema: u32,
    /// The run.
    pub run: RunId,
    /// When it began.
    pub started: String,
    /// podferry's version.
    pub podferry: String,
    /// The machine's fingerprint.
    pub machine: String,
    /// The machine.
    pub host: HostRecord,
    /// What ran on the nodes.
    pub components: Vec<ComponentRecord>,
    /// The samples of the cases that passed.
    pub series: Series,
}

/// The figures of a run.
///
/// # Errors
/// None of its cases passed with a figure.
pub fn baseline(run: &Run) -> Result<Baseline, PerfError> {
    let series = series(run);
    if series.is_empty() {
        return Err(PerfError::NoFigures(run.id.0.clone()));
    }
    Ok(Baseline {
        schema: 1,
        run: run.id.clone(),
        started: run.started.clone(),
        podferry: run.podferry.clone(),
        machine: fingerprint(&run.host),
        host: run.host.clone(),
        components: components(run),
        series,
    })
}

pub(super) fn series(run: &Run) -> Series {
    let figures = |c: &CaseRecord| {
        let known = figures::all().filter_map(|f| Some((f.name.to_owned(), c.evidence.metrics.get(f.name)?.clone())));
        known.collect::<BTreeMap<_, _>>()
    };
    let passed = run.cases.iter().filter(|c| c.outcome == Some(Outcome::Passed));
    passed.map(|c| (c.id.clone(), figures(c))).filter(|(_, figures)| !figures.is_empty()).collect()
}

pub(super) fn components(run: &Run) -> Vec<ComponentRecord> {
    run.nodes.first().map(|n| n.components.clone()).unwrap_or_default()
}

/// Writes it, in the place of an older one.
///
/// # Errors
/// It cannot be written.
pub fn save(path: &Path, baseline: &Baseline) -> Result<(), PerfError> {
    let mut text = serde_json::to_string_pretty(baseline).unwrap_or_default();
    text.push('\n');
    write(path, &text)
}

/// Reads it.
///
/// # Errors
/// It cannot be read, or is no baseline.
pub fn load(path: &Path) -> Result<Baseline, PerfError> {
    serde_json::from_str(&read(path)?).map_err(|source| PerfError::Form {
        path: path.to_owned(),
        what: "baseline",
        line: source.line(),
        source,
    })
}

/// Holds a run against a baseline.
///
/// # Errors
/// The baseline is of another machine, and that is not allowed.
pub fn compare(
    run: &Run,
    baseline: &Baseline,
    rule: RuleRecord,
    other_machine: bool,
    acks: &Acks,
) -> Result<Comparison, PerfError> {
    let here = fingerprint(&run.host);
    let mut warnings = Vec::new();
    if here != baseline.machine {
        if !other_machine {
            let (baseline, host) = (baseline.machine.clone(), Box::new(baseline.host.clone()));
            return Err(PerfError::OtherMachine { baseline, host, here });
        }
        let host = super::describe(&baseline.host);
        warnings.push(format!("the baseline is of another machine ({host}): times say nothing of the stack"));
    }
    let gone: Vec<&str> =
        baseline.series.keys().filter(|id| run.cases.iter().all(|c| c.id != **id)).map(|id| id.0.as_str()).collect();
    if !gone.is_empty() {
        warnings.push(format!("of the baseline, but not in this run: {}", gone.join(", ")));
    }
    let cases = run.cases.iter().map(|c| case(c, baseline, &rule)).collect();
    let way = Way::Stored { baseline: baseline.run.clone(), machine: baseline.machine.clone() };
    let differences = super::ab::changes(&baseline.components, &components(run));
    let mut comparison = Comparison { differences, warnings, cases, ..comparison_of(run, way, rule) };
    acks::apply(acks, &mut comparison);
    Ok(comparison)
}

fn case(record: &CaseRecord, baseline: &Baseline, rule: &RuleRecord) -> ComparedCase {
    let empty = |trouble: String, skipped| ComparedCase {
        case: record.id.clone(),
        again: record.rerun.clone(),
        trouble: Some(trouble),
        skipped,
        figures: Vec::new(),
    };
    if record.outcome != Some(Outcome::Passed) {
        let reason = record.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
        let word = record.outcome.map_or("it did not end", Outcome::name);
        return empty(format!("{word}{reason}"), record.outcome == Some(Outcome::Skipped));
    }
    let Some(stored) = baseline.series.get(&record.id) else {
        return empty("the baseline does not have it".to_owned(), true);
    };
    let judged = |figure: figures::Figure| {
        let of = |all: &BTreeMap<String, Vec<f64>>| all.get(figure.name).cloned().unwrap_or_default();
        let both = Both { baseline: of(stored), candidate: of(&record.evidence.metrics) };
        // A figure that podferry did not have when the baseline was made.
        if both.baseline.is_empty() {
            return None;
        }
        judge::apart(&figure, &both, rule)
    };
    ComparedCase {
        case: record.id.clone(),
        again: record.rerun.clone(),
        trouble: None,
        skipped: false,
        figures: figures::all().filter_map(judged).collect(),
    }
}

#[cfg(test)]
mod tests;
