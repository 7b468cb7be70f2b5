//! What all forms of the table show, worked out once.

use crate::record::{Fate, Finding, Survey, SurveyColumn};
use crate::report::text;
use serde::Serialize;

/// The table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Table {
    /// One sentence.
    pub(super) sentence: String,
    pub(super) columns: Vec<ColumnView>,
    pub(super) areas: Vec<AreaView>,
    /// How each thing that was not simply kept showed, by number (from 1).
    pub(super) notes: Vec<Note>,
    /// What was set, what ran, what was left out.
    pub(super) foot: Vec<String>,
}

/// A column's head.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ColumnView {
    pub(super) engine: &'static str,
    pub(super) versions: String,
    pub(super) unable: Option<String>,
    /// `96 kept, 7 lost, 8 refused`.
    pub(super) counts: String,
    pub(super) time: String,
}

/// The lines of an area.
#[derive(Clone, Debug, Serialize)]
pub(super) struct AreaView {
    pub(super) name: String,
    pub(super) rows: Vec<RowView>,
}

/// A line.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RowView {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) zdtm: String,
    pub(super) cells: Vec<CellView>,
}

impl RowView {
    /// Whether it was kept on every engine that can show anything, and nothing is to be said of it.
    pub(super) fn plain(&self) -> bool {
        let silent = |c: &CellView| (c.fate == Some(Fate::Kept) && c.note.is_none()) || c.blank;
        self.cells.iter().all(silent) && self.cells.iter().any(|c| !c.blank)
    }
}

/// A cell.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CellView {
    /// `None`: nobody tried.
    pub(super) fate: Option<Fate>,
    /// The word in the cell.
    pub(super) word: &'static str,
    /// The style class of the HTML report.
    pub(super) class: &'static str,
    pub(super) note: Option<usize>,
    /// Whether the whole column is empty.
    pub(super) blank: bool,
    pub(super) how: String,
    pub(super) log: Vec<String>,
}

/// What is said below the table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Note {
    pub(super) number: usize,
    pub(super) text: String,
}

impl Table {
    pub(super) fn of(survey: &Survey) -> Table {
        let mut notes = Notes::default();
        let mut areas: Vec<AreaView> = Vec::new();
        for row in &survey.rows {
            let cells = survey.columns.iter().map(|column| cell(column, &row.name, &mut notes)).collect();
            let about = text::line(&row.about);
            let view = RowView { name: row.name.clone(), about, zdtm: row.zdtm.join(" "), cells };
            match areas.last_mut().filter(|area| area.name == row.area) {
                Some(area) => area.rows.push(view),
                None => areas.push(AreaView { name: row.area.clone(), rows: vec![view] }),
            }
        }
        Table {
            sentence: sentence(survey),
            columns: survey.columns.iter().map(|c| column(c, survey)).collect(),
            areas,
            notes: notes.0,
            foot: foot(survey),
        }
    }
}

/// Each text once: what engines say alike has one number.
#[derive(Default)]
struct Notes(Vec<Note>);

impl Notes {
    fn number(&mut self, text: String) -> usize {
        match self.0.iter().find(|note| note.text == text) {
            Some(note) => note.number,
            None => {
                let number = self.0.len() + 1;
                self.0.push(Note { number, text });
                number
            }
        }
    }
}

fn cell(column: &SurveyColumn, row: &str, notes: &mut Notes) -> CellView {
    let Some(finding) = column.findings.get(row) else {
        let blank = column.unable.is_some();
        let word = if blank { "-" } else { "not tried" };
        return CellView {
            fate: None,
            word,
            class: "s-not-run",
            note: None,
            blank,
            how: String::new(),
            log: Vec::new(),
        };
    };
    let text = match (finding.fate, &finding.hazard) {
        (Fate::Kept, None) => None,
        (Fate::Kept, Some(hazard)) => Some(format!("hazard: {}", text::line(hazard))),
        _ => Some(words(finding)),
    };
    CellView {
        fate: Some(finding.fate),
        word: if finding.hazard.is_some() { "kept (!)" } else { finding.fate.name() },
        class: class(finding),
        note: text.map(|text| notes.number(text)),
        blank: false,
        how: text::message(&finding.how),
        log: text::log(&finding.log),
    }
}

