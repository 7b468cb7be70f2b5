//! Two samples that have nothing to do with each other: by how much one lies above the other, with the interval that the
//! test of Mann and Whitney leaves standing (Hollander, Wolfe and Chicken, *Nonparametric Statistical Methods*, 4.2 to 4.3).

use super::quantile::of_sorted;
use super::signed_rank::Centre;
use statrs::distribution::{ContinuousCDF, Normal};

/// The most samples that are looked at of each: the last ones. All differences between them are made.
const MOST: usize = 500;

/// The median of all differences `of - to`, with an interval. By the normal approximation with a correction for continuity,
/// which is good from about 8 samples on. `None` without samples on both sides, or when one is not finite.
pub fn shift(of: &[f64], to: &[f64], confidence: f64) -> Option<Centre> {
    let last = |samples: &[f64]| samples[samples.len().saturating_sub(MOST)..].to_vec();
    let (of, to) = (last(of), last(to));
    if of.is_empty() || to.is_empty() || of.iter().chain(&to).any(|s| !s.is_finite()) {
        return None;
    }
    let mut all: Vec<f64> = of.iter().flat_map(|a| to.iter().map(move |b| a - b)).collect();
    all.sort_unstable_by(f64::total_cmp);
    let (m, n) = (of.len() as f64, to.len() as f64);
    let spread = (m * n * (m + n + 1.0) / 12.0).sqrt();
    let normal = Normal::standard();
    let reach = normal.inverse_cdf(f64::midpoint(1.0, confidence));
    // How many differences at each end lie outside.
    let left_out = (m * n / 2.0 - 0.5 - reach * spread).floor().max(0.0) as usize;
    let left_out = left_out.min((all.len() - 1) / 2);
    let missed = normal.cdf((left_out as f64 + 0.5 - m * n / 2.0) / spread);
    Some(Centre {
        estimate: of_sorted(&all, 0.5),
        low: all[left_out],
        high: all[all.len() - 1 - left_out],
        coverage: (1.0 - 2.0 * missed).max(0.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_shift_is_held_as_often_as_it_says() {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut held = 0;
        for _ in 0..1000 {
            let mut draw = |n: usize, by: f64| (0..n).map(|_| by + rng.f64() * rng.f64()).collect::<Vec<_>>();
            let (of, to) = (draw(20, 0.3), draw(25, 0.0));
            let c = shift(&of, &to, 0.95).unwrap();
            held += u32::from(c.low <= 0.3 && 0.3 <= c.high);
        }
        assert!((930..=970).contains(&held), "{held} of 1000");
    }

    #[test]
    fn few_samples_say_that_they_are_few() {
        assert!(shift(&[1.0, 2.0], &[1.0, 2.0], 0.99).unwrap().coverage < 0.95);
        let eight: Vec<f64> = (0..8).map(f64::from).collect();
        assert!(shift(&eight, &eight, 0.99).unwrap().coverage >= 0.99);
        assert_eq!(shift(&[], &[1.0], 0.9), None);
        let many = vec![1.0; 10_000];
        assert!(shift(&many, &many, 0.99).is_some());
    }

    proptest! {
        #[test]
        fn sides_that_change_places_turn_the_sign(
            a in prop::collection::vec(-1e3..1e3_f64, 1..25), b in prop::collection::vec(-1e3..1e3_f64, 1..25),
        ) {
            let (there, back) = (shift(&a, &b, 0.95).unwrap(), shift(&b, &a, 0.95).unwrap());
            prop_assert!((there.estimate + back.estimate).abs() < 1e-9 && (there.low + back.high).abs() < 1e-9);
            prop_assert!(there.low <= there.estimate && there.estimate <= there.high);
        }
    }
}
