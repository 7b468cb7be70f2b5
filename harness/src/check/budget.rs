use super::{Judged, count, red};
use crate::record::{BudgetCheck, Evidence, Metric};
use crate::stats::quantile;
use std::cmp::Ordering;

pub(super) fn judge(check: &BudgetCheck, evidence: &Evidence) -> Judged {
    let name = check.metric.name();
    let samples = evidence.metrics.get(name).map_or(&[][..], Vec::as_slice);
    let wanted = |bounds: &[(f64, f64)]| {
        let each = bounds.iter().map(|&(p, bound)| {
            format!("{} at {} {}", percentile(p), if p > 0.0 { "most" } else { "least" }, figure(check.metric, bound))
        });
        each.collect::<Vec<_>>().join(", ")
    };
    if samples.is_empty() {
        return Err(red(format!("there is no sample of {name}"), wanted(&check.bounds)));
    }
    if samples.iter().any(|s| !s.is_finite()) {
        return Err(red(format!("a sample of {name} is no number"), wanted(&check.bounds)));
    }
    let at = |p: f64| quantile(samples, p / 100.0).unwrap_or(f64::INFINITY);
    let broken: Vec<(f64, f64)> = check
        .bounds
        .iter()
        .copied()
        .filter(|&(p, bound)| {
            let is_broken = if p > 0.0 { Ordering::is_gt } else { Ordering::is_lt };
            at(p).partial_cmp(&bound).is_none_or(is_broken)
        })
        .collect();
    let shown = if broken.is_empty() { &check.bounds } else { &broken };
    let each: Vec<String> =
        shown.iter().map(|&(p, _)| format!("{} {}", percentile(p), figure(check.metric, at(p)))).collect();
    let seen = format!("{name} of {}: {}", count(samples.len(), "sample"), each.join(", "));
    if broken.is_empty() { Ok(seen) } else { Err(red(seen, wanted(&broken))) }
}

fn percentile(p: f64) -> String {
    match p {
        p if p >= 100.0 => "max".to_owned(),
        p if p <= 0.0 => "min".to_owned(),
        p => format!("p{p}"),
    }
}

fn figure(metric: Metric, value: f64) -> String {
    match metric.unit() {
        "bytes" if value >= 1024.0 * 1024.0 => format!("{:.1} MiB", value / (1024.0 * 1024.0)),
        "bytes" => format!("{value:.0} bytes"),
        _ => format!("{value:.1} ms"),
    }
}

#[cfg(test)]
mod tests;
