use super::args::RecheckArgs;
use super::scenario;
use super::terminal::{coloured, complain, print};
use crate::record::{CaseRecord, Chain, Check, EngineKind, NODE_IMAGE};
use crate::report;
use crate::run::{self, Exit, unpaired};
use crate::scenario::Selection;
use std::collections::{BTreeMap, BTreeSet};

/// `podferry recheck`: judges a stored run again. Needs no root, and leaves the run as it is.
pub(super) fn recheck(args: &RecheckArgs) -> Exit {
    let stored = match run::load(&args.run) {
        Ok(stored) => stored,
        Err(e) => {
            complain(&format!("error: {}", Chain(&e)));
            return Exit::Usage;
        }
    };
    let other = match other_checks(args, stored.cases.iter().map(|c| c.engine).collect()) {
        Ok(other) => other,
        Err(exit) => return exit,
    };
    let of = |case: &CaseRecord| other.get(&planned_name(case)).cloned();
    match run::recheck(&args.run, of) {
        Ok(again) => {
            if let Some(told) = unmatched(args, &again.run.cases, &other) {
                complain(&told);
            }
            print(&report::recheck(&again, report::Style { color: coloured() }));
            Exit::of(&again.run, args.deny_skips)
        }
        Err(e) => {
            complain(&format!("error: {}", Chain(&e)));
            Exit::Usage
        }
    }
}

/// Checks by the name of the case, of the files that are named.
fn other_checks(args: &RecheckArgs, engines: BTreeSet<EngineKind>) -> Result<BTreeMap<String, Vec<Check>>, Exit> {
    if args.scenarios.is_empty() {
        return Ok(BTreeMap::new());
    }
    let selection = Selection { engines: engines.into_iter().collect(), ..Selection::default() };
    match scenario::planned_only(&args.scenarios, crate::workload::KINDS, &selection) {
        Ok(plan) => Ok(plan.cases.into_iter().map(|c| (c.id.0, c.checks)).collect()),
        Err((text, code)) => {
            complain(&text);
            Err(if code == Exit::InvalidScenario as u8 { Exit::InvalidScenario } else { Exit::Usage })
        }
    }
}

/// The name that a plan knows a case by: without the cells that a run adds.
fn planned_name(case: &CaseRecord) -> String {
    let name = unpaired(&case.id, &case.params).map_or_else(|| case.id.0.clone(), |(id, ..)| id.0);
    match case.params.get(NODE_IMAGE) {
        Some(image) => name.replace(&format!(",{NODE_IMAGE}={image}"), ""),
        None => name,
    }
}

/// Cases of the run that the named files don't have are judged by their own checks: that must not go unseen.
fn unmatched(args: &RecheckArgs, cases: &[CaseRecord], other: &BTreeMap<String, Vec<Check>>) -> Option<String> {
    let missing: Vec<&str> =
        cases.iter().filter(|c| !other.contains_key(&planned_name(c))).map(|c| c.id.0.as_str()).collect();
    (!args.scenarios.is_empty() && !missing.is_empty()).then(|| {
        format!("warning: judged by their own checks, since the files have no such case: {}", missing.join(", "))
    })
}
