use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Nanoseconds on the harness's `CLOCK_MONOTONIC` (not since the run's start: `Run::epoch` holds that offset), so that
/// stamps taken by client threads and by the runner compare without conversion. Never a stamp taken inside a
/// container: those live in another time namespace.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct At(pub u64);

impl At {
    /// The time from `earlier` to `self`; zero if `earlier` is the later one.
    pub fn since(self, earlier: At) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for At {
    type Output = At;
    fn add(self, rhs: Duration) -> At {
        At(self.0.saturating_add(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A duration in milliseconds, as reports and budgets state it.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Millis(pub f64);

impl From<Duration> for Millis {
    fn from(d: Duration) -> Self {
        Millis(d.as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            v if v >= 10_000.0 => write!(f, "{:.1} s", v / 1e3),
            v if v >= 1_000.0 => write!(f, "{:.2} s", v / 1e3),
            v if v >= 10.0 => write!(f, "{v:.0} ms"),
            v => write!(f, "{v:.1} ms"),
        }
    }
}
