use super::quantile::{of_sorted, sorted};
use fastrand::Rng;

/// How many times larger one median is than another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Median over median.
    pub ratio: f64,
    /// The interval that was asked for.
    pub low: f64,
    /// See `low`.
    pub high: f64,
}

/// The ratio of the median of `of` to that of `to`, with an interval by the percentile bootstrap: both are drawn anew
/// from their samples `resamples` times. The seed fixes the draws, so that the same samples give the same interval.
/// `None` without samples, or when a sample of `to` is not above zero.
pub fn ratio_of_medians(of: &[f64], to: &[f64], confidence: f64, resamples: usize, seed: u64) -> Option<Ratio> {
    let (of, to) = (sorted(of)?, sorted(to)?);
    let (whole_of, whole_to) = (of_sorted(&of, 0.5), of_sorted(&to, 0.5));
    if to[0] <= 0.0 {
        return None;
    }
    let mut rng = Rng::with_seed(seed);
    let mut drawn = Vec::with_capacity(of.len().max(to.len()));
    let ratios: Vec<f64> = (0..resamples.max(1))
        .map(|_| median_of_draw(&of, &mut drawn, &mut rng) / median_of_draw(&to, &mut drawn, &mut rng))
        .collect();
    let ratios = sorted(&ratios)?;
    let tail = (1.0 - confidence.clamp(0.0, 1.0)) / 2.0;
    Some(Ratio { ratio: whole_of / whole_to, low: of_sorted(&ratios, tail), high: of_sorted(&ratios, 1.0 - tail) })
}

fn median_of_draw(samples: &[f64], drawn: &mut Vec<f64>, rng: &mut Rng) -> f64 {
    drawn.clear();
    drawn.extend((0..samples.len()).map(|_| samples[rng.usize(..samples.len())]));
    drawn.sort_unstable_by(f64::total_cmp);
    of_sorted(drawn, 0.5)
}

#[cfg(test)]
mod tests {
    use super::ratio_of_medians;
    use fastrand::Rng;
    use proptest::prelude::*;

    fn noisy(n: usize, centre: f64, seed: u64) -> Vec<f64> {
        let mut rng = Rng::with_seed(seed);
        (0..n).map(|_| centre * (0.9 + 0.2 * rng.f64())).collect()
    }

    #[test]
    fn a_true_ratio_is_held_and_no_difference_holds_one() {
        let base = noisy(40, 100.0, 1);
        let twice = ratio_of_medians(&noisy(40, 200.0, 2), &base, 0.95, 2000, 3).unwrap();
        assert!(twice.low < 2.0 && 2.0 < twice.high && twice.high - twice.low < 0.3, "{twice:?}");
        let same = ratio_of_medians(&noisy(40, 100.0, 4), &base, 0.95, 2000, 3).unwrap();
        assert!(same.low < 1.0 && 1.0 < same.high, "{same:?}");
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let (a, b) = (noisy(20, 5.0, 1), noisy(20, 4.0, 2));
        assert_eq!(ratio_of_medians(&a, &b, 0.95, 500, 9), ratio_of_medians(&a, &b, 0.95, 500, 9));
        assert_ne!(ratio_of_medians(&a, &b, 0.95, 500, 9), ratio_of_medians(&a, &b, 0.95, 500, 10));
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert_eq!(ratio_of_medians(&[], &[1.0], 0.95, 100, 1), None);
        assert_eq!(ratio_of_medians(&[1.0], &[0.0], 0.95, 100, 1), None);
    }

    proptest! {
        #[test]
        fn an_interval_is_in_order_and_scales(
            a in prop::collection::vec(1.0..1e3_f64, 1..20), b in prop::collection::vec(1.0..1e3_f64, 1..20),
        ) {
            let r = ratio_of_medians(&a, &b, 0.9, 200, 1).unwrap();
            prop_assert!(r.low <= r.high && r.low > 0.0);
            let doubled: Vec<f64> = a.iter().map(|x| x * 2.0).collect();
            let d = ratio_of_medians(&doubled, &b, 0.9, 200, 1).unwrap();
            prop_assert!((d.ratio - 2.0 * r.ratio).abs() < 1e-9 && (d.low - 2.0 * r.low).abs() < 1e-9);
        }
    }
}
