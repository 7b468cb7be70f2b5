use crate::record::{MEASUREMENT_ERROR, Metric, Millis, WORST_LATENCY};
use crate::report::text;
use serde::Serialize;

/// A figure over the repetitions of a case.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct MetricView {
    /// Its name.
    pub name: String,
    /// `ms`, `bytes`, or nothing for a case's own.
    pub unit: &'static str,
    /// The middle one; between the middle two of an even number.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Every value, in order.
    pub samples: Vec<f64>,
}

impl MetricView {
    pub(super) fn of(name: &str, samples: &[f64]) -> Option<MetricView> {
        let mut sorted: Vec<f64> = samples.iter().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        Some(MetricView {
            name: text::line(name),
            unit: Metric::ALL.into_iter().find(|m| m.name() == name).map_or(own_unit(name), Metric::unit),
            median: f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]),
            min,
            max,
            samples: samples.to_vec(),
        })
    }

    /// The middle value for people.
    pub fn shown(&self) -> String {
        self.show(self.median)
    }

    pub(in crate::report) fn show(&self, value: f64) -> String {
        match self.unit {
            "ms" => Millis(value).to_string(),
            "bytes" => text::bytes(value),
            _ => text::figure(value),
        }
    }
}

/// The unit of a figure that no budget can be on: known, or what its name says.
fn own_unit(name: &str) -> &'static str {
    let timed = name.ends_with("_ms") || [WORST_LATENCY, MEASUREMENT_ERROR].contains(&name);
    if timed { "ms" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_told_in_its_unit_and_rounded() {
        let shown = |name: &str, value: f64| MetricView::of(name, &[value]).unwrap().shown();
        assert_eq!(shown(WORST_LATENCY, 296.295_874), "296 ms");
        assert_eq!(shown(MEASUREMENT_ERROR, 6.506_012), "6.5 ms");
        assert_eq!(shown("pages-written", 700.0), "700");
        assert_eq!(shown("speed-up", 2.345), "2.3");
    }
}
