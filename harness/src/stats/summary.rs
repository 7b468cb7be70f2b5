use super::quantile::{median_interval, of_sorted, sorted};

/// The figures that a report states of a set of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How many samples.
    pub n: usize,
    /// The median.
    pub median: f64,
    /// The 95 % interval of the median (see [`super::median_interval`]): below 6 samples, the least and the greatest.
    pub ci_low: f64,
    /// See `ci_low`.
    pub ci_high: f64,
    /// The 95th percentile. Of fewer than 20 samples it leans on the greatest.
    pub p95: f64,
    /// The greatest.
    pub max: f64,
}

impl Summary {
    /// `None` without samples, or when one is not a number.
    pub fn of(samples: &[f64]) -> Option<Summary> {
        let sorted = sorted(samples)?;
        let interval = median_interval(samples, 0.95)?;
        Some(Summary {
            n: sorted.len(),
            median: of_sorted(&sorted, 0.5),
            ci_low: interval.low,
            ci_high: interval.high,
            p95: of_sorted(&sorted, 0.95),
            max: *sorted.last()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;
    use proptest::prelude::*;

    #[test]
    fn a_known_summary() {
        let samples: Vec<f64> = (1..=21).rev().map(f64::from).collect();
        let s = Summary::of(&samples).unwrap();
        assert_eq!(s, Summary { n: 21, median: 11.0, ci_low: 6.0, ci_high: 16.0, p95: 20.0, max: 21.0 });
        assert_eq!(Summary::of(&[]), None);
    }

    proptest! {
        #[test]
        fn its_figures_are_in_order(samples in prop::collection::vec(0.0..1e6_f64, 1..100)) {
            let s = Summary::of(&samples).unwrap();
            prop_assert!(s.ci_low <= s.median && s.median <= s.ci_high);
            prop_assert!(s.median <= s.p95 && s.p95 <= s.max && s.ci_high <= s.max);
        }
    }
}
