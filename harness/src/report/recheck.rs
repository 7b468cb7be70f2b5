//! What came of judging a stored run again, for a terminal.

use super::Style;
use super::terminal::{field, mark};
use super::text;
use super::view::{RunView, Status};
use crate::record::{CaseRecord, Outcome, Rechecked, RecheckedCase};

/// The verdict, each case that is judged otherwise than it was with its checks, and what must be known of the others.
pub fn recheck(again: &Rechecked, style: Style) -> String {
    let changed: Vec<_> = again.cases.iter().zip(&again.run.cases).filter(|(c, _)| c.changed()).collect();
    let mut out = vec![verdict(again, changed.len(), style)];
    for (told, record) in changed {
        out.push(String::new());
        out.extend(case(told, record, style));
    }
    let notes = notes(again);
    if !notes.is_empty() {
        out.push(String::new());
        out.extend(notes.into_iter().flat_map(|note| field(style, "note", &note)));
    }
    out.push(String::new());
    out.join("\n")
}

fn verdict(again: &Rechecked, changed: usize, style: Style) -> String {
    let view = RunView::of(&again.run);
    let word = style.status(view.verdict.word.status(), view.verdict.word.name().to_uppercase());
    let checks = again.cases.iter().map(|c| c.checks.len()).sum();
    let judged = text::count(checks, "check");
    let all = text::count(again.cases.len(), "case");
    let told = match changed {
        0 => format!("all as they were, {judged} judged again"),
        n => format!("{n} of {all} judged otherwise than in the run, {judged} judged again"),
    };
    format!("{word}  {}; {told}", view.verdict.sentence)
}

fn word(outcome: Option<Outcome>) -> &'static str {
    outcome.map_or("without an end", Outcome::name)
}

fn case(told: &RecheckedCase, record: &CaseRecord, style: Style) -> Vec<String> {
    let was = if told.was == told.now { "as it was".to_owned() } else { format!("was {}", word(told.was)) };
    let head = format!("{}  {}  {was}", mark(Status::of(record), style), style.bold(text::line(&told.id.0)));
    let mut out = vec![head];
    for again in told.checks.iter().filter(|c| c.changed()) {
        let at = format!("{}  {}", text::origin(&again.check.origin), again.check.spec.name());
        out.extend(field(style, "at", &at));
        let was = match &again.was {
            Some(was) => format!("{}: {}", if was.passed { "held" } else { "failed" }, text::message(&was.seen)),
            None => "not judged".to_owned(),
        };
        out.extend(field(style, "was", &was));
        let now = if again.now.passed { "holds" } else { "fails" };
        out.extend(field(style, "now", &format!("{now}: {}", text::message(&again.now.seen))));
        out.extend(again.now.wanted.iter().flat_map(|w| field(style, "wanted", &text::message(w))));
    }
    out
}

/// Each note once, with the number of cases that it holds for, or the one.
fn notes(again: &Rechecked) -> Vec<String> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for case in &again.cases {
        for note in &case.notes {
            match all.iter_mut().find(|(n, _)| n == note) {
                Some((_, cases)) => cases.push(&case.id.0),
                None => all.push((note, vec![&case.id.0])),
            }
        }
    }
    let told = |(note, cases): (&str, Vec<&str>)| match cases.as_slice() {
        [one] => format!("{}: {}", text::line(one), text::line(note)),
        several => format!("{}: {}", text::count(several.len(), "case"), text::line(note)),
    };
    all.into_iter().map(told).collect()
}
