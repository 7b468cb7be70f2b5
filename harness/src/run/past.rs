//! How cases did in earlier runs whose folders lie beside a run's.

use crate::record::{CaseId, ComponentRecord, Event, Line, NodeRecord, Outcome, PastCase, Run, RunId};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Runs that are told of each case.
const TOLD: usize = 10;
/// Runs that are looked at for them: a report must not wait for a folder full of old ones.
const LOOKED_AT: usize = 40;

/// What earlier runs tell of these cases, the latest first. A folder that cannot be read tells nothing.
pub(super) fn of(dir: &Path, run: &Run, cases: &BTreeSet<CaseId>) -> BTreeMap<CaseId, Vec<PastCase>> {
    let mut past: BTreeMap<CaseId, Vec<PastCase>> = BTreeMap::new();
    for folder in earlier(dir, run).into_iter().take(LOOKED_AT) {
        if cases.iter().all(|c| past.get(c).is_some_and(|p| p.len() >= TOLD)) {
            break;
        }
        let Ok(text) = fs::read_to_string(folder.join("events.jsonl")) else { continue };
        for (case, found) in told(&text, cases) {
            let of_case = past.entry(case).or_default();
            if of_case.len() < TOLD {
                of_case.push(found);
            }
        }
    }
    past
}

/// Folders of runs that began before this one, the latest first: their names sort by time.
fn earlier(dir: &Path, run: &Run) -> Vec<PathBuf> {
    let Some(beside) = fs::canonicalize(dir).ok().and_then(|d| d.parent().map(Path::to_owned)) else {
        return Vec::new();
    };
    let named = |e: fs::DirEntry| Some((e.file_name().into_string().ok()?, e.path()));
    let mut all: Vec<(String, PathBuf)> =
        fs::read_dir(beside).into_iter().flatten().flatten().filter_map(named).collect();
    all.retain(|(name, path)| *name < run.id.0 && path.join("events.jsonl").is_file());
    all.sort_by(|a, b| b.0.cmp(&a.0));
    all.into_iter().map(|(_, path)| path).collect()
}

/// What one run tells of a case, as far as it has been read.
#[derive(Default)]
struct Told {
    ended: Option<(Outcome, Option<String>)>,
    downtimes: Vec<f64>,
}

/// What one run tells of the cases. Only lines that may matter are read: those of a whole suite are megabytes.
fn told(text: &str, cases: &BTreeSet<CaseId>) -> Vec<(CaseId, PastCase)> {
    let matters = ["\"run-started\"", "\"node-up\"", "\"case-finished\"", "\"downtime\""];
    let mut found: BTreeMap<CaseId, Told> = BTreeMap::new();
    let (mut run, mut components) = ((RunId(String::new()), String::new()), Vec::new());
    for line in text.lines().filter(|l| matters.iter().any(|m| l.contains(m))) {
        let Ok(Line { case, event, .. }) = serde_json::from_str::<Line>(line) else { continue };
        match (event, case.filter(|c| cases.contains(c))) {
            (Event::RunStarted { id, started, .. }, _) => run = (id, started),
            (Event::NodeUp(node), _) => add(&mut components, &node),
            (Event::Metric { name, value }, Some(case)) if name == "downtime" => {
                found.entry(case).or_default().downtimes.push(value);
            }
            (Event::CaseFinished { outcome, reason }, Some(case)) => {
                found.entry(case).or_default().ended = Some((outcome, reason));
            }
            _ => {}
        }
    }
    let past = |(case, told): (CaseId, Told)| {
        let (outcome, reason) = told.ended?;
        let downtime = crate::stats::median(&told.downtimes);
        let (run, started) = run.clone();
        Some((case, PastCase { run, started, outcome, reason, downtime, components: components.clone() }))
    };
    found.into_iter().filter_map(past).collect()
}

fn add(components: &mut Vec<ComponentRecord>, node: &NodeRecord) {
    for one in &node.components {
        if !components.contains(one) {
            components.push(one.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{At, HostRecord};

    fn store(beside: &Path, id: &str, case: &str, outcome: Outcome) {
        let line = |case: Option<&str>, event| {
            let line = Line { at: At(1), case: case.map(|c| CaseId(c.to_owned())), event };
            serde_json::to_string(&line).unwrap() + "\n"
        };
        let began = Event::RunStarted {
            id: RunId(id.to_owned()),
            podferry: String::new(),
            command: Vec::new(),
            started: "then".to_owned(),
            host: HostRecord::default(),
            image: String::new(),
        };
        let metric = |value| Event::Metric { name: "downtime".to_owned(), value };
        let text = [
            line(None, began),
            line(Some(case), metric(10.0)),
            line(Some(case), metric(30.0)),
            line(Some(case), Event::CaseFinished { outcome, reason: None }),
            "{half a line".to_owned(),
        ];
        std::fs::create_dir(beside.join(id)).unwrap();
        std::fs::write(beside.join(id).join("events.jsonl"), text.concat()).unwrap();
    }

    #[test]
    fn earlier_runs_beside_a_run_are_told_the_latest_first() {
        let beside = tempfile::tempdir().unwrap();
        for (id, case, outcome) in [
            ("20260101-1", "x", Outcome::Passed),
            ("20260102-1", "another", Outcome::Passed),
            ("20260103-1", "x", Outcome::Failed),
            ("20260104-1", "x", Outcome::Failed),
            ("20260105-1", "x", Outcome::Passed),
        ] {
            store(beside.path(), id, case, outcome);
        }
        let this = beside.path().join("20260104-1");
        let run = crate::run::load(&this).unwrap();
        let past = of(&this, &run, &BTreeSet::from([CaseId("x".to_owned())]));
        let told: Vec<_> = past.values().flatten().map(|p| (p.run.0.as_str(), p.outcome, p.downtime)).collect();
        assert_eq!(told, [("20260103-1", Outcome::Failed, Some(20.0)), ("20260101-1", Outcome::Passed, Some(20.0))]);
    }
}
