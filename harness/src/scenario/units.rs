//! Sizes, times, rates, counts and words: what [`Scalar`]s there are.

use super::explain;
use super::plan::{
    Address, ClientKind, CriuFault, DiskOf, HostTrait, ImageFault, LinkFault, Medium, Over, PodFreeze, Role,
    RuntimeCall, Stage, Weight,
};
use super::value::Scalar;
use crate::record::{
    ConnectionExpectation, EndReason, EngineKind, EngineWord, ErrorClass, HeldExpectation, InstanceExpectation,
    LossPolicy, Metric, SourceFate, Strategy, TcpChoice, Tier,
};
use std::time::Duration;

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl Scalar for Size {
    const WHAT: &'static str = "a size such as `64Mi`";

    fn parse(text: &str) -> Option<Self> {
        let (digits, unit) = split_number(text)?;
        let factor = match unit {
            "" | "B" => 1,
            "Ki" | "KiB" => 1 << 10,
            "Mi" | "MiB" => 1 << 20,
            "Gi" | "GiB" => 1 << 30,
            _ => return None,
        };
        digits.parse::<u64>().ok()?.checked_mul(factor).map(Size)
    }

    fn pattern() -> Option<&'static str> {
        Some("^[0-9]+([KMG]iB?|B)?$")
    }
}

/// Bytes, from a size as scenarios write it: `64Mi`.
pub fn size(text: &str) -> Option<u64> {
    Size::parse(text).map(|size| size.0)
}

/// A time, as scenarios write it: `250ms`.
pub fn duration(text: &str) -> Option<Duration> {
    Duration::parse(text)
}

fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Digits with at most one point between them.
fn decimal(digits: &str) -> Option<f64> {
    digits.parse::<f64>().ok().filter(|v| v.is_finite() && digits.starts_with(|c: char| c.is_ascii_digit()))
}

impl Scalar for Duration {
    const WHAT: &'static str = "a time such as `250ms` or `2s`";

    fn parse(text: &str) -> Option<Self> {
        let (digits, unit) = split_number(text)?;
        let seconds = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        // A thousand hours: enough for any run, and far from where arithmetic on time overflows.
        Some(decimal(digits)? * seconds).filter(|s| *s <= 3.6e6).map(Duration::from_secs_f64)
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^[0-9]+(\.[0-9]+)?(us|ms|s|m|h)$")
    }
}

impl Scalar for LinkFault {
    const WHAT: &'static str = "`cut`, or bytes a second such as `10Mi/s`";

    fn parse(text: &str) -> Option<Self> {
        if text == "cut" {
            return Some(LinkFault::Cut);
        }
        Size::parse(text.strip_suffix("/s")?).map(|size| LinkFault::Slow(size.0))
    }

    fn pattern() -> Option<&'static str> {
        Some("^(cut|[0-9]+([KMG]iB?|B)?/s)$")
    }
}

/// Operations a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate(pub(super) f64);

impl Scalar for Rate {
    const WHAT: &'static str = "a rate such as `1000/s`, above 0 and at most `100000/s`";

    fn parse(text: &str) -> Option<Self> {
        let rate = decimal(text.strip_suffix("/s")?)?;
        (rate > 0.0 && rate <= 100_000.0).then_some(Rate(rate))
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^[0-9]+(\.[0-9]+)?/s$")
    }
}

impl Scalar for u64 {
    const WHAT: &'static str = "a count such as `200`";

    fn parse(text: &str) -> Option<Self> {
        text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
    }

    fn pattern() -> Option<&'static str> {
        Some("^[0-9]+$")
    }
}

/// The number of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User(pub(super) u32);

impl Scalar for User {
    const WHAT: &'static str = "the number of a user, such as `1000`";

    fn parse(text: &str) -> Option<Self> {
        u64::parse(text).and_then(|n| u32::try_from(n).ok()).map(User)
    }

    fn pattern() -> Option<&'static str> {
        Some("^[0-9]+$")
    }
}

/// How often something is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times(pub(super) u32);

