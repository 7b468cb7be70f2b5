//! Whether a candidate is slower: a fixed rule in two rounds, never "again until it is green".

use super::signed_rank::{Centre, centre};
use super::two_samples::shift;
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

/// The rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Of the interval of each round.
    pub confidence: f64,
    /// A change of less than this is nobody's matter: 0.05 is 5 %.
    pub margin: f64,
    /// A change of less than this is nobody's matter either; in the figure's own unit.
    pub least: f64,
    /// What the comparison is to be able to tell: a round whose interval holds a change as large as this says nothing. Greater than
    /// the margin.
    pub find: f64,
    /// How often the smallest visible change is found, by both rounds together.
    pub power: f64,
}

impl Default for Rule {
    /// 99 %, a margin of 5 %, 20 % to be told, in 95 of 100 comparisons.
    fn default() -> Self {
        Rule { confidence: 0.99, margin: 0.05, least: 0.0, find: 0.20, power: 0.95 }
    }
}

/// What one round saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// Candidate over baseline; 1.2 is 20 % more.
    pub ratio: f64,
    /// The interval of that.
    pub low: f64,
    /// See `low`.
    pub high: f64,
    /// The probability that such an interval holds the true ratio. Less than the rule's: too few samples for a verdict.
    pub coverage: f64,
    /// The smallest slowdown, as a ratio, that two rounds with noise like this round's find as often as the rule says.
    pub smallest: f64,
    /// How many blocks of two pairs it rests on; of sides that were not measured in turn, samples of the side with fewer.
    pub blocks: usize,
}

impl Effect {
    /// Of the logarithms of the blocks' ratios (see [`super::log_ratios`]). `None` without any.
    pub fn of(log_ratios: &[f64], rule: &Rule) -> Option<Effect> {
        Some(Effect::around(centre(log_ratios, rule.confidence)?, log_ratios.len(), rule))
    }

    /// Of two sides that were not measured in turn: what is between them may be the machine.
    pub fn apart(baseline: &[f64], candidate: &[f64], rule: &Rule) -> Option<Effect> {
        let logs = |samples: &[f64]| samples.iter().map(|s| s.ln()).collect::<Vec<f64>>();
        let c = shift(&logs(candidate), &logs(baseline), rule.confidence)?;
        Some(Effect::around(c, baseline.len().min(candidate.len()), rule))
    }

    fn around(c: Centre, samples: usize, rule: &Rule) -> Effect {
        // How far the estimate may be off by chance, as a standard error: from the interval, so that wild samples count as
        // little here as there.
        let reach = normal(f64::midpoint(1.0, c.coverage));
        let error = if reach > 0.0 { (c.high - c.low) / 2.0 / reach } else { f64::INFINITY };
        let error = error * doubt(samples);
        // Each round must see it, so each must see it more often.
        let often = normal(rule.power.sqrt()) * error;
        let seen = (normal(f64::midpoint(1.0, rule.confidence)) * error).max(rule.margin.ln_1p()) + often;
        Effect {
            ratio: c.estimate.exp(),
            low: c.low.exp(),
            high: c.high.exp(),
            coverage: c.coverage,
            smallest: seen.exp(),
            blocks: samples,
        }
    }

    /// Which way it points, if it is worth a second look: beyond the margin, and no chance. `typical` is the baseline's median.
    pub fn points(&self, rule: &Rule, typical: f64) -> Option<Way> {
        let worth = (self.ratio - 1.0).abs() * typical >= rule.least;
        if self.coverage < rule.confidence || !worth {
            None
        } else if self.low > 1.0 && self.ratio >= 1.0 + rule.margin {
            Some(Way::Up)
        } else if self.high < 1.0 && self.ratio <= 1.0 / (1.0 + rule.margin) {
            Some(Way::Down)
        } else {
            None
        }
    }

    /// Whether it would have told a change that is worth finding, and did not.
    fn rules_out(&self, rule: &Rule) -> bool {
        self.coverage >= rule.confidence && self.high < 1.0 + rule.find && self.low > 1.0 / (1.0 + rule.find)
    }
}

/// By how much noise that was estimated from so many samples may well be larger: its upper bound in four of five cases. Without
/// this, who was lucky with a quiet round would be promised more than the next round keeps.
fn doubt(samples: usize) -> f64 {
    let free = samples.saturating_sub(1).max(1) as f64;
    ChiSquared::new(free).map_or(f64::INFINITY, |chi| (free / chi.inverse_cdf(0.2)).sqrt())
}

fn normal(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// More or less of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// More than before.
    Up,
    /// Less.
    Down,
}

