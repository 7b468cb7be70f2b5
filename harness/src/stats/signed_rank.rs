//! One sample, symmetric about its centre: the estimator of Hodges and Lehmann, with the interval that Wilcoxon's
//! signed-rank test leaves standing (Hollander, Wolfe and Chicken, *Nonparametric Statistical Methods*, 3.2 to 3.3).

/// Where the centre of a sample lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Centre {
    /// The median of all means of two samples (each with itself too).
    pub estimate: f64,
    /// The interval.
    pub low: f64,
    /// See `low`.
    pub high: f64,
    /// The probability that such an interval holds the centre. At least what was asked for, unless the samples are too few
    /// for that (below 8 for 99 %): then the interval is as wide as they are, and this is less.
    pub coverage: f64,
}

/// The centre of samples with an interval. Of the same samples always the same: nothing is drawn. One wild sample moves it
/// little; with normal noise it is as sure as the mean of 95 % of the samples would be. `None` without samples, or when one
/// is not finite.
pub fn centre(samples: &[f64], confidence: f64) -> Option<Centre> {
    if samples.is_empty() || samples.iter().any(|s| !s.is_finite()) {
        return None;
    }
    let means = means_of_two(samples);
    let (left_out, missed) = left_out(samples.len(), (1.0 - confidence) / 2.0);
    Some(Centre {
        estimate: super::quantile::of_sorted(&means, 0.5),
        low: means[left_out],
        high: means[means.len() - 1 - left_out],
        coverage: (1.0 - 2.0 * missed).max(0.0),
    })
}

/// Walsh's averages, sorted.
fn means_of_two(samples: &[f64]) -> Vec<f64> {
    let with_those_before = |(i, a): (usize, &f64)| {
        let a = *a;
        samples[..=i].iter().map(move |b| f64::midpoint(a, *b)).collect::<Vec<_>>()
    };
    let mut means: Vec<f64> = samples.iter().enumerate().flat_map(with_those_before).collect();
    means.sort_unstable_by(f64::total_cmp);
    means
}

/// How many averages at each end lie outside the interval, and the probability that the centre lies beyond one of its ends.
/// Exact: the rank sum of `n` samples is that of the numbers 1 to n, each taken or left by a fair coin.
fn left_out(n: usize, tail: f64) -> (usize, f64) {
    // Only sums up to the middle matter, and those above the tail never do.
    let most = n * (n + 1) / 4;
    let mut chance = vec![0.0; most + 1];
    chance[0] = 1.0;
    for rank in 1..=n {
        for sum in (0..=most).rev() {
            let with = if sum >= rank { chance[sum - rank] } else { 0.0 };
            chance[sum] = f64::midpoint(chance[sum], with);
        }
    }
    let mut below = 0.0;
    for (sum, chance) in chance.iter().enumerate() {
        if below + chance > tail {
            // With none left out, the chance is that of the sum 0, whatever the tail.
            return if sum == 0 { (0, *chance) } else { (sum - 1, below) };
        }
        below += chance;
    }
    (most, below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The critical values of Wilcoxon's tables: the greatest T with P(W <= T) <= 0.025, and <= 0.005.
    #[test]
    fn known_critical_values() {
        for (n, two_sided_5, two_sided_1) in
            [(8, 3, 0), (10, 8, 3), (15, 25, 15), (20, 52, 37), (25, 89, 68), (30, 137, 109)]
        {
            assert_eq!(left_out(n, 0.025).0, two_sided_5, "n = {n}");
            assert_eq!(left_out(n, 0.005).0, two_sided_1, "n = {n}");
        }
    }

    #[test]
    fn a_known_estimate() {
        // Averages of 1, 2, 6: 1, 1.5, 2, 3.5, 4, 6.
        let c = centre(&[2.0, 6.0, 1.0], 0.99).unwrap();
        assert_eq!((c.estimate, c.low, c.high), (2.75, 1.0, 6.0));
        assert!((c.coverage - 0.75).abs() < 1e-12, "{c:?}");
        assert_eq!(centre(&[], 0.9), None);
        assert_eq!(centre(&[1.0, f64::INFINITY], 0.9), None);
    }

    #[test]
    fn eight_samples_are_enough_for_99_percent() {
        let of = |n: u32| centre(&(0..n).map(f64::from).collect::<Vec<_>>(), 0.99).unwrap().coverage;
        assert!(of(7) < 0.99 && of(8) >= 0.99, "{} {}", of(7), of(8));
    }

    #[test]
    fn the_interval_covers_as_often_as_it_says() {
        let mut rng = fastrand::Rng::with_seed(11);
        let mut held = 0;
        for _ in 0..2000 {
            let samples: Vec<f64> = (0..25).map(|_| rng.f64() + rng.f64() - 1.0).collect();
            let c = centre(&samples, 0.95).unwrap();
            held += u32::from(c.low <= 0.0 && 0.0 <= c.high);
        }
        assert!((1880..=1930).contains(&held), "{held} of 2000");
    }

    proptest! {
        #[test]
        fn it_moves_and_turns_with_its_samples(
            samples in prop::collection::vec(-1e3..1e3_f64, 1..40), by in -1e3..1e3_f64,
        ) {
            let c = centre(&samples, 0.95).unwrap();
            prop_assert!(c.low <= c.estimate && c.estimate <= c.high);
            let moved = centre(&samples.iter().map(|s| s + by).collect::<Vec<_>>(), 0.95).unwrap();
            prop_assert!((moved.estimate - c.estimate - by).abs() < 1e-9 && (moved.low - c.low - by).abs() < 1e-9);
            let turned = centre(&samples.iter().map(|s| -s).collect::<Vec<_>>(), 0.95).unwrap();
            prop_assert!((turned.estimate + c.estimate).abs() < 1e-9 && (turned.low + c.high).abs() < 1e-9);
        }

        #[test]
        fn more_confidence_is_a_wider_interval(samples in prop::collection::vec(-1e3..1e3_f64, 1..40)) {
            let (half, most) = (centre(&samples, 0.5).unwrap(), centre(&samples, 0.99).unwrap());
            prop_assert!(most.low <= half.low && half.high <= most.high && half.coverage <= most.coverage);
        }
    }
}