impl Scalar for Times {
    const WHAT: &'static str = "a number of repetitions, at most `10000`";

    fn parse(text: &str) -> Option<Self> {
        u64::parse(text).filter(|n| *n <= 10_000).map(|n| Times(n as u32))
    }

    fn pattern() -> Option<&'static str> {
        Some("^[0-9]+$")
    }
}

impl Scalar for Weight {
    const WHAT: &'static str = "a weight: `exclusive`, or a number of jobs from `1` to `16`";

    fn parse(text: &str) -> Option<Self> {
        if text == "exclusive" {
            return Some(Weight::Exclusive);
        }
        u64::parse(text).filter(|n| (1..=16).contains(n)).map(|n| Weight::Of(n as u32))
    }

    fn pattern() -> Option<&'static str> {
        Some("^(exclusive|[1-9]|1[0-6])$")
    }
}

/// How many times something is more than something else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Factor(pub(super) f64);

impl Scalar for Factor {
    const WHAT: &'static str = "a factor above 1 such as `3` or `2.5`";

    fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        decimal(text).filter(|f| plain && *f > 1.0 && *f <= 1e6).map(Factor)
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^[0-9]+(\.[0-9]+)?$")
    }
}

impl Scalar for bool {
    const WHAT: &'static str = "`true` or `false`";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn pattern() -> Option<&'static str> {
        Some("^(true|false)$")
    }
}

impl Scalar for String {
    const WHAT: &'static str = "a text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// A TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Port(pub(super) u16);

impl Scalar for Port {
    const WHAT: &'static str = "a port from `1` to `65535`";

    fn parse(text: &str) -> Option<Self> {
        u64::parse(text).and_then(|n| u16::try_from(n).ok()).filter(|port| *port > 0).map(Port)
    }

    fn pattern() -> Option<&'static str> {
        Some("^[0-9]+$")
    }
}

/// A regular expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(pub(super) String);

impl Scalar for Pattern {
    const WHAT: &'static str = "a regular expression";

    fn parse(text: &str) -> Option<Self> {
        regex::Regex::new(text).ok().map(|_| Pattern(text.to_owned()))
    }
}

/// A bound of a budget: a time or a size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    Time(Duration),
    Bytes(u64),
}

impl Scalar for Bound {
    const WHAT: &'static str = "a time such as `250ms`, or for a size `64Mi`";

    fn parse(text: &str) -> Option<Self> {
        Duration::parse(text).map(Bound::Time).or_else(|| Size::parse(text).map(|s| Bound::Bytes(s.0)))
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^[0-9]+(\.[0-9]+)?([KMG]iB?|B|us|ms|s|m|h)?$")
    }
}

/// What is done to a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DamageKind {
    Truncate,
    Empty,
    Random,
    DropEntry,
    CutEntry,
    FlipBit,
    EscapingEntry,
    EscapingLink,
}

macro_rules! words {
    ($($ty:ty, $what:literal, $code:expr, { $($word:literal => $value:expr),* $(,)? };)*) => {$(
        impl Scalar for $ty {
            const WHAT: &'static str = $what;
            const CODE: &'static str = $code;

            fn parse(text: &str) -> Option<Self> {
                match text {
                    $($word => Some($value),)*
                    _ => None,
                }
            }

            fn words() -> Vec<&'static str> {
                vec![$($word),*]
            }
        }
    )*};
}

