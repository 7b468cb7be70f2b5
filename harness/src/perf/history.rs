//! Figures of runs over time: a file that is only ever added to, a line a run.

use super::stored::{components, series};
use super::{PerfError, fingerprint, read};
use crate::record::{CaseId, Run, RunId, Shift, Trend};
use crate::stats::{change_points, median};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// How likely a change of level may be told of a series that has none.
const CHANCE: f64 = 0.01;

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Version of this form; 1.
    pub schema: u32,
    /// The run.
    pub run: RunId,
    /// When it began.
    pub started: String,
    /// The machine's fingerprint.
    pub machine: String,
    /// Versions of what ran on the nodes, by name.
    pub components: BTreeMap<String, String>,
    /// Medians, by case and figure.
    pub medians: BTreeMap<CaseId, BTreeMap<String, f64>>,
}

/// The line of a run.
///
/// # Errors
/// None of its cases passed with a figure.
pub fn line(run: &Run) -> Result<Line, PerfError> {
    let medians: BTreeMap<_, _> = series(run)
        .into_iter()
        .map(|(case, figures)| (case, figures.into_iter().filter_map(|(f, all)| Some((f, median(&all)?))).collect()))
        .collect();
    if medians.is_empty() {
        return Err(PerfError::NoFigures(run.id.0.clone()));
    }
    Ok(Line {
        schema: 1,
        run: run.id.clone(),
        started: run.started.clone(),
        machine: fingerprint(&run.host),
        components: components(run).into_iter().map(|c| (c.name, c.version)).collect(),
        medians,
    })
}

/// Adds a line. `false`: the run is in it already.
///
/// # Errors
/// The file is no history, or cannot be written.
pub fn add(path: &Path, line: &Line) -> Result<bool, PerfError> {
    if load(path)?.iter().any(|l| l.run == line.run) {
        return Ok(false);
    }
    let fail = |source| PerfError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    let text = serde_json::to_string(line).unwrap_or_default() + "\n";
    // One write: two that add at the same time do not mix their lines.
    let written =
        OpenOptions::new().create(true).append(true).open(path).and_then(|mut f| f.write_all(text.as_bytes()));
    written.map(|()| true).map_err(fail)
}

/// All lines; none of a file that is not there. Half a line at the end is one that was never written whole.
///
/// # Errors
/// It cannot be read, or a line is none of a history.
pub fn load(path: &Path) -> Result<Vec<Line>, PerfError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = read(path)?;
    let mut lines = Vec::new();
    for (i, line) in text.split_inclusive('\n').enumerate().filter(|(_, l)| l.ends_with('\n')) {
        let line = serde_json::from_str(line).map_err(|source| PerfError::Form {
            path: path.to_owned(),
            what: "line of a history",
            line: i + 1,
            source,
        })?;
        lines.push(line);
    }
    Ok(lines)
}

/// The figures of one machine over time, with the runs at which their level changed. It advises: which change made it, and
/// whether it was the machine, a person says.
pub fn trends(lines: &[Line], machine: &str) -> Vec<Trend> {
    let mut all: BTreeMap<(&CaseId, &String), Vec<(&Line, f64)>> = BTreeMap::new();
    for line in lines.iter().filter(|l| l.machine == machine) {
        for (case, figures) in &line.medians {
            for (figure, value) in figures {
                all.entry((case, figure)).or_default().push((line, *value));
            }
        }
    }
    // A count that is nought throughout is of something that the engine does not have.
    let told = all.into_iter().filter(|(_, points)| points.iter().any(|(_, value)| *value != 0.0));
    told.map(|((case, figure), points)| trend(case, figure, &points)).collect()
}

fn trend(case: &CaseId, figure: &str, points: &[(&Line, f64)]) -> Trend {
    let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    // A level doubles or halves: logarithms, where there are any.
    let logs: Vec<f64> =
        if values.iter().all(|v| *v > 0.0) { values.iter().map(|v| v.ln()).collect() } else { values.clone() };
    let places = change_points(&logs, CHANCE);
    let bounds: Vec<usize> = [0].into_iter().chain(places.iter().copied()).chain([values.len()]).collect();
    let level = |i: usize| median(&values[bounds[i]..bounds[i + 1]]).unwrap_or(0.0);
    let shift = |(i, at): (usize, &usize)| {
        let (line, before) = (points[*at].0, points[*at - 1].0);
        let changed = |(name, version): (&String, &String)| {
            let old = before.components.get(name).filter(|old| *old != version)?;
            Some(format!("{name}: {old} -> {version}"))
        };
        Shift {
            run: line.run.clone(),
            started: line.started.clone(),
            before: level(i),
            after: level(i + 1),
            components: line.components.iter().filter_map(changed).collect(),
        }
    };
    Trend {
        case: case.clone(),
        figure: figure.to_owned(),
        runs: values.len(),
        level: level(places.len()),
        shifts: places.iter().enumerate().map(shift).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: usize, value: f64) -> Line {
        Line {
            schema: 1,
            run: RunId(format!("run-{number:02}")),
            started: format!("2030-01-{:02}T00:00:00Z", number + 1),
            machine: "m".to_owned(),
            components: BTreeMap::from([("runc".to_owned(), if number < 15 { "1.3.5" } else { "1.3.6" }.to_owned())]),
            medians: BTreeMap::from([(
                CaseId("x".to_owned()),
                BTreeMap::from([("total".to_owned(), value + (number % 3) as f64)]),
            )]),
        }
    }

    #[test]
    fn a_history_is_only_added_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("perf/history.jsonl");
        assert!(load(&path).unwrap().is_empty());
        assert!(add(&path, &of(0, 1.0)).unwrap());
        assert!(add(&path, &of(1, 1.0)).unwrap());
        assert!(!add(&path, &of(1, 2.0)).unwrap(), "a run is in it once");
        assert_eq!(load(&path).unwrap(), [of(0, 1.0), of(1, 1.0)]);
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}{{\"schema\":")).unwrap();
        assert_eq!(load(&path).unwrap().len(), 2, "half a line was never written");
        std::fs::write(&path, format!("{{}}\n{whole}")).unwrap();
        assert!(load(&path).unwrap_err().to_string().ends_with("line 1: this is no line of a history"));
    }

    #[test]
    fn a_change_of_level_names_the_run_and_what_was_new_in_it() {
        let lines: Vec<Line> = (0..30).map(|n| of(n, if n < 15 { 100.0 } else { 130.0 })).collect();
        let trends = trends(&lines, "m");
        let [Trend { runs: 30, shifts, level, .. }] = trends.as_slice() else { panic!("{trends:?}") };
        let [shift] = shifts.as_slice() else { panic!("{shifts:?}") };
        assert_eq!((shift.run.0.as_str(), shift.before, shift.after, *level), ("run-15", 101.0, 131.0, 131.0));
        assert_eq!(shift.components, ["runc: 1.3.5 -> 1.3.6"]);
        assert!(super::trends(&lines, "another").is_empty());
    }
}