fn class(finding: &Finding) -> &'static str {
    match finding.fate {
        Fate::Kept if finding.hazard.is_some() => "s-errored",
        Fate::Kept => "s-passed",
        Fate::Lost => "s-failed",
        Fate::Refused => "s-errored",
        Fate::NotApplicable => "s-skipped",
        Fate::Errored => "s-unfinished",
    }
}

/// How it showed, in short: of a refusal the first line of CRIU's that matters, without its time and its place in CRIU's
/// sources, since those differ from try to try and from version to version; without one, all that the engine says.
fn words(finding: &Finding) -> String {
    let said = match finding.log.first() {
        Some(line) if finding.fate == Fate::Refused => format!("CRIU: {}", bare(line)),
        _ => text::line(&finding.how),
    };
    match finding.stage {
        Some(stage) => format!("at the {}: {said}", stage.name()),
        None => said,
    }
}

/// `(00.020517)      1: Error (criu/files-reg.c:2223): Can't ...` becomes `Can't ...`.
fn bare(line: &str) -> String {
    let rest = line.split_once("Error (").and_then(|(_, rest)| rest.split_once("): ")).map_or(line, |(_, rest)| rest);
    text::line(rest)
}

fn counts(findings: impl Iterator<Item = Fate>) -> String {
    let all: Vec<Fate> = findings.collect();
    let count = |fate: &Fate| all.iter().filter(|f| *f == fate).count();
    let parts = Fate::ALL.iter().map(|fate| (fate, count(fate))).filter(|(_, n)| *n > 0);
    parts.map(|(fate, n)| format!("{n} {}", fate.name())).collect::<Vec<_>>().join(", ")
}

fn column(column: &SurveyColumn, survey: &Survey) -> ColumnView {
    let criu = component(survey, "criu").map(|version| format!("criu {version}"));
    let versions: Vec<String> = column.versions.iter().cloned().chain(criu).collect();
    ColumnView {
        engine: column.engine.name(),
        versions: versions.join(", "),
        unable: column.unable.as_deref().map(text::line),
        counts: counts(column.findings.values().map(|f| f.fate)),
        time: format!(
            "{} in {:.1} s",
            text::count(column.trials as usize, "try").replace("trys", "tries"),
            column.seconds
        ),
    }
}

fn component(survey: &Survey, name: &str) -> Option<String> {
    let all = survey.nodes.first()?.components.iter();
    all.filter(|c| c.name == name).map(|c| c.version.clone()).next()
}

fn sentence(survey: &Survey) -> String {
    let kinds = text::count(survey.rows.len(), "kind");
    let engines = text::count(survey.columns.len(), "engine");
    let found = counts(survey.columns.iter().flat_map(|c| c.findings.values()).map(|f| f.fate));
    let cold = if survey.cold { ", every copy started anew instead of restored" } else { "" };
    let end = match (survey.interrupted, survey.timed_out) {
        (true, _) => " (interrupted)",
        (_, true) => " (its time was up)",
        _ => "",
    };
    format!("{kinds} of state on {engines}{cold}: {}{end}", if found.is_empty() { "nothing was found" } else { &found })
}

fn foot(survey: &Survey) -> Vec<String> {
    let host = &survey.host;
    let mut lines = vec![
        "CRIU is told what the harness tells it by default: established TCP connections are closed, locks on files are \
         carried, CRIU's own limit for deleted files, no place to look for what is watched. What stands behind a slash \
         was set otherwise."
            .to_owned(),
        "Kept: the copy on the other node says so itself, by using it, and its process, seen from outside, has what it \
         had. Both nodes share one kernel and one clock."
            .to_owned(),
        format!("Node image {}, {}, Linux {}, cgroup {}.", survey.image, host.os, host.kernel, host.cgroup),
    ];
    for column in &survey.columns {
        lines.extend(column.unable.as_ref().map(|why| format!("{}: {}", column.engine, text::line(why))));
    }
    lines.extend(survey.errors.iter().map(|e| format!("error: {}: {}", e.class, text::line(&e.message))));
    lines.extend(survey.leaks.iter().map(|l| format!("left behind: {} {}: {}", l.kind, l.name, text::line(&l.reason))));
    lines
}
