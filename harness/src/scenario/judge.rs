//! Checks as written.

use super::explain;
use super::place::Place;
use super::read::{Read, Reader, choice, error, shape};
use super::units::{Bound, Pattern};
use super::value::{Field, Name};
use super::yaml::Node;
use crate::record::{ErrorClass, HeldExpectation, InstanceExpectation, LossPolicy, Metric};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;
use std::time::Duration;

/// A check, with its place.
#[derive(Clone, Debug)]
pub(super) struct WrittenCheck {
    pub(super) place: Place,
    pub(super) kind: CheckKind,
    /// Whether something in it could not be read, which was told of.
    pub(super) spoiled: bool,
}

choice! {
    /// Something that must be true. Each is a function of what was recorded.
    pub(super) enum CheckKind {
        /// The counter of a restored instance goes on from a capture, each value once.
        "counter" => Counter(Counter),
        /// What a writer was told is written is there, once.
        "ackedWrites" => AckedWrites(AckedWrites),
        /// The restored process is the one that was checkpointed, not a cold start.
        "sameProcess" => SameProcess(SameProcess),
        /// Instances never serve at the same time.
        "exclusive" => Exclusive(Exclusive),
        /// An instance is in a state at the end.
        "instance" => Instance(Instance),
        /// What a workload holds was carried, or was not.
        "held" => Held(Held),
        /// A step failed in a given way.
        "error" => Error(ErrorIs),
        /// A figure stays below bounds.
        "budget" => Budget(Budget),
    }
}

shape! {
    /// A counter that goes on.
    pub(super) struct Counter ("`counter`") {
        /// The restored instance.
        "of" => of: Name,
        /// The capture of its source, taken before the checkpoint.
        "resumesFrom" => resumes_from: Name,
        /// Steps of the counter allowed beyond what the time between capture and checkpoint explains; 2 if left out.
        "tolerance" => tolerance: Option<Field<u64>>,
    }
}

shape! {
    /// Writes that were acknowledged.
    pub(super) struct AckedWrites ("`ackedWrites`") {
        /// The writer.
        "client" => client: Name,
        /// What may be lost: `none` (if left out), `counted` (any number, reported), `some` (at least one must be).
        "lost" => lost: Option<Field<LossPolicy>>,
        /// How many may be there twice; 0 if left out.
        "duplicated" => duplicated: Option<Field<u64>>,
        /// Fewest acknowledged writes that make the case worth judging; 1 if left out.
        "atLeast" => at_least: Option<Field<u64>>,
    }
}

shape! {
    /// One process that lives on.
    pub(super) struct SameProcess ("`sameProcess`") {
        /// The instance.
        "of" => of: Name,
        /// The capture of its source.
        "asOf" => as_of: Name,
        /// Whether the digest of its memory must be equal too; `false` if left out.
        "memory" => memory: Option<Field<bool>>,
    }
}

shape! {
    /// Instances that exclude each other.
    pub(super) struct Exclusive ("`exclusive`") {
        /// The instances; two at least.
        "between" => between: Vec<Name>,
        /// How long they may overlap; 0ms if left out.
        "overlap" => overlap: Option<Field<Duration>>,
    }
}

shape! {
    /// The state of an instance.
    pub(super) struct Instance ("`instance`") {
        /// The instance.
        "of" => of: Name,
        /// Its state at the end of the case.
        "state" => state: Field<InstanceExpectation>,
        /// A capture of it since which its counter must have grown: running is not enough.
        "progressedSince" => progressed_since: Option<Name>,
    }
}

shape! {
    /// What an instance holds (`hold` of the counter).
    pub(super) struct Held ("`held`") {
        /// The instance.
        "of" => of: Name,
        /// What became of it, found by using it: `kept` or `lost`.
        "state" => state: Field<HeldExpectation>,
    }
}

