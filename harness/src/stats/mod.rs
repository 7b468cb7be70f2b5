//! What samples say: quantiles, and intervals that say how sure that is. Pure; samples are finite numbers, in any
//! order and unit.

mod bootstrap;
mod quantile;
mod summary;

pub use bootstrap::{Ratio, ratio_of_medians};
pub use quantile::{MedianInterval, median, median_interval, quantile};
pub use summary::Summary;
