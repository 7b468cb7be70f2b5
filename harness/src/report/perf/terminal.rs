use super::view::{CaseView, HEADS, View};
use crate::record::{Comparison, PerfVerdict};
use crate::report::Style;
use crate::report::view::Status;

/// For a terminal: the verdict, then each case, then how it came to be. `folder` is the folder of the reports.
pub fn terminal(comparison: &Comparison, folder: &str, style: Style) -> String {
    let view = View::of(comparison);
    let mut out =
        vec![format!("{}  {}", word(view.verdict, &view.verdict.name().to_uppercase(), style), view.sentence)];
    out.extend(view.differences.iter().map(|d| format!("  {d}")));
    for case in &view.cases {
        out.push(String::new());
        out.extend(lines(case, style));
    }
    out.push(String::new());
    out.extend(view.warnings.iter().map(|w| style.status(Status::Errored, format!("warning: {w}"))));
    out.extend(view.how.iter().map(|line| style.dim(line)));
    out.push(String::new());
    out.push(format!("{} {folder}/comparison.html", style.bold("Next: open")));
    out.push(String::new());
    out.join("\n")
}

fn lines(case: &CaseView, style: Style) -> Vec<String> {
    let mut out = vec![style.bold(&case.name)];
    if let Some(trouble) = &case.trouble {
        out.push(format!("  nothing to compare: {trouble}"));
        return out;
    }
    let names = case.rows.iter().map(|r| r.figure.len()).max().unwrap_or(0);
    let width = |i: usize| case.rows.iter().map(|r| r.cells[i].len()).chain([HEADS[i].len()]).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4].map(width);
    let line = |cells: [&str; 5]| cells.iter().zip(widths).map(|(cell, w)| format!("  {cell:>w$}")).collect::<String>();
    out.push(style.dim(format!("  {:names$}{}", "", line(HEADS))));
    for row in &case.rows {
        let cells = line([0, 1, 2, 3, 4].map(|i| row.cells[i].as_str()));
        out.push(format!("  {:names$}{cells}  {}", row.figure, word(row.verdict, row.verdict.name(), style)));
    }
    let notes = case.rows.iter().filter_map(|r| Some(format!("  {}: {}", r.figure, r.note.as_ref()?)));
    out.extend(notes);
    let bad = case.rows.iter().any(|r| !matches!(r.verdict, PerfVerdict::Unchanged | PerfVerdict::Improved));
    if bad && !case.again.is_empty() {
        out.push(format!("  again: {}", case.again));
    }
    out
}

fn word(verdict: PerfVerdict, text: &str, style: Style) -> String {
    let status = match verdict {
        PerfVerdict::Improved | PerfVerdict::Unchanged => Status::Passed,
        PerfVerdict::Regressed => Status::Failed,
        PerfVerdict::Invalid => Status::Errored,
        PerfVerdict::Inconclusive => Status::Skipped,
    };
    style.status(status, text)
}
