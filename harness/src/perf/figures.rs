//! Which figures of a case are compared, and what is little of each.

use crate::record::{Metric, PAGES_WRITTEN, RPCS, SPAWNS};

/// A figure of which less is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    /// Whether it may be without any noise.
    pub(super) counts: bool,
}

/// In the order of reports. What only says how good the measurement was, or of which more is better, is not among them; the
/// worst latency of a client is the downtime over again.
pub(super) fn all() -> impl Iterator<Item = Figure> {
    let metrics = Metric::ALL.into_iter().map(|m| Figure {
        name: m.name(),
        unit: m.unit(),
        counts: matches!(m, Metric::CheckpointSize | Metric::BytesMoved),
    });
    metrics.chain([PAGES_WRITTEN, SPAWNS, RPCS].map(|name| Figure { name, unit: "", counts: true }))
}

impl Figure {
    /// A change of less than this is nobody's matter, in the figure's unit: of times as the user says, else a page, or one.
    pub(super) fn least(&self, least_ms: f64) -> f64 {
        match self.unit {
            "ms" => least_ms,
            "bytes" => 4096.0,
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_vary_with_time_may_be_exact() {
        let exact: Vec<&str> = all().filter(|f| f.counts).map(|f| f.name).collect();
        assert_eq!(exact, ["checkpoint-size", "bytes-moved", "pages-written", "spawns", "rpcs"]);
        assert!(all().all(|f| f.name != crate::check::WORST_LATENCY && f.name != crate::check::MEASUREMENT_ERROR));
    }
}