/// What two rounds come to, of a figure of which less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Less, in both rounds.
    Improved,
    /// No change that is worth finding, and one would have been found.
    Unchanged,
    /// More, in both rounds.
    Regressed,
    /// Too few samples, too much noise, or two rounds that do not agree.
    Inconclusive,
}

/// The word on a figure. The second round is needed only where the first points somewhere; without one, that is
/// [`Word::Inconclusive`]. A false alarm needs chance to strike twice, the same way: with 99 % intervals once in 20,000
/// figures for each way, so that a report on many figures needs no further correction.
pub fn word(first: &Effect, second: Option<&Effect>, typical: f64, rule: &Rule) -> Word {
    match (first.points(rule, typical), second.map(|s| s.points(rule, typical))) {
        (Some(Way::Up), Some(Some(Way::Up))) => Word::Regressed,
        (Some(Way::Down), Some(Some(Way::Down))) => Word::Improved,
        (None, _) if first.rules_out(rule) => Word::Unchanged,
        _ => Word::Inconclusive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn effect(low: f64, ratio: f64, high: f64) -> Effect {
        Effect { ratio, low, high, coverage: 0.99, smallest: 1.1, blocks: 25 }
    }

    #[rstest]
    #[case::small((0.98, 1.01, 1.04), None, Word::Unchanged)]
    #[case::sure_but_below_the_margin((1.01, 1.03, 1.05), None, Word::Unchanged)]
    #[case::beyond_the_margin_but_chance((0.99, 1.06, 1.13), None, Word::Unchanged)]
    #[case::noise((0.8, 1.02, 1.3), None, Word::Inconclusive)]
    #[case::not_confirmed_yet((1.1, 1.2, 1.3), None, Word::Inconclusive)]
    #[case::confirmed((1.1, 1.2, 1.3), Some((1.05, 1.15, 1.25)), Word::Regressed)]
    #[case::denied((1.1, 1.2, 1.3), Some((0.95, 1.0, 1.05)), Word::Inconclusive)]
    #[case::turned((1.1, 1.2, 1.3), Some((0.7, 0.8, 0.9)), Word::Inconclusive)]
    #[case::better((0.7, 0.8, 0.9), Some((0.7, 0.8, 0.9)), Word::Improved)]
    fn the_rule(
        #[case] (low, ratio, high): (f64, f64, f64),
        #[case] second: Option<(f64, f64, f64)>,
        #[case] is: Word,
    ) {
        let second = second.map(|(low, ratio, high)| effect(low, ratio, high));
        assert_eq!(word(&effect(low, ratio, high), second.as_ref(), 100.0, &Rule::default()), is);
    }

    #[test]
    fn what_is_little_in_its_own_unit_is_nobodys_matter() {
        let rule = Rule { least: 1.0, ..Rule::default() };
        let more = effect(1.1, 1.2, 1.3);
        assert_eq!(more.points(&rule, 100.0), Some(Way::Up));
        assert_eq!(more.points(&rule, 4.0), None);
    }

    #[test]
    fn too_few_samples_are_no_verdict() {
        let rule = Rule::default();
        let seven = Effect::of(&[0.3; 7], &rule).unwrap();
        assert_eq!(word(&seven, Some(&seven), 100.0, &rule), Word::Inconclusive);
        let eight = Effect::of(&[0.3; 8], &rule).unwrap();
        assert_eq!(word(&eight, Some(&eight), 100.0, &rule), Word::Regressed);
        assert_eq!(word(&Effect::of(&[0.0], &rule).unwrap(), None, 100.0, &rule), Word::Inconclusive);
        assert!(Effect::of(&[], &rule).is_none());
    }

    #[test]
    fn without_noise_the_margin_is_the_smallest() {
        let e = Effect::of(&[0.0; 25], &Rule::default()).unwrap();
        assert!((e.smallest - 1.05).abs() < 1e-9, "{e:?}");
    }

    proptest! {
        #[test]
        fn sides_that_change_places_change_the_word(logs in prop::collection::vec(-1.0..1.0_f64, 8..30)) {
            let rule = Rule::default();
            let there = Effect::of(&logs, &rule).unwrap();
            let back = Effect::of(&logs.iter().map(|l| -l).collect::<Vec<_>>(), &rule).unwrap();
            let turned = match word(&back, Some(&back), 100.0, &rule) {
                Word::Improved => Word::Regressed,
                Word::Regressed => Word::Improved,
                other => other,
            };
            prop_assert_eq!(word(&there, Some(&there), 100.0, &rule), turned);
            prop_assert!(there.low <= there.ratio && there.ratio <= there.high && there.smallest >= 1.05 - 1e-9);
        }
    }
}

#[cfg(test)]
#[path = "regression/proof.rs"]
mod proof;