words! {
    SourceFate, "what becomes of the source", explain::INVALID_VALUE, {
        "running" => SourceFate::Running, "stopped" => SourceFate::Stopped, "fenced" => SourceFate::Fenced,
    };
    Address, "what becomes of the address", explain::INVALID_VALUE, {
        "new" => Address::New, "moved" => Address::Moved, "moved-late" => Address::MovedLate,
    };
    PodFreeze, "how a pod is frozen", explain::INVALID_VALUE, {
        "together" => PodFreeze::Together, "each" => PodFreeze::Each,
    };
    Medium, "a medium", explain::INVALID_VALUE, { "native" => Medium::Native, "image" => Medium::Image };
    LossPolicy, "what may be lost", explain::INVALID_VALUE, {
        "none" => LossPolicy::None, "counted" => LossPolicy::Counted, "some" => LossPolicy::Some,
    };
    TcpChoice, "what becomes of connections", explain::INVALID_VALUE, {
        "close" => TcpChoice::Close, "keep" => TcpChoice::Keep, "refuse" => TcpChoice::Refuse,
    };
    ConnectionExpectation, "what became of a connection", explain::INVALID_VALUE, {
        "kept" => ConnectionExpectation::Kept, "closed" => ConnectionExpectation::Closed,
        "refused" => ConnectionExpectation::Refused,
    };
    HeldExpectation, "what became of a thing", explain::INVALID_VALUE, {
        "kept" => HeldExpectation::Kept, "lost" => HeldExpectation::Lost,
    };
    InstanceExpectation, "a state of an instance", explain::INVALID_VALUE, {
        "running" => InstanceExpectation::Running, "frozen" => InstanceExpectation::Frozen,
        "stopped" => InstanceExpectation::Stopped, "created" => InstanceExpectation::Created,
        "absent" => InstanceExpectation::Absent,
    };
    EndReason, "why an instance has ended", explain::INVALID_VALUE, {
        "oom-killed" => EndReason::OomKilled, "killed" => EndReason::Killed, "exited" => EndReason::Exited,
    };
    HostTrait, "something that a host has or lacks", explain::INVALID_VALUE, {
        "cap-sys-resource" => HostTrait::CapSysResource,
    };
    DamageKind, "a kind of damage", explain::INVALID_VALUE, {
        "truncate" => DamageKind::Truncate, "empty" => DamageKind::Empty, "random" => DamageKind::Random,
        "drop-entry" => DamageKind::DropEntry, "cut-entry" => DamageKind::CutEntry, "flip-bit" => DamageKind::FlipBit,
        "escaping-entry" => DamageKind::EscapingEntry, "escaping-link" => DamageKind::EscapingLink,
    };
}

/// Kinds whose names are their own: by `name()`.
macro_rules! named {
    ($($ty:ty, $what:literal, $code:expr, $all:expr;)*) => {$(
        impl Scalar for $ty {
            const WHAT: &'static str = $what;
            const CODE: &'static str = $code;

            fn parse(text: &str) -> Option<Self> {
                $all.iter().copied().find(|v| v.name() == text)
            }

            fn words() -> Vec<&'static str> {
                $all.iter().map(|v| v.name()).collect()
            }
        }
    )*};
}

named! {
    EngineKind, "an engine", explain::UNKNOWN_ENGINE, EngineKind::ALL;
    ClientKind, "a kind of client", explain::INVALID_VALUE, [
        ClientKind::RedisWriter, ClientKind::CounterReader, ClientKind::TcpEcho, ClientKind::LogFollower,
    ];
    Role, "a process of a node", explain::INVALID_VALUE, Role::ALL;
    DiskOf, "what a disk is full for", explain::INVALID_VALUE, DiskOf::ALL;
    ImageFault, "what is wrong with an image", explain::INVALID_VALUE, ImageFault::ALL;
    CriuFault, "what is wrong with criu", explain::INVALID_VALUE, CriuFault::ALL;
    RuntimeCall, "a call of an OCI runtime", explain::INVALID_VALUE, RuntimeCall::ALL;
    Stage, "a stage", explain::INVALID_VALUE, Stage::ALL;
    Strategy, "a strategy of migration", explain::INVALID_VALUE, Strategy::ALL;
    Over, "a way", explain::INVALID_VALUE, Over::ALL;
    EngineWord, "a word of an engine", explain::INVALID_VALUE, EngineWord::ALL;
    Metric, "a metric", explain::INVALID_VALUE, Metric::ALL;
    Tier, "a tier of the suite", explain::INVALID_VALUE, Tier::ALL;
    ErrorClass, "a class of error", explain::INVALID_VALUE, super::classes::ALL;
}
