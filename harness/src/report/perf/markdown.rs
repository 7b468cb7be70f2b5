use super::view::{CaseView, HEADS, View};
use crate::record::{Comparison, PerfVerdict};
use crate::report::markdown::escape;

/// `comparison.md`: the verdict, what is not unchanged, then all figures folded away.
pub fn markdown(comparison: &Comparison) -> String {
    let view = View::of(comparison);
    let mut out = format!("## {}: {}\n\n", view.verdict.name(), escape(&view.sentence));
    for line in &view.differences {
        out += &format!("- {}\n", escape(line));
    }
    for line in &view.warnings {
        out += &format!("- **warning**: {}\n", escape(line));
    }
    let news: Vec<String> = view.cases.iter().filter_map(|c| table(c, false)).collect();
    out += &format!("\n{}", news.join("\n"));
    out += "\n<details><summary>all figures</summary>\n\n";
    out += &view.cases.iter().filter_map(|c| table(c, true)).collect::<Vec<_>>().join("\n");
    out += "\n</details>\n\n";
    for line in &view.how {
        out += &format!("- {}\n", escape(line));
    }
    out
}

fn table(case: &CaseView, all: bool) -> Option<String> {
    let name = escape(&case.name);
    if let Some(trouble) = &case.trouble {
        return Some(format!("**{name}**: nothing to compare: {}\n", escape(trouble)));
    }
    let rows: Vec<_> = case.rows.iter().filter(|r| all || r.verdict != PerfVerdict::Unchanged).collect();
    if rows.is_empty() {
        return None;
    }
    let mut out = format!("**{name}**\n\n| figure | {} | verdict | why |\n|---|", HEADS.join(" | "));
    out += &format!("{}---|---|\n", "---:|".repeat(HEADS.len()));
    for row in rows {
        let cells: Vec<String> = row.cells.iter().map(|c| escape(c)).collect();
        let note = row.note.as_deref().map(escape).unwrap_or_default();
        out += &format!("| {} | {} | {} | {note} |\n", escape(&row.figure), cells.join(" | "), row.verdict.name());
    }
    if !all && !case.again.is_empty() {
        out += &format!("\nagain: {}\n", escape(&case.again));
    }
    Some(out)
}
