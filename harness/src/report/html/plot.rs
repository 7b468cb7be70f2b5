use super::lanes::{class, window};
use super::scale::{Scale, Strip, Tick, round};
use crate::record::{At, History, OpOutcome};
use crate::report::text::thousands;
use crate::report::view::{CaseView, ClientView, ms};
use serde::Serialize;
use std::fmt::Write as _;

/// One client's latency over its intended times.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Plot {
    title: String,
    label: String,
    /// The path of the dots: x in 0..1000, y in pixels from the top.
    dots: String,
    /// What was not answered, as spans, by how it ended.
    unanswered: Vec<Strip>,
    shades: Vec<Strip>,
    switches: Vec<Tick>,
    x: Vec<Tick>,
    y: Vec<Tick>,
    height: f64,
    axis: f64,
    /// How many dots stand for how many answers.
    note: String,
}

/// Pixels.
const TOP: f64 = 26.0;
const BOTTOM: f64 = 196.0;
const AXIS: f64 = 22.0;
/// Columns into which answers are sorted when there are many; each keeps its first, lowest and highest.
const COLUMNS: usize = 600;
/// As many dots as can be told apart; fewer answers are all shown.
const DOTS: usize = 3 * COLUMNS;

/// The plots of a client: through the migration if there was one, and the whole history if that is much longer.
pub(super) fn plots(case: &CaseView, client: &ClientView, history: &History, epoch: At) -> Vec<Plot> {
    if history.interval_ns == 0 {
        return Vec::new();
    }
    let (Some(first), Some(last)) = (history.ops.first(), history.ops.last()) else { return Vec::new() };
    let whole = Scale::around(ms(epoch, first.intended), ms(epoch, last.intended), 0.01);
    let zero = case.migrations.first().map_or(whole.from, |m| m.from_ms);
    let near = window(case).map(|w| {
        let out = client.outages.iter().filter(|o| o.from_ms <= w.to && o.from_ms + o.ms >= w.from);
        let to = out.map(|o| o.from_ms + o.ms).fold(w.to, f64::max).min(whole.to);
        let room = (to - w.from) * 0.25;
        Scale { from: (w.from - room).max(whole.from), to: (to + room).min(whole.to) }
    });
    let near = near.filter(|n| n.to - n.from > 1.0);
    let mut plots = Vec::new();
    if let Some(near) = near {
        plots.push(plot("Latency through the migration", case, client, history, epoch, near, zero));
        if whole.to - whole.from < 2.0 * (near.to - near.from) {
            return plots;
        }
    }
    plots.push(plot("Latency over the whole history", case, client, history, epoch, whole, zero));
    plots
}

fn plot(title: &str, case: &CaseView, client: &ClientView, h: &History, epoch: At, scale: Scale, zero: f64) -> Plot {
    let mut answers = Vec::new();
    for op in h.ops.iter().filter(|op| op.outcome == OpOutcome::Ok) {
        let t = ms(epoch, op.intended);
        if (scale.from..=scale.to).contains(&t) {
            answers.push((t, ms(op.intended, op.done).max(0.001)));
        }
    }
    let all = answers.len();
    let kept = thinned(&answers, scale);
    let least = kept.iter().map(|a| a.1).fold(f64::INFINITY, f64::min);
    let most = kept.iter().map(|a| a.1).fold(0.0, f64::max);
    let decades = Decades::over(least, most);
    let note = if kept.len() < all {
        format!(
            "{} dots stand for {} answers: each column's first, fastest and slowest",
            thousands(kept.len() as u64),
            thousands(all as u64)
        )
    } else {
        format!("each dot is one of {} answers", thousands(all as u64))
    };
    let label = format!(
        "{title} of client {}: {} answers between {least:.2} and {most:.1} ms, longest time without an answer {}",
        client.name,
        thousands(all as u64),
        client.worst().map_or("none".to_owned(), |o| crate::record::Millis(o.ms).to_string())
    );
    Plot {
        title: format!("{title}, client {}", client.name),
        label,
        dots: dots(&kept, scale, decades),
        unanswered: unanswered(h, epoch, scale),
        shades: case
            .phases
            .iter()
            .filter_map(|p| scale.strip(p.from_ms, p.ms, &class(p), format!("{} on {}", p.name, p.node)))
            .collect(),
        switches: switches(client, scale),
        x: scale.ticks(zero),
        y: decades.ticks(),
        height: BOTTOM + AXIS,
        axis: BOTTOM,
        note,
    }
}

