//! Judges a stored run again, from its events and its files alone: with today's checks and today's way to work out figures.
//! Nothing in its folder is changed.

use super::StoredRunError;
use super::store::lines;
use crate::check;
use crate::client::read_history;
use crate::record::{
    CaseId, CaseRecord, Chain, Check, CheckRecord, CheckSpec, Event, Evidence, JudgedAgain, Line, Metric, Outcome,
    PAGES_WRITTEN, Rechecked, RecheckedCase, Run, Verdict, apply, fold, unbegun,
};
use std::collections::BTreeMap;
use std::path::Path;

/// Judges a stored run again. `other` may give checks in the place of those that a case was judged by.
///
/// # Errors
/// If `events.jsonl` cannot be read, or is damaged before its last line.
pub fn recheck(dir: &Path, other: impl Fn(&CaseRecord) -> Option<Vec<Check>>) -> Result<Rechecked, StoredRunError> {
    let lines = lines(dir)?;
    let mut run = fold(&lines);
    let mut of_case: BTreeMap<&CaseId, Vec<&Line>> = BTreeMap::new();
    for line in &lines {
        if let Some(case) = &line.case {
            of_case.entry(case).or_default().push(line);
        }
    }
    let mut cases = Vec::new();
    for record in &mut run.cases {
        let lines = of_case.remove(&record.id).unwrap_or_default();
        let mut replay = Replay::new(dir, record, &lines, other(record));
        lines.iter().for_each(|line| replay.feed(line));
        let (told, now) = replay.end(record);
        *record = now;
        cases.push(told);
    }
    Ok(Rechecked { run, cases })
}

/// A case that happens once more, up to each moment at which it was judged.
struct Replay<'a> {
    dir: &'a Path,
    asked: Vec<Check>,
    /// The case alone, as far as it has come.
    so_far: Run,
    /// Clients of this repetition with the files of their histories.
    histories: Vec<(String, String)>,
    /// Figures of the repetitions that count.
    figures: BTreeMap<String, Vec<f64>>,
    counts: bool,
    /// Whether this repetition has been judged, and whether any has.
    judged: (bool, bool),
    /// Of the first repetition in which a check failed, else of the last.
    verdicts: Vec<(Check, Verdict)>,
    broken: bool,
    /// How many repetitions were done, of how many.
    done: Option<(u32, Option<u32>)>,
    unreadable: Vec<String>,
    notes: Vec<String>,
}

impl<'a> Replay<'a> {
    fn new(dir: &'a Path, record: &CaseRecord, lines: &[&Line], other: Option<Vec<Check>>) -> Self {
        let mut notes = Vec::new();
        let listed = lines.iter().any(|l| matches!(l.event, Event::ChecksPlanned(_)));
        let asked = other.unwrap_or_else(|| {
            if listed {
                return record.asked.clone();
            }
            if record.started && record.outcome != Some(Outcome::Skipped) {
                notes.push(
                    "an older run, which did not record what it was to be judged by: only checks that were judged then are judged again"
                        .to_owned(),
                );
            }
            judged_then(lines)
        });
        Replay {
            dir,
            asked,
            so_far: unbegun(),
            histories: Vec::new(),
            figures: BTreeMap::new(),
            counts: true,
            judged: (false, false),
            verdicts: Vec::new(),
            broken: false,
            done: None,
            unreadable: Vec::new(),
            notes,
        }
    }

    fn feed(&mut self, line: &Line) {
        match &line.event {
            Event::Repetition { number, of, warmup } => {
                self.histories.clear();
                self.counts = !warmup;
                self.judged.0 = false;
                self.done = Some((*number, *of));
            }
            Event::History { client, file } => self.histories.push((client.clone(), file.clone())),
            // What was worked out then is worked out again; what was counted then is kept.
            Event::Metric { name, value } => {
                self.judge();
                if !is_derived(name) {
                    self.figures.entry(name.clone()).or_default().push(*value);
                }
                return;
            }
            Event::Checked(_) => return self.judge(),
            // Had there been a figure or a check, it would have been judged by now.
            Event::CaseFinished { outcome: Outcome::Passed, .. } => self.judge(),
            _ => {}
        }
        apply(&mut self.so_far, line);
    }

    fn evidence(&self) -> Evidence {
        let so_far = self.so_far.cases.first().map(|c| c.evidence.clone()).unwrap_or_default();
        Evidence { metrics: self.figures.clone(), ..so_far }
    }

    /// Judges this repetition by what had been recorded when it was judged.
    fn judge(&mut self) {
        if std::mem::replace(&mut self.judged.0, true) {
            return;
        }
        let mut evidence = self.evidence();
        for (client, file) in &self.histories {
            match read_history(&self.dir.join(file)) {
                Ok(history) => drop(evidence.histories.insert(client.clone(), history)),
                Err(e) => self.unreadable.push(Chain(&e).to_string()),
            }
        }
        if self.counts {
            let own = self.asked.iter().filter_map(|c| check::figure(&c.spec, &evidence));
            let own = own.map(|(name, value)| (name.to_owned(), value));
            for (name, value) in check::metrics(&evidence).into_iter().chain(own) {
                self.figures.entry(name).or_default().push(value);
            }
        }
        self.judged.1 = true;
        if !self.broken {
            let asked: Vec<&Check> = self.asked.iter().filter(|c| !is_budget(c)).collect();
            self.verdicts = asked.into_iter().map(|c| (c.clone(), check::verdict(c, &evidence))).collect();
            self.broken = self.verdicts.iter().any(|(_, v)| !v.passed);
        }
    }

