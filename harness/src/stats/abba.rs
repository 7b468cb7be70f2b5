//! Two sides measured in turn, so that what changes with time touches both alike.

use fastrand::Rng;

/// Which side goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What is known.
    Baseline,
    /// What is to be judged.
    Candidate,
}

impl Side {
    /// Both.
    pub const BOTH: [Side; 2] = [Side::Baseline, Side::Candidate];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Side::Baseline => "baseline",
            Side::Candidate => "candidate",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::Baseline => Side::Candidate,
            Side::Candidate => Side::Baseline,
        }
    }
}

/// Which side goes first in each pair: blocks of two pairs, ABBA or BAAB by the seed's coin. Whatever only depends on the
/// place in a block (the second of a pair finds caches warm) or grows evenly through it is in both sides of a block
/// alike; and since a coin says which is which, no rhythm of the machine can favour one side.
pub fn order(pairs: usize, seed: u64) -> Vec<Side> {
    let mut rng = Rng::with_seed(seed);
    let blocks = std::iter::repeat_with(|| if rng.bool() { Side::Baseline } else { Side::Candidate });
    blocks.flat_map(|first| [first, first.other()]).take(pairs).collect()
}

/// Why samples say nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unusable {
    /// A repetition gave no figure.
    #[error("{baseline} samples of the baseline and {candidate} of the candidate: some are missing")]
    Missing {
        /// How many there are of the baseline.
        baseline: usize,
        /// And of the candidate.
        candidate: usize,
    },
    /// There is none of either side.
    #[error("there is no sample")]
    None,
    /// A figure that can't be: time that runs backward, a division by nothing.
    #[error("sample {number} of the {} is {value}", side.name())]
    Impossible {
        /// The side.
        side: Side,
        /// From 1.
        number: usize,
        /// The figure.
        value: f64,
    },
}

/// The logarithm of candidate over baseline in each block of two pairs: the mean of both. A last pair without a partner is
/// left out.
///
/// # Errors
/// There is not one sample for each pair on both sides, or one is not above zero.
pub fn log_ratios(baseline: &[f64], candidate: &[f64]) -> Result<Vec<f64>, Unusable> {
    if baseline.len() != candidate.len() {
        return Err(Unusable::Missing { baseline: baseline.len(), candidate: candidate.len() });
    }
    if baseline.is_empty() {
        return Err(Unusable::None);
    }
    for (side, samples) in Side::BOTH.into_iter().zip([baseline, candidate]) {
        if let Some(i) = samples.iter().position(|s| !s.is_finite() || *s <= 0.0) {
            return Err(Unusable::Impossible { side, number: i + 1, value: samples[i] });
        }
    }
    let logs: Vec<f64> = baseline.iter().zip(candidate).map(|(b, c)| (c / b).ln()).collect();
    Ok(logs.chunks_exact(2).map(|block| f64::midpoint(block[0], block[1])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_block_is_abba_or_baab() {
        let order = order(40, 7);
        assert!(order.chunks(2).all(|block| block[0] != block[1]));
        let first = order.chunks(2).filter(|block| block[0] == Side::Baseline).count();
        assert!((4..=16).contains(&first), "{first} of 20 blocks begin with the baseline");
        assert_ne!(order, super::order(40, 8));
        assert_eq!(super::order(3, 1).len(), 3);
    }

    #[test]
    fn what_cannot_be_compared_is_told() {
        let error = |b: &[f64], c: &[f64]| log_ratios(b, c).unwrap_err().to_string();
        assert_eq!(error(&[1.0], &[]), "1 samples of the baseline and 0 of the candidate: some are missing");
        assert_eq!(error(&[], &[]), "there is no sample");
        assert_eq!(error(&[1.0, 2.0], &[1.0, -2.0]), "sample 2 of the candidate is -2");
        assert_eq!(error(&[f64::NAN], &[1.0]), "sample 1 of the baseline is NaN");
    }

    proptest! {
        /// A block is four measurements one after the other. The second of each pair is quicker by some factor, and the
        /// machine gets slower by another with each measurement: neither is seen.
        #[test]
        fn place_and_drift_cancel(
            seed in any::<u64>(), warm in 0.5..1.0_f64, drift in 0.8..1.3_f64, effect in 0.5..2.0_f64, blocks in 1..20_usize,
        ) {
            let (mut baseline, mut candidate) = (Vec::new(), Vec::new());
            for (pair, first) in order(2 * blocks, seed).into_iter().enumerate() {
                for (place, side) in [first, first.other()].into_iter().enumerate() {
                    let time = 2 * (pair % 2) + place;
                    let noise = warm.powi(i32::from(place == 1)) * drift.powi(time as i32);
                    match side {
                        Side::Baseline => baseline.push(noise),
                        Side::Candidate => candidate.push(effect * noise),
                    }
                }
            }
            for log in log_ratios(&baseline, &candidate).unwrap() {
                prop_assert!((log - effect.ln()).abs() < 1e-9);
            }
        }

        #[test]
        fn sides_that_change_places_turn_the_sign(
            pairs in prop::collection::vec((0.1..1e4_f64, 0.1..1e4_f64), 2..20),
        ) {
            let (b, c): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            for (there, back) in log_ratios(&b, &c).unwrap().iter().zip(log_ratios(&c, &b).unwrap()) {
                prop_assert!((there + back).abs() < 1e-9);
            }
        }
    }
}
