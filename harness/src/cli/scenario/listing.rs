//! `podferry list` and `podferry plan`: which cases there are, and what would be done.

use super::{Printed, counted, exit, planned};
use crate::cli::estimate::{self, Past};
use crate::cli::terminal::complain;
use crate::run::needs;
use crate::scenario::plan::{Case, Weight};
use crate::scenario::{Plan, Selection, WorkloadKind};
use std::fmt::Write as _;
use std::path::PathBuf;

/// How cases are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PlanFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON document.
    Json,
}

/// `podferry list`: the cases, one a line.
pub fn list(
    paths: &[PathBuf],
    workloads: &[WorkloadKind],
    selection: &Selection,
    images: &[String],
    format: PlanFormat,
) -> Printed {
    match planned(paths, workloads, selection).map(|plan| plan.on_images(images)) {
        Ok(plan) if format == PlanFormat::Json => (json(&plan, None), exit::PASSED),
        Ok(plan) => {
            // Beside the list: what reads it takes each line for a case.
            beyond(&plan).iter().for_each(|told| complain(told));
            (plan.cases.iter().map(|c| format!("{}\n", c.id)).collect(), exit::PASSED)
        }
        Err(printed) => printed,
    }
}

/// What a plan tells beside its cases.
pub struct About<'a> {
    /// The stacks that each case runs on, if there are several.
    pub stacks: &'a [String],
    /// What cases took.
    pub past: &'a Past,
    /// Why a case will be skipped, if that can be told already.
    pub skip: &'a dyn Fn(&Case) -> Option<String>,
}

/// `podferry plan`: the cases with their steps and checks. It says what would be done, and never that it passed.
pub fn plan(
    paths: &[PathBuf],
    workloads: &[WorkloadKind],
    selection: &Selection,
    about: &About<'_>,
    format: PlanFormat,
) -> Printed {
    match planned(paths, workloads, selection).map(|plan| plan.on_images(about.stacks)) {
        Ok(plan) if format == PlanFormat::Json => (json(&plan, Some(about)), exit::PASSED),
        Ok(plan) => {
            let cases: Vec<String> = plan.cases.iter().map(|case| shown(case, about)).collect();
            let runs = |case: &&Case| (about.skip)(case).is_none();
            let time = estimate::shown(about.past.total(plan.cases.iter().filter(runs)));
            let more = beyond(&plan).map_or_else(String::new, |told| format!("{told}\n"));
            let total = format!("\n{}, {time} one after the other\n{more}", counted(plan.cases.len(), "case"));
            (cases.join("\n") + &total, exit::PASSED)
        }
        Err(printed) => printed,
    }
}

/// That there is more than was planned, if its tier alone left it out.
pub(in crate::cli) fn beyond(plan: &Plan) -> Option<String> {
    let here = counted(plan.cases.len(), "case");
    (plan.beyond > 0).then(|| format!("{here} of one tier; {} more with --tier all", plan.beyond))
}

fn shown(case: &Case, about: &About<'_>) -> String {
    let mut out = format!("{}  {}\n  {}", case.id, case.title, case.origin);
    if let Some(time) = case.repeat_for {
        let _ = write!(out, "  repeated for {time:?} after {} of warm-up", case.warmup);
    } else if case.repetitions > 1 || case.warmup > 0 {
        let _ = write!(out, "  {} repetitions after {} of warm-up", case.repetitions, case.warmup);
    }
    let _ = writeln!(out, "  timeout {:?}", case.timeout);
    for (name, value) in &case.parameters {
        let _ = writeln!(out, "  {name} = {value}");
    }
    let needs = needs(case);
    if !needs.is_empty() {
        let _ = writeln!(out, "  needs: {}", needs.join(", "));
    }
    match (about.skip)(case) {
        Some(reason) => drop(writeln!(out, "  will be skipped: {reason}")),
        None => {
            let alone = if case.weight == Weight::Exclusive { ", with the machine for itself" } else { "" };
            let _ = writeln!(out, "  takes {}{alone}", estimate::shown(about.past.estimate(case)));
        }
    }
    for (i, step) in case.steps.iter().chain(&case.finally).enumerate() {
        let expected = step.expect_error.as_ref().map_or(String::new(), |e| format!(", which must fail: {}", e.class));
        let place = if i < case.steps.len() { "" } else { "in any case: " };
        let _ = writeln!(out, "  {:>2}. {place}{}{expected}", i + 1, step.title);
    }
    for check in &case.checks {
        let _ = writeln!(out, "   ?  {}  {}", check.spec.name(), check.origin);
    }
    for known in &case.known {
        let _ = writeln!(out, "   !  known to fail until {}: {}, {}", known.expires, known.reason, known.link);
    }
    out
}

fn json(plan: &Plan, about: Option<&About<'_>>) -> String {
    let case = |c: &Case| {
        let estimate = about.map(|about| about.past.estimate(c));
        serde_json::json!({
            "id": c.id, "scenario": c.scenario, "title": c.title, "file": c.origin.file, "line": c.origin.line,
            "engine": c.engine, "params": c.params, "tier": c.tier, "labels": c.labels, "nodes": c.nodes,
            "repetitions": c.repetitions, "warmup": c.warmup, "timeout_ms": c.timeout.as_millis() as u64,
            "exclusive": c.weight == Weight::Exclusive,
            "estimate_ms": estimate.map(|e| e.time.as_millis() as u64),
            "estimate_is_measured": estimate.map(|e| e.measured),
            "needs": needs(c),
            "will_be_skipped": about.and_then(|about| (about.skip)(c)),
            "steps": c.steps.iter().map(|s| serde_json::json!({
                "id": s.id, "title": s.title, "line": s.origin.line,
                "expect_error": s.expect_error.as_ref().map(|e| e.class),
            })).collect::<Vec<_>>(),
            "checks": c.checks, "known": c.known, "parameters": c.parameters,
            "finally": c.finally.iter().map(|s| serde_json::json!({"id": s.id, "title": s.title, "line": s.origin.line}))
                .collect::<Vec<_>>(),
        })
    };
    let all: Vec<_> = plan.cases.iter().map(case).collect();
    format!("{:#}\n", serde_json::json!({"cases": all}))
}