/// The answers, or when there are many each column's first, lowest and highest: no outlier is lost, whatever the number.
fn thinned(answers: &[(f64, f64)], scale: Scale) -> Vec<(f64, f64)> {
    if answers.len() <= DOTS {
        return answers.to_vec();
    }
    let mut columns: Vec<Option<[(f64, f64); 3]>> = vec![None; COLUMNS];
    for a in answers {
        let at = (scale.x(a.0) / 100.0 * COLUMNS as f64) as usize;
        match &mut columns[at.min(COLUMNS - 1)] {
            Some([_, low, high]) => {
                if a.1 < low.1 {
                    *low = *a;
                }
                if a.1 > high.1 {
                    *high = *a;
                }
            }
            empty => *empty = Some([*a; 3]),
        }
    }
    let mut kept: Vec<(f64, f64)> = columns.into_iter().flatten().flatten().collect();
    kept.dedup();
    kept
}

/// One path for all dots: a line of no length with a round cap is a dot, and a path is much lighter than as many circles.
fn dots(answers: &[(f64, f64)], scale: Scale, decades: Decades) -> String {
    let mut path = String::with_capacity(answers.len() * 14);
    for (t, latency) in answers {
        let _ = write!(path, "M{} {}h0", round(scale.x(*t) * 10.0), round(decades.y(*latency)));
    }
    path
}

/// A logarithmic axis over whole decades.
#[derive(Clone, Copy, Debug)]
struct Decades {
    low: i32,
    high: i32,
}

impl Decades {
    fn over(least: f64, most: f64) -> Decades {
        if !least.is_finite() || most <= 0.0 {
            return Decades { low: -1, high: 2 };
        }
        let (low, high) = (least.log10().floor() as i32, most.log10().ceil() as i32);
        Decades { low, high: high.max(low + 1) }
    }

    fn y(self, latency: f64) -> f64 {
        let part = (latency.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        BOTTOM - part.clamp(0.0, 1.0) * (BOTTOM - TOP)
    }

    fn ticks(self) -> Vec<Tick> {
        let tick = |d: i32| {
            let v = 10f64.powi(d);
            let label = if v >= 1000.0 { format!("{} s", v / 1e3) } else { format!("{v} ms") };
            Tick { at: round(self.y(v)), label, anchor: "start" }
        };
        (self.low..=self.high).map(tick).collect()
    }
}

/// Spans of operations that were not answered, one after the other of the same outcome.
fn unanswered(h: &History, epoch: At, scale: Scale) -> Vec<Strip> {
    let interval = h.interval_ns as f64 / 1e6;
    let mut spans: Vec<(OpOutcome, f64, f64, u64)> = Vec::new();
    for op in h.ops.iter().filter(|op| op.outcome != OpOutcome::Ok) {
        let t = ms(epoch, op.intended);
        match spans.last_mut() {
            Some((outcome, _, to, n)) if *outcome == op.outcome && t - *to <= 1.5 * interval => {
                (*to, *n) = (t + interval, *n + 1);
            }
            _ => spans.push((op.outcome, t, t + interval, 1)),
        }
    }
    // A client that meets errors now and then for hours must not make the file huge: far more than fit on a screen.
    spans.truncate(2000);
    spans
        .into_iter()
        .filter_map(|(outcome, from, to, n)| {
            let (class, word) = match outcome {
                OpOutcome::Ok => return None,
                OpOutcome::Error => ("u-error", "answered with an error"),
                OpOutcome::Unknown => ("u-unknown", "sent and never answered"),
                OpOutcome::NotSent => ("u-not-sent", "not sent"),
            };
            scale.strip(from, to - from, class, format!("{} {word}", thousands(n)))
        })
        .collect()
}

fn switches(client: &ClientView, scale: Scale) -> Vec<Tick> {
    // The first is whom it began with, no switch.
    let seen = client.endpoints.iter().skip(1).filter(|e| (scale.from..=scale.to).contains(&e.at_ms));
    seen.map(|e| {
        let at = scale.x(e.at_ms);
        Tick { at, label: e.instance.clone(), anchor: if at > 70.0 { "end" } else { "start" } }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn thinning_keeps_the_extremes_and_is_bounded(
            latencies in prop::collection::vec(0.01..1e4f64, 1..20_000), spike in 0usize..20_000,
        ) {
            let mut answers: Vec<(f64, f64)> = latencies.iter().enumerate().map(|(i, l)| (i as f64, *l)).collect();
            let spike = spike % answers.len();
            answers[spike].1 = 1e6;
            let scale = Scale { from: 0.0, to: answers.len() as f64 };
            let kept = thinned(&answers, scale);
            prop_assert!(kept.len() <= DOTS.max(3 * COLUMNS));
            prop_assert!(kept.contains(&answers[spike]), "the outlier is gone");
            let low = |of: &[(f64, f64)]| of.iter().map(|a| a.1).fold(f64::INFINITY, f64::min);
            prop_assert_eq!(low(&kept), low(&answers));
        }
    }
}
