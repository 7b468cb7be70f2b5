//! Proof of the rule, by simulation over noise like that of `runc run` on a machine with two cores that others use too:
//! a coefficient of variation of 16 %, part of it from one measurement to the next and part in waves, some wild
//! samples, and a second of each pair that finds caches warm.

use super::super::{Side, log_ratios, median, order};
use super::{Effect, Rule, Word, word};
use fastrand::Rng;

const PAIRS: usize = 50;

/// A machine that is not quiet.
struct Machine {
    rng: Rng,
    /// How slow it is at the moment, as a logarithm.
    wave: f64,
}

impl Machine {
    fn new(seed: u64) -> Machine {
        let mut rng = Rng::with_seed(seed);
        let wave = 0.08 * normal(&mut rng);
        Machine { rng, wave }
    }

    /// One measurement of something that takes 35 ms in the middle.
    fn measure(&mut self, slower: f64) -> f64 {
        const STAYS: f64 = 0.95;
        self.wave = STAYS * self.wave + 0.08 * (1.0 - STAYS * STAYS).sqrt() * normal(&mut self.rng);
        let wild = if self.rng.f64() < 0.03 { 0.2 + 0.4 * self.rng.f64() } else { 0.0 };
        35.0 * slower * (self.wave + 0.11 * normal(&mut self.rng) + wild).exp()
    }

    /// A round: both sides in turn.
    fn round(&mut self, slower: f64, seed: u64) -> (Vec<f64>, Vec<f64>) {
        let (mut baseline, mut candidate) = (Vec::new(), Vec::new());
        for first in order(PAIRS, seed) {
            for (place, side) in [first, first.other()].into_iter().enumerate() {
                let warm = if place == 1 { 0.97 } else { 1.0 };
                match side {
                    Side::Baseline => baseline.push(self.measure(warm)),
                    Side::Candidate => candidate.push(self.measure(warm * slower)),
                }
            }
        }
        (baseline, candidate)
    }

    fn effect(&mut self, slower: f64, seed: u64) -> (Effect, f64) {
        let (baseline, candidate) = self.round(slower, seed);
        let logs = log_ratios(&baseline, &candidate).unwrap();
        (Effect::of(&logs, &Rule::default()).unwrap(), median(&baseline).unwrap())
    }

    /// The whole comparison, as `perf ab` does it: a second round only where the first points somewhere.
    fn compare(&mut self, slower: f64, seed: u64) -> (Word, Effect) {
        let rule = Rule::default();
        let (first, typical) = self.effect(slower, seed);
        let second = first.points(&rule, typical).map(|_| self.effect(slower, !seed).0);
        (word(&first, second.as_ref(), typical, &rule), first)
    }
}

/// By Box and Muller.
fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

fn share(trials: u64, salt: u64, is: impl Fn(&mut Machine, u64) -> bool) -> f64 {
    let count = (0..trials).filter(|t| is(&mut Machine::new(t.wrapping_mul(0x9e37_79b9) ^ salt), *t)).count();
    count as f64 / trials as f64
}

/// What was measured: 400 times `runc run -d`, and the share of windows of that one series in which medians of 1, 10 and
/// 20 samples differ by more than 10 %, taken one side after the other: 65, 28 and 7 %.
#[test]
fn the_noise_is_like_that_measured() {
    let mut machine = Machine::new(1);
    let series: Vec<f64> = (0..20_000).map(|_| machine.measure(1.0)).collect();
    let mean = series.iter().sum::<f64>() / series.len() as f64;
    let deviation = (series.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / series.len() as f64).sqrt();
    assert!((0.14..0.20).contains(&(deviation / mean)), "coefficient of variation {}", deviation / mean);
    let apart = |n: usize| {
        let differ = |w: &[f64]| {
            let (a, b) = (median(&w[..n]).unwrap(), median(&w[n..]).unwrap());
            (b / a).ln().abs() > 0.1
        };
        let windows: Vec<&[f64]> = series.windows(2 * n).step_by(n).collect();
        windows.iter().filter(|w| differ(w)).count() as f64 / windows.len() as f64
    };
    let seen = [apart(1), apart(10), apart(20)];
    assert!(seen[0] > 0.5 && seen[1] > 0.2 && seen[2] > 0.07, "the noise is too kind: {seen:?}");
}

#[test]
fn false_alarms_are_at_most_one_in_a_hundred() {
    let alarms =
        share(2000, 1, |machine, seed| matches!(machine.compare(1.0, seed).0, Word::Regressed | Word::Improved));
    assert!(alarms <= 0.01, "{alarms}");
    // Nor is it silent because it never says anything.
    let told = share(200, 2, |machine, seed| machine.compare(1.0, seed).0 == Word::Unchanged);
    assert!(told >= 0.95, "only {told} of comparisons of the same with the same are called unchanged");
}

#[test]
fn a_slowdown_of_a_fifth_is_found() {
    let found = share(200, 3, |machine, seed| machine.compare(1.2, seed).0 == Word::Regressed);
    assert!(found >= 0.95, "{found}");
    let better = share(200, 4, |machine, seed| machine.compare(1.0 / 1.2, seed).0 == Word::Improved);
    assert!(better >= 0.95, "{better}");
}

/// One round alone, or medians held against a bound, would not do: the confirming round is there for a reason.
#[test]
fn one_round_of_many_figures_would_alarm_falsely() {
    const FIGURES: u64 = 20;
    let points = |machine: &mut Machine, seed: u64| {
        let rule = Rule { margin: 0.0, ..Rule::default() };
        (0..FIGURES).any(|f| {
            let (effect, typical) = machine.effect(1.0, seed * FIGURES + f);
            effect.points(&rule, typical).is_some()
        })
    };
    let alarms = share(200, 5, points);
    assert!(alarms > 0.08, "{alarms}");
}

/// The smallest change that a comparison says it could have seen is seen about as often as it says (95 %).
#[test]
fn the_smallest_visible_change_is_visible() {
    let found = share(400, 6, |machine, seed| {
        let smallest = machine.compare(1.0, seed).1.smallest;
        machine.compare(smallest, seed + 1_000_000).0 == Word::Regressed
    });
    assert!((0.88..=1.0).contains(&found), "{found}");
    let half = share(200, 7, |machine, seed| {
        let smallest = machine.compare(1.0, seed).1.smallest;
        machine.compare(smallest.sqrt(), seed + 1_000_000).0 == Word::Regressed
    });
    assert!(half < 0.7, "half of it is seen too: {half}");
}