shape! {
    /// The error of a step.
    pub(super) struct ErrorIs ("`error`") {
        /// The step's id; the step itself must expect an error.
        "step" => step: Name,
        /// Its class.
        "class" => class: Field<ErrorClass>,
        /// A regular expression that its message must match.
        "text" => text: Option<Field<Pattern>>,
    }
}

shape! {
    /// Bounds on a figure, over the repetitions of a case. At least one bound.
    pub(super) struct Budget ("`budget`") {
        /// The figure.
        "metric" => metric: Field<Metric>,
        /// Half of the values are at most this.
        "p50" => p50: Option<Field<Bound>>,
        /// Nine of ten are at most this.
        "p90" => p90: Option<Field<Bound>>,
        /// 95 of 100 are at most this; wants 20 repetitions.
        "p95" => p95: Option<Field<Bound>>,
        /// 99 of 100 are at most this; wants 100 repetitions.
        "p99" => p99: Option<Field<Bound>>,
        /// All are at most this.
        "max" => max: Option<Field<Bound>>,
    }
}

impl Budget {
    /// The bounds that are given, by percentile.
    pub(super) fn bounds(&self) -> impl Iterator<Item = (f64, &Field<Bound>)> {
        let all = [(50.0, &self.p50), (90.0, &self.p90), (95.0, &self.p95), (99.0, &self.p99), (100.0, &self.max)];
        all.into_iter().filter_map(|(p, bound)| bound.as_ref().map(|b| (p, b)))
    }
}

impl WrittenCheck {
    /// The names that it refers to.
    pub(super) fn names(&self) -> Vec<&str> {
        let names: Vec<&Name> = match &self.kind {
            CheckKind::Counter(c) => vec![&c.of, &c.resumes_from],
            CheckKind::AckedWrites(a) => vec![&a.client],
            CheckKind::SameProcess(s) => vec![&s.of, &s.as_of],
            CheckKind::Exclusive(e) => e.between.iter().collect(),
            CheckKind::Instance(i) => std::iter::once(&i.of).chain(&i.progressed_since).collect(),
            CheckKind::Held(h) => vec![&h.of],
            CheckKind::Error(e) => vec![&e.step],
            CheckKind::Budget(_) => Vec::new(),
        };
        names.into_iter().map(Name::text).collect()
    }
}

impl Read for WrittenCheck {
    fn read(node: &Node, owner: Place, r: &mut Reader) -> Option<Self> {
        let entries = r.entries(node, owner, "a check")?;
        let before = r.diagnostics.len();
        let mut known: Vec<&(super::yaml::Key, Node)> = Vec::new();
        for entry in entries {
            let key = entry.0.text.as_str();
            if CheckKind::KEYS.contains(&key) {
                // Twice the same is told of as a repeated key.
                if known.iter().all(|(k, _)| k.text != key) {
                    known.push(entry);
                }
            } else {
                let finding = error(explain::UNKNOWN_ACTION, format!("there is no check `{key}`"));
                r.tell(entry.0.place, finding.meant(key, CheckKind::KEYS.iter().copied()));
            }
        }
        if let Some((second, _)) = known.get(1) {
            let finding =
                error(explain::NO_ACTION, format!("a check looks at one thing; here is `{}` too", second.text));
            r.tell(second.place, finding.label("the second one").help("make two checks of it"));
        } else if entries.is_empty() {
            let finding = error(explain::NO_ACTION, "this check looks at nothing");
            r.tell(node.place, finding.help(format!("add one of {}", super::read::quoted(CheckKind::KEYS))));
        }
        let (key, value) = known.first()?;
        let kind = CheckKind::read_as(key, value, r)?;
        Some(WrittenCheck { place: key.place, kind, spoiled: r.diagnostics.len() > before })
    }
}

impl JsonSchema for WrittenCheck {
    fn schema_name() -> Cow<'static, str> {
        "Check".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        CheckKind::json_schema(generator)
    }
}
