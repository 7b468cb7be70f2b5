//! Where a series changed its level for good.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A series shorter than this on one side of a place has no level there.
const LEAST: usize = 5;

/// The places (index of the first value of the new level) at which a series changed its level, in order. Halved again and
/// again at the place where the levels of both sides differ most by Welch's t-test, as long as the chance of such a
/// difference anywhere in the part, in a series that does not change, is below `chance`: the p-value times the number of
/// places. Hunter does the same with another measure of difference, and takes the t-test since it gives the same answer
/// each time (Fleming et al., ICPE 2023).
pub fn change_points(series: &[f64], chance: f64) -> Vec<usize> {
    let mut found = Vec::new();
    halve(series, 0, chance, &mut found);
    found.sort_unstable();
    found
}

fn halve(part: &[f64], offset: usize, chance: f64, found: &mut Vec<usize>) {
    if part.len() < 2 * LEAST || part.iter().any(|v| !v.is_finite()) {
        return;
    }
    let places = LEAST..=part.len() - LEAST;
    let tries = places.clone().count() as f64;
    let best = places.map(|at| (at, p_value(&part[..at], &part[at..]))).min_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((at, _)) = best.filter(|(_, p)| p * tries < chance) {
        found.push(offset + at);
        halve(&part[..at], offset, chance, found);
        halve(&part[at..], offset + at, chance, found);
    }
}

/// Of Welch's t-test, two-sided.
fn p_value(a: &[f64], b: &[f64]) -> f64 {
    let ((mean_a, var_a), (mean_b, var_b)) = (moments(a), moments(b));
    let (of_a, of_b) = (var_a / a.len() as f64, var_b / b.len() as f64);
    let square = of_a + of_b;
    if square <= f64::EPSILON * (mean_a.abs() + mean_b.abs()).powi(2) {
        // Nothing varies: any difference is one.
        return if (mean_a - mean_b).abs() <= 1e-12 * (mean_a.abs() + mean_b.abs()) { 1.0 } else { 0.0 };
    }
    let t = (mean_a - mean_b).abs() / square.sqrt();
    let freedom = square * square / (of_a * of_a / (a.len() as f64 - 1.0) + of_b * of_b / (b.len() as f64 - 1.0));
    StudentsT::new(0.0, 1.0, freedom).map_or(1.0, |d| 2.0 * d.sf(t))
}

fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;
    use proptest::prelude::*;

    /// Medians of runs: about 6 % to each side.
    fn level(rng: &mut Rng, n: usize, centre: f64) -> Vec<f64> {
        let mut noise = || rng.f64() + rng.f64() + rng.f64() - 1.5;
        (0..n).map(|_| centre * (1.0 + 0.12 * noise())).collect()
    }

    #[test]
    fn a_level_that_stays_has_no_change() {
        let mut rng = Rng::with_seed(1);
        let alarms = (0..300).filter(|_| !change_points(&level(&mut rng, 60, 100.0), 0.01).is_empty()).count();
        assert!(alarms <= 6, "{alarms} of 300");
    }

    #[test]
    fn a_step_of_a_fifth_is_found_where_it_is() {
        let mut rng = Rng::with_seed(2);
        let hits = (0..200)
            .filter(|_| {
                let series = [level(&mut rng, 30, 100.0), level(&mut rng, 30, 120.0)].concat();
                matches!(change_points(&series, 0.01)[..], [at] if at.abs_diff(30) <= 3)
            })
            .count();
        assert!(hits >= 180, "{hits} of 200");
    }

    #[test]
    fn there_and_back_are_two() {
        let series: Vec<f64> = [1.0, 2.0, 1.0].into_iter().flat_map(|v| [v; 10]).collect();
        assert_eq!(change_points(&series, 0.01), [10, 20]);
        assert_eq!(change_points(&[1.0; 40], 0.01), [0; 0]);
        assert_eq!(change_points(&[1.0, 1.0, 1.0, 9.0, 9.0, 9.0], 0.01), [0; 0], "too short to say");
    }

    proptest! {
        #[test]
        fn it_does_not_depend_on_the_unit(
            series in prop::collection::vec(1.0..100.0_f64, 0..60), unit in 0.001..1000.0_f64,
        ) {
            let scaled: Vec<f64> = series.iter().map(|v| v * unit).collect();
            prop_assert_eq!(change_points(&series, 0.01), change_points(&scaled, 0.01));
        }
    }
}
