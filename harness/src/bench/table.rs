//! What was measured, and how it is printed. Pure.

use crate::stats::{self, Summary};
use serde::Serialize;
use std::fmt::Write as _;

/// How many times the interval of a ratio draws its samples anew, and from which seed: the same samples give the same
/// interval.
const RESAMPLES: usize = 4000;
const SEED: u64 = 1;

/// The samples of one thing that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Its title.
    pub title: String,
    /// What exactly is compared, a line each.
    pub about: Vec<String>,
    /// The samples.
    pub rows: Vec<Row>,
    /// Which rows are held against each other, or against a goal.
    pub comparisons: Vec<Comparison>,
}

/// Samples of one side, or of one part of it.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name; a part of the row above it begins with two blanks.
    pub name: String,
    /// In milliseconds, in the order in which they were taken.
    pub ms: Vec<f64>,
}

/// What a row is held against. Rows are named by their index.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The row.
    pub of: usize,
    /// The goal.
    pub goal: Goal,
}

/// A goal for the median of a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// At most so many milliseconds.
    Most {
        /// How many.
        ms: f64,
    },
    /// At most so many times another row's median.
    Times {
        /// The other row.
        row: usize,
        /// How many; `None`: only stated.
        most: Option<f64>,
    },
    /// At most another row's median and a hundredth of it, and so many milliseconds.
    Plus {
        /// The other row.
        row: usize,
        /// How many.
        ms: f64,
    },
}

impl Table {
    /// A table without rows.
    pub fn new(title: impl Into<String>, about: &[&str]) -> Self {
        Table {
            title: title.into(),
            about: about.iter().map(|s| (*s).to_owned()).collect(),
            rows: Vec::new(),
            comparisons: Vec::new(),
        }
    }

    /// Adds a row and gives its index. One without samples is left out of what is printed.
    pub fn row(&mut self, name: impl Into<String>, ms: Vec<f64>) -> usize {
        self.rows.push(Row { name: name.into(), ms });
        self.rows.len() - 1
    }

    /// Holds a row against a goal.
    pub fn goal(&mut self, of: usize, goal: Goal) {
        self.comparisons.push(Comparison { of, goal });
    }

    /// As it is printed: medians with their 95 % intervals, then the comparisons.
    pub fn render(&self) -> String {
        let mut out = format!("## {}\n", self.title);
        for line in &self.about {
            let _ = writeln!(out, "{line}");
        }
        let width = self.rows.iter().map(|r| r.name.chars().count()).max().unwrap_or(0);
        let _ = writeln!(
            out,
            "\n{:width$}  {:>3}  {:>9}  {:>21}  {:>9}  {:>9}",
            "", "n", "median ms", "95 % interval", "p95", "max"
        );
        for row in &self.rows {
            let Some(s) = Summary::of(&row.ms) else { continue };
            let interval = format!("{:.2} .. {:.2}", s.ci_low, s.ci_high);
            let _ = writeln!(
                out,
                "{:width$}  {:>3}  {:>9.2}  {interval:>21}  {:>9.2}  {:>9.2}",
                row.name, s.n, s.median, s.p95, s.max
            );
        }
        out.push('\n');
        for comparison in &self.comparisons {
            if let Some(line) = self.compare(comparison) {
                let _ = writeln!(out, "{line}");
            }
        }
        out
    }

    fn compare(&self, comparison: &Comparison) -> Option<String> {
        let of = &self.rows[comparison.of];
        let median = stats::median(&of.ms)?;
        Some(match comparison.goal {
            Goal::Most { ms } => {
                let i = stats::median_interval(&of.ms, 0.95)?;
                format!(
                    "{}: {median:.2} ms; goal: at most {ms} ms: {}",
                    of.name.trim(),
                    verdict(median, (i.low, i.high), ms)
                )
            }
            Goal::Times { row, most } => {
                let to = &self.rows[row];
                let r = stats::ratio_of_medians(&of.ms, &to.ms, 0.95, RESAMPLES, SEED)?;
                let stated = format!(
                    "{} / {}: {:.3} (95 %: {:.3} .. {:.3})",
                    of.name.trim(),
                    to.name.trim(),
                    r.ratio,
                    r.low,
                    r.high
                );
                match most {
                    Some(most) => {
                        format!("{stated}; goal: at most {most}: {}", verdict(r.ratio, (r.low, r.high), most))
                    }
                    None => stated,
                }
            }
            Goal::Plus { row, ms } => {
                let to = &self.rows[row];
                let base = stats::median(&to.ms)?;
                let r = stats::ratio_of_medians(&of.ms, &to.ms, 0.95, RESAMPLES, SEED)?;
                let more = |ratio: f64| (ratio - 1.0) * base;
                let most = ms + 0.01 * base;
                format!(
                    "{} - {}: {:.2} ms (95 %: {:.2} .. {:.2}); goal: at most {ms} ms + 1 % = {most:.2} ms: {}",
                    of.name.trim(),
                    to.name.trim(),
                    more(r.ratio),
                    more(r.low),
                    more(r.high),
                    verdict(more(r.ratio), (more(r.low), more(r.high)), most)
                )
            }
        })
    }
}

/// A goal that the interval reaches over is met or missed by chance: that is said.
fn verdict(value: f64, (low, high): (f64, f64), most: f64) -> &'static str {
    match (value <= most, high <= most, low <= most) {
        (true, true, _) => "met",
        (true, false, _) => "met, but the interval reaches over it",
        (false, _, true) => "MISSED, but the interval reaches below it",
        (false, _, false) => "MISSED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_what_is_met_and_what_is_not() {
        let mut table = Table::new("two nodes", &["A against B."]);
        let near = |centre: f64| (0..12).map(|i| centre + f64::from(i % 3)).collect::<Vec<_>>();
        let (a, b) = (table.row("harness", near(300.0)), table.row("bare shell", near(200.0)));
        table.row("  a part that was not there", Vec::new());
        table.goal(a, Goal::Times { row: b, most: Some(2.0) });
        table.goal(a, Goal::Times { row: b, most: Some(1.4) });
        table.goal(a, Goal::Most { ms: 1000.0 });
        table.goal(a, Goal::Plus { row: b, ms: 5.0 });
        table.goal(b, Goal::Times { row: a, most: None });
        insta::assert_snapshot!(table.render());
    }

    #[test]
    fn chance_is_told() {
        assert_eq!(verdict(1.9, (1.8, 2.1), 2.0), "met, but the interval reaches over it");
        assert_eq!(verdict(2.1, (1.9, 2.2), 2.0), "MISSED, but the interval reaches below it");
        assert_eq!(verdict(2.2, (2.1, 2.3), 2.0), "MISSED");
    }
}
