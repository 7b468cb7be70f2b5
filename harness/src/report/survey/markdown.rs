use super::view::{AreaView, CellView, Table};
use crate::record::{Fate, Survey};
use crate::report::markdown::escape;

/// `survey.md`: what is kept on every engine in one line an area, everything else in a line of its own.
pub fn markdown(survey: &Survey) -> String {
    let table = Table::of(survey);
    let mut out = format!("{}.\n\n", escape(&table.sentence));
    let engines: Vec<&str> = table.columns.iter().map(|c| c.engine).collect();
    out += &format!("| kind of state | {} |\n|---|{}\n", engines.join(" | "), "---|".repeat(engines.len()));
    for area in &table.areas {
        out += &lines(area);
    }
    out += "\n";
    for note in &table.notes {
        out += &format!("{}. {}\n", note.number, escape(&note.text));
    }
    out += "\n";
    for column in &table.columns {
        let found = if column.counts.is_empty() { "nothing found" } else { &column.counts };
        out += &format!("- {}: {}; {found}; {}\n", column.engine, escape(&column.versions), column.time);
    }
    for line in &table.foot {
        out += &format!("- {}\n", escape(line));
    }
    out
}

fn lines(area: &AreaView) -> String {
    let plain: Vec<_> = area.rows.iter().filter(|row| row.plain()).collect();
    let mut out = String::new();
    if let Some(first) = plain.first() {
        let names: Vec<String> = plain.iter().map(|row| format!("`{}`", row.name)).collect();
        let cells: Vec<String> = first.cells.iter().map(cell).collect();
        out += &format!("| **{}** {} | {} |\n", area.name, names.join(", "), cells.join(" | "));
    }
    for row in area.rows.iter().filter(|row| !row.plain()) {
        let cells: Vec<String> = row.cells.iter().map(cell).collect();
        out += &format!("| **{}** `{}`: {} | {} |\n", area.name, row.name, escape(&row.about), cells.join(" | "));
    }
    out
}

fn cell(cell: &CellView) -> String {
    let word = match cell.fate {
        Some(Fate::Lost | Fate::Refused | Fate::Errored) => format!("**{}**", cell.word),
        _ => cell.word.to_owned(),
    };
    match cell.note {
        Some(number) => format!("{word} <sup>{number}</sup>"),
        None => word,
    }
}
