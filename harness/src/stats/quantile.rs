/// The quantile `q` (0 to 1), interpolated between the two samples around it: type 7 of Hyndman and Fan, the default
/// of R and NumPy. `None` without samples, or when one is not a number.
pub fn quantile(samples: &[f64], q: f64) -> Option<f64> {
    let sorted = sorted(samples)?;
    Some(of_sorted(&sorted, q))
}

/// The middle sample, or the mean of the two in the middle.
pub fn median(samples: &[f64]) -> Option<f64> {
    quantile(samples, 0.5)
}

/// Between which two samples the true median lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MedianInterval {
    /// The lower sample.
    pub low: f64,
    /// The upper sample.
    pub high: f64,
    /// The probability that such an interval holds the median. At least what was asked for, unless the samples are too
    /// few for that (below 6 for 95 %): then the interval is from the least to the greatest, and this is less.
    pub coverage: f64,
}

/// The interval of the median by order statistics: how many samples lie below the true median follows the binomial
/// distribution with p = 1/2, whatever the samples' own distribution is. Needs no resampling, so it is exact and
/// repeatable.
pub fn median_interval(samples: &[f64], confidence: f64) -> Option<MedianInterval> {
    let sorted = sorted(samples)?;
    let n = sorted.len();
    // The chance that at most k - 1 samples lie below the median is the chance that it is missed on that side.
    let mut k = 1;
    let mut missed = (-(n as f64) * std::f64::consts::LN_2).exp();
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    loop {
        log_term += ((n - k + 1) as f64 / k as f64).ln();
        let next = missed + log_term.exp();
        if 2.0 * next > 1.0 - confidence || k + 1 > n / 2 {
            break;
        }
        missed = next;
        k += 1;
    }
    Some(MedianInterval { low: sorted[k - 1], high: sorted[n - k], coverage: (1.0 - 2.0 * missed).max(0.0) })
}

pub(super) fn sorted(samples: &[f64]) -> Option<Vec<f64>> {
    if samples.is_empty() || samples.iter().any(|s| s.is_nan()) {
        return None;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Some(sorted)
}

/// Of at least one sample.
pub(super) fn of_sorted(sorted: &[f64], q: f64) -> f64 {
    let place = q.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    if below == above { below } else { below + (above - below) * place.fract() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_quantiles() {
        assert_eq!(quantile(&[4.0, 1.0, 3.0, 2.0], 0.5), Some(2.5));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.25), Some(2.0));
        assert!((quantile(&[1.0, 2.0, 3.0, 4.0], 0.9).unwrap() - 3.7).abs() < 1e-12);
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[1.0, f64::NAN], 0.5), None);
    }

    /// The ranks of the usual tables of 95 % intervals of the median.
    #[test]
    fn known_intervals() {
        for (n, rank) in [(6, 1), (10, 2), (15, 4), (20, 6), (25, 8), (50, 18), (100, 40)] {
            let samples: Vec<f64> = (1..=n).map(f64::from).collect();
            let i = median_interval(&samples, 0.95).unwrap();
            assert_eq!((i.low, i.high), (f64::from(rank), f64::from(n + 1 - rank)), "n = {n}");
            assert!(i.coverage >= 0.95, "n = {n}: {}", i.coverage);
        }
    }

    #[test]
    fn few_samples_say_that_they_are_few() {
        let five = median_interval(&[5.0, 1.0, 2.0, 3.0, 4.0], 0.95).unwrap();
        assert_eq!((five.low, five.high, five.coverage), (1.0, 5.0, 0.9375));
        let one = median_interval(&[3.0], 0.95).unwrap();
        assert_eq!((one.low, one.high, one.coverage), (3.0, 3.0, 0.0));
        let many = vec![1.0; 100_000];
        assert!((0.95..0.96).contains(&median_interval(&many, 0.95).unwrap().coverage));
    }

    /// Of uniform samples, about 95 % of the intervals hold the true median.
    #[test]
    fn the_interval_covers_as_often_as_it_says() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut held = 0;
        for _ in 0..2000 {
            let samples: Vec<f64> = (0..30).map(|_| rng.f64()).collect();
            let i = median_interval(&samples, 0.95).unwrap();
            held += u32::from(i.low <= 0.5 && 0.5 <= i.high);
        }
        assert!((1880..=1980).contains(&held), "{held} of 2000");
    }

    proptest! {
        #[test]
        fn quantiles_lie_within_and_rise(
            samples in prop::collection::vec(-1e9..1e9_f64, 1..60), a in 0.0..1.0_f64, b in 0.0..1.0_f64,
        ) {
            let (low, high) = (quantile(&samples, a.min(b)).unwrap(), quantile(&samples, a.max(b)).unwrap());
            let least = samples.iter().copied().fold(f64::INFINITY, f64::min);
            let most = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(least <= low && low <= high && high <= most);
            prop_assert_eq!(quantile(&samples, 0.0), Some(least));
            prop_assert_eq!(quantile(&samples, 1.0), Some(most));
        }

        #[test]
        fn an_interval_holds_its_median_and_widens_with_confidence(
            samples in prop::collection::vec(-1e9..1e9_f64, 1..200),
        ) {
            let m = median(&samples).unwrap();
            let (half, most) = (median_interval(&samples, 0.5).unwrap(), median_interval(&samples, 0.99).unwrap());
            prop_assert!(most.low <= half.low && half.low <= m && m <= half.high && half.high <= most.high);
            prop_assert!(half.coverage <= most.coverage && most.coverage < 1.0);
        }
    }
}
