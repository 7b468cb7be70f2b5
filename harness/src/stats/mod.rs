//! What samples say: quantiles, and intervals that say how sure that is; and whether one side of a comparison is slower.
//! Pure; samples are finite numbers, in any order and unit.

mod abba;
mod bootstrap;
mod change_points;
mod quantile;
mod regression;
mod signed_rank;
mod summary;
mod two_samples;

pub use abba::{Side, Unusable, log_ratios, order};
pub use bootstrap::{Ratio, ratio_of_medians};
pub use change_points::change_points;
pub use quantile::{MedianInterval, median, median_interval, quantile};
pub use regression::{Effect, Rule, Way, Word, word};
pub use signed_rank::{Centre, centre};
pub use summary::Summary;
pub use two_samples::shift;
