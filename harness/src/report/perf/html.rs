use super::view::{HEADS, View, change, shown};
use crate::record::{ComparedFigure, Comparison, PerfVerdict};
use crate::report::html::{self, STYLE};
use crate::report::text;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use std::fmt::Write as _;

const PAGE: (&str, &str) = ("comparison", include_str!("comparison.html.j2"));

/// A case with its figures.
#[derive(Serialize)]
struct Case {
    name: String,
    again: String,
    trouble: Option<String>,
    figures: Vec<Figure>,
}

#[derive(Serialize)]
struct Figure {
    name: String,
    word: &'static str,
    class: &'static str,
    /// Baseline, candidate, effect, interval, smallest visible change.
    cells: [String; 5],
    note: Option<String>,
    effect: Option<Drawn>,
    samples: Option<Dots>,
    /// Whether it is folded away at first.
    quiet: bool,
}

/// Intervals of the rounds on an axis of ratios, in percent of the width.
#[derive(Serialize)]
struct Drawn {
    none: f64,
    /// The margin, around no change.
    margin: (f64, f64),
    rounds: Vec<(f64, f64, f64)>,
    label: String,
    low: String,
    high: String,
}

/// Samples of both sides in the order in which they were taken.
#[derive(Serialize)]
struct Dots {
    baseline: String,
    candidate: String,
    least: String,
    most: String,
    label: String,
}

/// Pixels.
const HEIGHT: f64 = 120.0;

/// `comparison.html`: the verdict, what differs, and each figure with its intervals and its samples, as one file in the style
/// of the report.
pub fn html(comparison: &Comparison) -> String {
    let view = View::of(comparison);
    let case = |(record, view): (&crate::record::ComparedCase, &super::view::CaseView)| Case {
        name: view.name.clone(),
        again: view.again.clone(),
        trouble: view.trouble.clone(),
        figures: record.figures.iter().zip(&view.rows).map(|(f, row)| figure(f, row, comparison.rule.margin)).collect(),
    };
    let cases: Vec<Case> = comparison.cases.iter().zip(&view.cases).map(case).collect();
    let page = context! {
        policy => html::policy(), style => STYLE, heads => HEADS,
        word => view.verdict.name(), class => class(view.verdict), sentence => view.sentence,
        how => view.how, differences => view.differences, warnings => view.warnings, cases => Serde(&cases),
        id => text::line(&comparison.id.0), started => text::line(&comparison.started),
        podferry => text::line(&comparison.podferry), command => text::line(&comparison.command.join(" ")),
        host => Serde(&comparison.host),
    };
    html::render(PAGE, page)
}

/// The style of the case status that is as bad.
fn class(verdict: PerfVerdict) -> &'static str {
    match verdict {
        PerfVerdict::Improved | PerfVerdict::Unchanged => "s-passed",
        PerfVerdict::Regressed => "s-failed",
        PerfVerdict::Invalid => "s-errored",
        PerfVerdict::Inconclusive => "s-skipped",
    }
}

fn figure(f: &ComparedFigure, row: &super::view::Row, margin: f64) -> Figure {
    Figure {
        name: row.figure.clone(),
        word: row.verdict.name(),
        class: class(row.verdict),
        cells: row.cells.clone(),
        note: row.note.clone(),
        effect: drawn(f, margin),
        samples: dots(f),
        quiet: row.verdict == PerfVerdict::Unchanged,
    }
}

/// On a logarithmic axis, on which half and double are as far from no change.
fn drawn(f: &ComparedFigure, margin: f64) -> Option<Drawn> {
    let ends = f.rounds.iter().flat_map(|r| [r.low, r.high]).filter(|v| v.is_finite() && *v > 0.0);
    let reach = ends.map(|v| v.ln().abs()).fold((1.0 + margin).ln() * 2.0, f64::max).min(3.0) * 1.1;
    if f.rounds.is_empty() {
        return None;
    }
    let at = |ratio: f64| {
        let place = if ratio > 0.0 { (ratio.ln() / reach).clamp(-1.0, 1.0) } else { -1.0 };
        round(50.0 + 50.0 * place)
    };
    let told =
        |r: &crate::record::RoundRecord| format!("{} ({} .. {})", change(r.ratio), change(r.low), change(r.high));
    Some(Drawn {
        none: at(1.0),
        margin: (at(1.0 / (1.0 + margin)), at(1.0 + margin)),
        rounds: f.rounds.iter().map(|r| (at(r.low), at(r.ratio), at(r.high))).collect(),
        label: format!("the candidate takes {}", f.rounds.iter().map(told).collect::<Vec<_>>().join(", then ")),
        low: change((-reach).exp()),
        high: change(reach.exp()),
    })
}

fn dots(f: &ComparedFigure) -> Option<Dots> {
    let all = || f.baseline.all.iter().chain(&f.candidate.all).copied().filter(|v| v.is_finite());
    let (least, most) = (all().reduce(f64::min)?, all().reduce(f64::max)?);
    // Without noise there is nothing to see.
    if f.exact || least >= most {
        return None;
    }
    let longest = f.baseline.all.len().max(f.candidate.all.len()).max(2);
    let path = |samples: &[f64], aside: f64| {
        let mut path = String::with_capacity(samples.len() * 14);
        for (i, v) in samples.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            let x = (i as f64 + aside) / longest as f64 * 1000.0;
            let y = 6.0 + (1.0 - (v - least) / (most - least)) * (HEIGHT - 12.0);
            let _ = write!(path, "M{} {}h0", round(x), round(y));
        }
        path
    };
    let unit = |v| shown(&f.unit, v);
    Some(Dots {
        baseline: path(&f.baseline.all, 0.3),
        candidate: path(&f.candidate.all, 0.7),
        least: unit(least),
        most: unit(most),
        label: format!(
            "{} samples of the baseline and {} of the candidate, between {} and {}",
            f.baseline.all.len(),
            f.candidate.all.len(),
            unit(least),
            unit(most)
        ),
    })
}

fn round(v: f64) -> f64 {
    (v * 100.0).round() / 100.0
}
