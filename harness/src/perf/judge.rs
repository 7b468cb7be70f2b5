//! From the samples of a figure to its verdict.

use super::figures::Figure;
use super::rule_of;
use crate::record::{ComparedFigure, PerfVerdict, RoundRecord, RuleRecord, Samples};
use crate::stats::{Effect, Rule, Way, Word, log_ratios, median, word};

/// Samples of a figure on both sides, in one round.
#[derive(Clone, Debug, Default)]
pub(super) struct Both {
    pub(super) baseline: Vec<f64>,
    pub(super) candidate: Vec<f64>,
}

/// So many samples of one value are needed on each side before a figure counts as without noise.
const ENOUGH: usize = 8;

/// A figure that was measured in turn, in one round or two. `None` if there is nothing of it.
pub(super) fn in_turn(figure: &Figure, rounds: &[Both], rule: &RuleRecord) -> Option<ComparedFigure> {
    let mut judged = begin(figure, rounds)?;
    if let Some(exact) = exact(figure, &judged) {
        return Some(exact);
    }
    let of = rule_of(rule, figure);
    let mut effects = Vec::new();
    for round in rounds {
        match log_ratios(&round.baseline, &round.candidate) {
            Ok(logs) => effects.extend(Effect::of(&logs, &of)),
            Err(e) => {
                judged.verdict = PerfVerdict::Invalid;
                judged.why = e.to_string();
                return Some(judged);
            }
        }
    }
    let Some(first) = effects.first() else {
        judged.why = "one pair is no block: at least 16 pairs are needed".to_owned();
        return Some(judged);
    };
    let typical = median(&rounds[0].baseline).unwrap_or(0.0);
    judged.verdict = match word(first, effects.get(1), typical, &of) {
        Word::Improved => PerfVerdict::Improved,
        Word::Unchanged => PerfVerdict::Unchanged,
        Word::Regressed => PerfVerdict::Regressed,
        Word::Inconclusive => PerfVerdict::Inconclusive,
    };
    judged.why = why(judged.verdict, &effects, typical, &of);
    judged.rounds = effects.iter().map(recorded).collect();
    Some(judged)
}

/// Whether a round of a figure asks for a second one.
pub(super) fn asks_for_more(figure: &Figure, round: &Both, rule: &RuleRecord) -> bool {
    let Some(judged) = begin(figure, std::slice::from_ref(round)) else { return false };
    if exact(figure, &judged).is_some() {
        return false;
    }
    let of = rule_of(rule, figure);
    let effect = log_ratios(&round.baseline, &round.candidate).ok().and_then(|logs| Effect::of(&logs, &of));
    effect.is_some_and(|e| e.points(&of, median(&round.baseline).unwrap_or(0.0)).is_some())
}

/// A figure against a stored one: only what has no noise is certain, and gates. The first sample of each side is left out where
/// there are others: it is of nodes that have not done the case before, with images to unpack and caches to fill.
pub(super) fn apart(figure: &Figure, both: &Both, rule: &RuleRecord) -> Option<ComparedFigure> {
    let warm = |samples: &[f64]| samples[usize::from(samples.len() > 1)..].to_vec();
    let both = &Both { baseline: warm(&both.baseline), candidate: warm(&both.candidate) };
    let mut judged = begin(figure, std::slice::from_ref(both))?;
    if let Some(exact) = exact(figure, &judged) {
        return Some(exact);
    }
    judged.gates = false;
    let wrong = |samples: &[f64]| samples.is_empty() || samples.iter().any(|s| !s.is_finite() || *s <= 0.0);
    if wrong(&both.baseline) || wrong(&both.candidate) {
        judged.verdict = PerfVerdict::Invalid;
        judged.why = "a side has no samples, or one that is not above zero".to_owned();
        return Some(judged);
    }
    let of = rule_of(rule, figure);
    let effect = Effect::apart(&both.baseline, &both.candidate, &of)?;
    let typical = median(&both.baseline).unwrap_or(0.0);
    judged.verdict = match word(&effect, None, typical, &of) {
        Word::Unchanged => PerfVerdict::Unchanged,
        _ => PerfVerdict::Inconclusive,
    };
    judged.why = match effect.points(&of, typical) {
        Some(way) => format!("{}, or the machine was: `podferry perf ab` tells which", more_or_less(way)),
        None => why(judged.verdict, &[effect], typical, &of),
    };
    judged.rounds = vec![recorded(&effect)];
    Some(judged)
}

