//! What all forms of a comparison show, worked out once.

use crate::record::{ComparedCase, ComparedFigure, Comparison, Millis, PerfVerdict, Way};
use crate::report::text;

pub(super) struct View {
    /// The word on all of it.
    pub(super) verdict: PerfVerdict,
    /// One sentence.
    pub(super) sentence: String,
    /// How it was measured and judged.
    pub(super) how: Vec<String>,
    pub(super) differences: Vec<String>,
    pub(super) warnings: Vec<String>,
    pub(super) cases: Vec<CaseView>,
}

pub(super) struct CaseView {
    pub(super) name: String,
    pub(super) again: String,
    pub(super) trouble: Option<String>,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) figure: String,
    pub(super) verdict: PerfVerdict,
    /// Baseline, candidate, effect, interval, smallest visible change.
    pub(super) cells: [String; 5],
    /// What is to be said of it, with the acknowledgement.
    pub(super) note: Option<String>,
}

pub(super) const HEADS: [&str; 5] = ["baseline", "candidate", "effect", "interval", "could see"];

impl View {
    pub(super) fn of(comparison: &Comparison) -> View {
        let figures = || comparison.cases.iter().flat_map(|c| &c.figures);
        View {
            verdict: overall(comparison),
            sentence: sentence(comparison, figures().count()),
            how: how(comparison),
            differences: differences(comparison),
            warnings: comparison.warnings.iter().map(|w| text::line(w)).collect(),
            cases: comparison.cases.iter().map(case).collect(),
        }
    }
}

fn differences(comparison: &Comparison) -> Vec<String> {
    match comparison.differences.as_slice() {
        [] => vec!["no component differs between the sides".to_owned()],
        some => some.iter().map(|d| text::line(d)).collect(),
    }
}

/// The worst word; a comparison without figures is invalid.
fn overall(comparison: &Comparison) -> PerfVerdict {
    let of = |c: &ComparedCase| match (&c.trouble, c.skipped) {
        (Some(_), false) => Some(PerfVerdict::Invalid),
        (Some(_), true) => None,
        // What is acknowledged is no news.
        _ => c.figures.iter().filter(|f| f.ack.is_none()).map(|f| f.verdict).max(),
    };
    let worst = comparison.cases.iter().filter_map(of).max();
    let figures = comparison.cases.iter().any(|c| !c.figures.is_empty());
    worst.unwrap_or(if figures { PerfVerdict::Unchanged } else { PerfVerdict::Invalid })
}

fn sentence(comparison: &Comparison, all: usize) -> String {
    let figures = || comparison.cases.iter().flat_map(|c| &c.figures);
    let counts = PerfVerdict::ALL.iter().rev().map(|v| (v, figures().filter(|f| f.verdict == *v).count()));
    let parts: Vec<String> = counts.filter(|(_, n)| *n > 0).map(|(v, n)| format!("{n} {}", v.name())).collect();
    let known = figures().filter(|f| f.ack.is_some()).count();
    let known = if known > 0 { format!(" ({known} acknowledged)") } else { String::new() };
    let nothing = comparison.cases.iter().filter(|c| c.trouble.is_some()).count();
    let nothing =
        if nothing > 0 { format!("; {} without figures", text::count(nothing, "case")) } else { String::new() };
    match parts.is_empty() {
        true => format!("nothing to compare{nothing}"),
        false => format!("of {}: {}{known}{nothing}", text::count(all, "figure"), parts.join(", ")),
    }
}

fn how(comparison: &Comparison) -> Vec<String> {
    let rule = &comparison.rule;
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let host = &comparison.host;
    let machine = format!(
        "machine {}: kernel {}, {} x {}",
        text::line(&comparison.machine),
        text::line(&host.kernel),
        host.cpus,
        text::line(&host.cpu_model)
    );
    let way = match &comparison.way {
        Way::Interleaved { pairs, seed } => format!(
            "measured in turn, ABBA or BAAB, {pairs} times each side, seed {seed}; intervals of {}; what moved by more than {} \
             was measured once more, and is regressed or improved only if that says so too",
            percent(rule.confidence),
            percent(rule.margin)
        ),
        Way::Stored { baseline, machine } => format!(
            "against stored figures of run {} on machine {}: times advise, counts without noise decide; intervals of {}",
            text::line(&baseline.0),
            text::line(machine),
            percent(rule.confidence)
        ),
    };
    let seen = format!(
        "unchanged: a change of {} is ruled out; could see: the smallest slowdown that this comparison finds {} times of 100",
        percent(rule.find),
        (rule.power * 100.0).round()
    );
    let used = comparison.machine_use.as_ref().map(|used| machine_use(used, comparison));
    [way, seen, machine].into_iter().chain(used).collect()
}

/// What the machine did meanwhile, with the bounds beyond which figures are invalid.
fn machine_use(used: &crate::record::MachineUse, comparison: &Comparison) -> String {
    let known = |v: Option<f64>, told: &dyn Fn(f64) -> String| v.map_or_else(|| "unknown".to_owned(), told);
    let each = |load: f64| format!("{:.1}", load / f64::from(used.processors.max(1)));
    format!(
        "meanwhile: a load of {} for each processor (invalid above {}), {} of their time stolen by other machines (invalid above {})",
        known(used.load, &each),
        comparison.rule.most_load,
        known(used.stolen, &|share| format!("{:.1} %", share * 100.0)),
        format_args!("{:.0} %", comparison.rule.most_stolen * 100.0)
    )
}

fn case(case: &ComparedCase) -> CaseView {
    CaseView {
        name: text::line(&case.case.0),
        again: text::line(&case.again),
        trouble: case.trouble.as_deref().map(text::message),
        rows: case.figures.iter().map(row).collect(),
    }
}

fn row(f: &ComparedFigure) -> Row {
    let value = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| shown(&f.unit, v));
    // The first round was looked at for being far out, so it is: the second tells how large the change is.
    let round = f.rounds.last();
    let exact = || match (f.baseline.median, f.candidate.median) {
        (Some(b), Some(c)) if f.exact && b != 0.0 => change(c / b),
        _ => "-".to_owned(),
    };
    let ack = f.ack.as_ref().map(|a| {
        let issue = a.issue.as_ref().map(|i| format!(", {}", text::line(i))).unwrap_or_default();
        format!("; acknowledged until {}: {}{issue}", text::line(&a.expires), text::line(&a.reason))
    });
    let quiet = f.verdict == PerfVerdict::Unchanged;
    Row {
        figure: text::line(&f.name),
        verdict: f.verdict,
        cells: [
            value(f.baseline.median),
            value(f.candidate.median),
            round.map_or_else(exact, |r| change(r.ratio)),
            round.map_or_else(
                || if f.exact { "exact" } else { "-" }.to_owned(),
                |r| format!("{} .. {}", change(r.low), change(r.high)),
            ),
            round.map_or_else(|| "-".to_owned(), |r| change(r.smallest)),
        ],
        note: (!quiet).then(|| format!("{}{}", text::line(&f.why), ack.unwrap_or_default())),
    }
}

/// `+12.3 %`.
pub(super) fn change(ratio: f64) -> String {
    match (ratio - 1.0) * 100.0 {
        p if !p.is_finite() || p > 999.0 => format!("x {ratio:.1}"),
        // No minus before nothing.
        p if p.abs() < 0.05 => "0.0 %".to_owned(),
        p => format!("{p:+.1} %"),
    }
}

pub(super) fn shown(unit: &str, value: f64) -> String {
    match unit {
        "ms" => Millis(value).to_string(),
        "bytes" => text::bytes(value),
        _ => format!("{value}"),
    }
}
