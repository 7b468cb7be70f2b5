use crate::record::Millis;
use serde::Serialize;

/// Maps a span of time to 0..100 (percent of the width), so that plots stretch while their text does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) from: f64,
    pub(super) to: f64,
}

/// A tick of an axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Tick {
    /// Percent of the width, or pixels from the top.
    pub(super) at: f64,
    pub(super) label: String,
    /// `start`, `middle` or `end`: labels at the rim must not be cut.
    pub(super) anchor: &'static str,
}

/// A span on an axis.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Strip {
    /// Percent of the width.
    pub(super) x: f64,
    /// Percent of the width; never too thin to be seen.
    pub(super) w: f64,
    /// The style class: a fixed set of names, never a stranger's text.
    pub(super) class: String,
    pub(super) title: String,
}

/// The thinnest strip, in percent.
const THINNEST: f64 = 0.3;

impl Scale {
    /// A scale with a margin of so many hundredths on both sides.
    pub(super) fn around(from: f64, to: f64, margin: f64) -> Scale {
        let room = ((to - from) * margin).max(1.0);
        Scale { from: from - room, to: to + room }
    }

    pub(super) fn x(self, t: f64) -> f64 {
        round(((t - self.from) / (self.to - self.from) * 100.0).clamp(0.0, 100.0))
    }

    /// The strip of a span, if any of it is on the scale.
    pub(super) fn strip(self, from: f64, len: f64, class: &str, title: String) -> Option<Strip> {
        if from + len < self.from || from > self.to {
            return None;
        }
        let x = self.x(from);
        let w = round((self.x(from + len) - x).max(THINNEST));
        Some(Strip { x, w, class: class.to_owned(), title })
    }

    /// At most seven ticks at round figures, told as time since `zero`.
    pub(super) fn ticks(self, zero: f64) -> Vec<Tick> {
        let step = round_step((self.to - self.from) / 6.0);
        let first = ((self.from - zero) / step).ceil() as i64;
        (first..)
            .map(|i| i as f64 * step)
            .take_while(|t| zero + t <= self.to)
            .take(8)
            .map(|t| {
                let at = self.x(zero + t);
                let anchor = match at {
                    a if a < 4.0 => "start",
                    a if a > 96.0 => "end",
                    _ => "middle",
                };
                Tick { at, label: label(t, step), anchor }
            })
            .collect()
    }
}

fn label(t: f64, step: f64) -> String {
    if t == 0.0 {
        "0".to_owned()
    } else if step >= 1000.0 {
        format!("{} s", t / 1e3)
    } else if step >= 1.0 {
        format!("{t} ms")
    } else {
        Millis(t).to_string()
    }
}

/// 1, 2 or 5 times a power of ten, not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.max(1e-6).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= least).unwrap_or(power * 10.0)
}

/// Two digits after the point are a twentieth of a pixel: enough, and a third of the bytes.
pub(super) fn round(v: f64) -> f64 {
    (v * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ticks_are_round_and_count_from_zero() {
        let labels: Vec<String> =
            Scale { from: 900.0, to: 1_310.0 }.ticks(1_000.0).into_iter().map(|t| t.label).collect();
        assert_eq!(labels, ["-100 ms", "0", "100 ms", "200 ms", "300 ms"]);
    }

    proptest! {
        #[test]
        fn ticks_lie_on_the_scale_and_are_few(from in -1e6..1e6f64, len in 0.01..1e6f64, zero in -1e6..1e6f64) {
            let ticks = Scale { from, to: from + len }.ticks(zero);
            prop_assert!(ticks.len() <= 8);
            prop_assert!(ticks.iter().all(|t| (0.0..=100.0).contains(&t.at)));
        }
    }
}
