use super::view::{change, shown};
use crate::record::{Metric, Trend};
use crate::report::{Style, text};

/// The figures of one machine over time, for a terminal. Changes of level first: they are what one looks for.
pub fn history(trends: &[Trend], machine: &str, style: Style) -> String {
    let runs = trends.iter().map(|t| t.runs).max().unwrap_or(0);
    let shifts: usize = trends.iter().map(|t| t.shifts.len()).sum();
    let head =
        format!("machine {}: {}, {}", text::line(machine), text::count(runs, "run"), text::count(shifts, "change"));
    let mut out = vec![style.bold(head)];
    if runs < 30 {
        out.push(style.dim("fewer than 30 runs: changes that are there may not be seen yet"));
    }
    let mut case = None;
    for trend in trends {
        if case != Some(&trend.case) {
            out.push(String::new());
            out.push(style.bold(text::line(&trend.case.0)));
            case = Some(&trend.case);
        }
        let unit = Metric::ALL.into_iter().find(|m| m.name() == trend.figure).map_or("", Metric::unit);
        out.push(format!("  {:16}{:>10}  {}", trend.figure, shown(unit, trend.level), text::count(trend.runs, "run")));
        for shift in &trend.shifts {
            let new = if shift.components.is_empty() {
                String::new()
            } else {
                format!("; new: {}", shift.components.join(", "))
            };
            out.push(text::line(&format!(
                "{} at {} ({}): {} -> {}{new}",
                change(shift.after / shift.before),
                shift.run,
                shift.started,
                shown(unit, shift.before),
                shown(unit, shift.after),
            )));
            let told = out.last_mut().expect("pushed above");
            told.insert_str(0, "      ");
        }
    }
    out.push(String::new());
    out.push(style.dim("changes advise: `podferry perf ab` proves"));
    out.push(String::new());
    out.join("\n")
}
