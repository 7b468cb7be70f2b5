use super::view::{CellView, Table};
use crate::record::{Fate, Survey};
use crate::report::Style;
use crate::report::view::Status;

/// The table for a terminal. `folder` is the survey's folder as the user would name it.
pub fn terminal(survey: &Survey, folder: &str, style: Style) -> String {
    let table = Table::of(survey);
    let names = table.areas.iter().flat_map(|a| &a.rows).map(|r| r.name.len() + 2).max().unwrap_or(8);
    let words = table.areas.iter().flat_map(|a| &a.rows).flat_map(|r| &r.cells).map(|c| word(c).len());
    let engines = table.columns.iter().map(|c| c.engine.len());
    let width = words.chain(engines).max().unwrap_or(4);
    let mut out = vec![format!("{}  {}", style.bold("SURVEY"), table.sentence), String::new()];
    let head: String = table.columns.iter().map(|c| format!("  {:width$}", c.engine)).collect();
    out.push(style.bold(format!("{:names$}{head}", "")).trim_end().to_owned());
    for area in &table.areas {
        out.push(style.bold(&area.name));
        for row in &area.rows {
            let cells: String = row.cells.iter().map(|c| format!("  {}", cell(c, width, style))).collect();
            out.push(format!("  {:1$}{cells}", row.name, names - 2).trim_end().to_owned());
        }
    }
    out.push(String::new());
    out.extend(table.notes.iter().map(|note| format!("[{}] {}", note.number, note.text)));
    out.push(String::new());
    for column in &table.columns {
        let found = if column.counts.is_empty() { "nothing found" } else { &column.counts };
        out.push(format!("{}  {}: {found}; {}", style.bold(column.engine), column.versions, column.time));
    }
    out.extend(table.foot.iter().map(|line| style.dim(line)));
    out.push(String::new());
    out.push(format!("{} {folder}/survey.html", style.bold("Next: open")));
    out.push(String::new());
    out.join("\n")
}

fn word(cell: &CellView) -> String {
    match cell.note {
        Some(number) => format!("{} [{number}]", cell.word),
        None => cell.word.to_owned(),
    }
}

fn cell(cell: &CellView, width: usize, style: Style) -> String {
    let text = format!("{:width$}", word(cell));
    let status = match cell.fate {
        Some(Fate::Kept) if cell.note.is_none() => Status::Passed,
        Some(Fate::Lost) => Status::Failed,
        Some(Fate::Refused | Fate::Kept) => Status::Errored,
        Some(Fate::Errored) => Status::Leaked,
        Some(Fate::NotApplicable) | None => Status::Skipped,
    };
    style.status(status, text)
}