fn more_or_less(way: Way) -> &'static str {
    match way {
        Way::Up => "it is slower or larger",
        Way::Down => "it is faster or smaller",
    }
}

fn begin(figure: &Figure, rounds: &[Both]) -> Option<ComparedFigure> {
    let all = |of: fn(&Both) -> &Vec<f64>| rounds.iter().flat_map(|r| of(r).iter().copied()).collect::<Vec<f64>>();
    let (baseline, candidate) = (all(|r| &r.baseline), all(|r| &r.candidate));
    // A count that is nought throughout is of something that this engine does not have.
    if baseline.iter().chain(&candidate).all(|s| *s == 0.0) {
        return None;
    }
    let samples = |all: Vec<f64>| Samples { median: median(&all), all };
    Some(ComparedFigure {
        name: figure.name.to_owned(),
        unit: figure.unit.to_owned(),
        exact: false,
        gates: true,
        verdict: PerfVerdict::Inconclusive,
        why: String::new(),
        baseline: samples(baseline),
        candidate: samples(candidate),
        rounds: Vec::new(),
        ack: None,
    })
}

/// The verdict on a count that never varies on either side.
fn exact(figure: &Figure, judged: &ComparedFigure) -> Option<ComparedFigure> {
    let one = |samples: &[f64]| {
        let first = *samples.first().filter(|_| samples.len() >= ENOUGH)?;
        samples.iter().all(|s| *s == first).then_some(first)
    };
    let (baseline, candidate) = (one(&judged.baseline.all)?, one(&judged.candidate.all)?);
    if !figure.counts {
        return None;
    }
    let (verdict, why) = match candidate.total_cmp(&baseline) {
        std::cmp::Ordering::Equal => (PerfVerdict::Unchanged, "the same each time, on both sides".to_owned()),
        std::cmp::Ordering::Greater => {
            (PerfVerdict::Regressed, format!("{} more, each time", number(candidate - baseline)))
        }
        std::cmp::Ordering::Less => {
            (PerfVerdict::Improved, format!("{} less, each time", number(baseline - candidate)))
        }
    };
    Some(ComparedFigure { exact: true, verdict, why, ..judged.clone() })
}

fn number(value: f64) -> String {
    format!("{value}")
}

fn recorded(e: &Effect) -> RoundRecord {
    RoundRecord { ratio: e.ratio, low: e.low, high: e.high, smallest: e.smallest }
}

fn why(verdict: PerfVerdict, effects: &[Effect], typical: f64, rule: &Rule) -> String {
    let first = &effects[0];
    let find = rule.find * 100.0;
    match verdict {
        PerfVerdict::Improved | PerfVerdict::Regressed => "beyond the margin in both rounds, and no chance".to_owned(),
        PerfVerdict::Unchanged => format!("a change of {find:.0} % is ruled out"),
        _ if first.coverage < rule.confidence => "too few samples: at least 16 of each side are needed".to_owned(),
        _ if first.points(rule, typical).is_some() => match effects.get(1) {
            Some(_) => "the second round does not confirm the first".to_owned(),
            None => "there was no second round to confirm it".to_owned(),
        },
        // Noise shrinks with the square root of the samples.
        _ => {
            let wider = (first.high / first.ratio).max(first.ratio / first.low).ln() / rule.find.ln_1p();
            let times = (2.0 * wider * wider).ceil().max(2.0);
            format!("too noisy to rule out a change of {find:.0} %: some {times:.0} times as many samples would")
        }
    }
}

#[cfg(test)]
#[path = "judge/tests.rs"]
mod tests;