    fn end(mut self, record: &CaseRecord) -> (RecheckedCase, CaseRecord) {
        let steps = &record.evidence.steps;
        let misstepped = steps.iter().any(|s| !s.as_expected());
        let judged = self.judged.1 && self.unreadable.is_empty();
        if judged && !self.broken && !misstepped {
            let evidence = self.evidence();
            for budget in self.asked.iter().filter(|c| is_budget(c)) {
                self.verdicts.push((budget.clone(), check::verdict(budget, &evidence)));
            }
            self.broken = self.verdicts.iter().any(|(_, v)| !v.passed);
        }
        let now = match record.outcome {
            None => None,
            Some(_) if !self.unreadable.is_empty() => Some(Outcome::Errored),
            // A step that went wrong, or a case that never came to its checks: that no check can mend.
            Some(was) if !judged || misstepped || was == Outcome::Skipped => Some(was),
            // What was known to fail so is known still.
            Some(Outcome::Known) if self.broken => Some(Outcome::Known),
            Some(_) if self.broken => Some(Outcome::Failed),
            Some(Outcome::Failed | Outcome::Known) if record.checks.iter().any(|c| !c.verdict.passed) => {
                Some(if record.leaks.is_empty() { Outcome::Passed } else { Outcome::Leaked })
            }
            Some(was) => Some(was),
        };
        if let (Some((done, Some(of))), true) = (self.done, now != record.outcome)
            && done < of
        {
            self.notes.push(format!("only {done} of {of} repetitions were done"));
        }
        self.notes.extend(self.unreadable.iter().map(|why| format!("not judged, its evidence is not there: {why}")));
        let checks = self.compared(record);
        let checks = if judged { checks } else { Vec::new() };
        let after = self.after(record, now, judged && !misstepped);
        (RecheckedCase { id: record.id.clone(), was: record.outcome, now, checks, notes: self.notes }, after)
    }

    /// Each verdict beside that of the same check then: the same by its name and its place among those of that name.
    fn compared(&self, record: &CaseRecord) -> Vec<JudgedAgain> {
        let mut of_name: BTreeMap<&str, usize> = BTreeMap::new();
        let again = |(check, now): &(Check, Verdict)| {
            let name = check.spec.name();
            let nth = of_name.entry(name).or_default();
            let then: Vec<&CheckRecord> = record.checks.iter().filter(|c| c.check.spec.name() == name).collect();
            let same = then.iter().find(|c| c.check == *check).or_else(|| then.get(*nth));
            *nth += 1;
            JudgedAgain { check: check.clone(), was: same.map(|c| c.verdict.clone()), now: now.clone() }
        };
        self.verdicts.iter().map(again).collect()
    }

    /// The case as it is judged now.
    fn after(&self, record: &CaseRecord, now: Option<Outcome>, judged: bool) -> CaseRecord {
        let mut after = record.clone();
        after.outcome = now;
        after.evidence.metrics.clone_from(&self.figures);
        if !self.unreadable.is_empty() {
            after.reason = Some(format!("its evidence is not there: {}", self.unreadable.join("; ")));
        } else if judged {
            let record =
                |(check, verdict): &(Check, Verdict)| CheckRecord { check: check.clone(), verdict: verdict.clone() };
            after.checks = self.verdicts.iter().map(record).collect();
            let broken = self.verdicts.iter().filter(|(_, v)| !v.passed);
            let broken: Vec<String> = broken.map(|(c, v)| format!("{}: {}", c.spec.name(), v.seen)).collect();
            match now {
                Some(Outcome::Failed) if !broken.is_empty() => after.reason = Some(broken.join("; ")),
                Some(Outcome::Passed) => after.reason = None,
                _ => {}
            }
        }
        after
    }
}

fn is_budget(check: &Check) -> bool {
    matches!(check.spec, CheckSpec::Budget(_))
}

/// Whether a figure follows from evidence, by today's way.
fn is_derived(name: &str) -> bool {
    let beside = [check::WORST_LATENCY, check::MEASUREMENT_ERROR, check::SPEED_UP, check::WORK_LOST, PAGES_WRITTEN];
    Metric::ALL.iter().any(|m| m.name() == name) || beside.contains(&name)
}

/// The checks that were judged, of the last repetition that was.
fn judged_then(lines: &[&Line]) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for line in lines {
        if let Event::Checked(record) = &line.event
            && !checks.contains(&record.check)
        {
            checks.push(record.check.clone());
        }
    }
    checks
}

#[cfg(test)]
mod tests;
