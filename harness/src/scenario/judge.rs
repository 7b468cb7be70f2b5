//! Checks as written.

use super::examples;
use super::explain;
use super::field::Field;
use super::known::KnownIssue;
use super::place::Place;
use super::read::{Read, Reader, choice, error, shape};
use super::units::{Bound, Factor, Pattern};
use super::value::{Fixed, Name};
use super::yaml::Node;
use crate::record::{
    ConnectionExpectation, EndReason, EngineKind, EngineWord, ErrorClass, HeldExpectation, InstanceExpectation,
    LossPolicy, Metric,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;
use std::time::Duration;

/// A check, with its place.
#[derive(Clone, Debug)]
pub(super) struct WrittenCheck {
    pub(super) place: Place,
    pub(super) kind: CheckKind,
    /// What it must see, if it is to be violated.
    pub(super) expect: Option<ExpectViolation>,
    /// The engines that it is for; all of the scenario's if left out.
    pub(super) engines: Option<Vec<Fixed<EngineKind>>>,
    /// Failures of it that are known.
    pub(super) known_issues: Option<Vec<KnownIssue>>,
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
        /// What became of the TCP connection that a client had when a step began.
        "connection" => Connection(ConnectionOf),
        /// The containers of a pod that was restored are of one instant.
        "consistent" => Consistent(ConsistentOf),
        /// The numbers in an instance's log.
        "log" => Log(Log),
        /// The archive of a checkpoint ends where its entries end.
        "archive" => Archive(ArchiveOf),
        /// A step failed in a given way.
        "error" => Error(ErrorIs),
        /// A step took so many times less than another.
        "faster" => Faster(Faster),
        /// What an instance had done and its copy must do again.
        "workLost" => WorkLost(WorkLost),
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
        /// Why it has ended, for one that is `stopped`: `oom-killed`, `killed` or `exited`.
        "reason" => reason: Option<Field<EndReason>>,
        /// A capture of it to judge by; the end of the case if left out.
        "at" => at: Option<Name>,
        /// What the engine's own interface must say of it, be it true or not.
        "engineSays" => engine_says: Option<Field<EngineWord>>,
        /// A folder that must be a mount in it.
        "mounted" => mounted: Option<Field<String>>,
    }
}

shape! {
    /// Two steps compared by the time that each took.
    pub(super) struct Faster ("`faster`") {
        /// The id of the step that is to be faster.
        "step" => step: Name,
        /// The id of the step that it is compared with.
        "than" => than: Name,
        /// How many times at least.
        "times" => times: Field<Factor>,
    }
}

shape! {
    /// Work that is lost between a checkpoint and the end of its source.
    pub(super) struct WorkLost ("`workLost`") {
        /// The copy that was restored.
        "of" => of: Name,
        /// The source, of which something must have been seen after its checkpoint: a client's answers, a capture.
        "since" => since: Name,
        /// How many counts at most; any number if left out, and it is reported.
        "atMost" => at_most: Option<Field<u64>>,
    }
}

shape! {
    /// The log of an instance whose lines end in numbers. At least one of `eachOnce` and `keeps`.
    pub(super) struct Log ("`log`") {
        /// The instance.
        "of" => of: Name,
        /// A capture of it to judge by; the end of the case if left out.
        "at" => at: Option<Name>,
        /// Whether each number must be there once, one after the other; `false` if left out.
        "eachOnce" => each_once: Option<Field<bool>>,
        /// A capture of its source: what its log held then is in this one.
        "keeps" => keeps: Option<Name>,
    }
}

shape! {
    /// The archive of a checkpoint.
    pub(super) struct ArchiveOf ("`archive`") {
        /// The checkpoint.
        "of" => of: Name,
    }
}

shape! {
    /// What a check must come out with that is to be violated.
    pub(super) struct ExpectViolation ("`expect`") {
        /// A regular expression that what it sees must match. That the check holds is a failure.
        "violation" => violation: Field<Pattern>,
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
    /// The connection of a client.
    pub(super) struct ConnectionOf ("`connection`") {
        /// The client.
        "client" => client: Name,
        /// The id of the step.
        "step" => step: Name,
        /// What became of it: `kept`, the same connection goes on with the copy; `closed` by the other end, and a new one
        /// was answered; `refused`, the dump failed for it (`connected-tcp`), and it goes on with the source.
        "state" => state: Field<ConnectionExpectation>,
        /// For `kept`: how much longer an answer may take than the workload stood still, from the call that froze it to
        /// the end of the restore call; 50ms if left out.
        "slack" => slack: Option<Field<Duration>>,
    }
}

shape! {
    /// A pod whose containers say what they find of each other (`exchange`).
    pub(super) struct ConsistentOf ("`consistent`") {
        /// The pod, after it was moved.
        "of" => of: Name,
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
        /// All are at least this: what took less did not do what it should.
        "min" => min: Option<Field<Bound>>,
    }
}

impl Budget {
    /// The bounds that are given, by percentile.
    pub(super) fn bounds(&self) -> impl Iterator<Item = (f64, &Field<Bound>)> {
        let all = [
            (0.0, &self.min),
            (50.0, &self.p50),
            (90.0, &self.p90),
            (95.0, &self.p95),
            (99.0, &self.p99),
            (100.0, &self.max),
        ];
        all.into_iter().filter_map(|(p, bound)| bound.as_ref().map(|b| (p, b)))
    }
}

impl WrittenCheck {
    /// Whether it is for cases of this engine.
    pub(super) fn is_for(&self, engine: EngineKind) -> bool {
        self.engines.as_ref().is_none_or(|engines| engines.iter().any(|e| e.value == engine))
    }

    /// The names that it refers to.
    pub(super) fn names(&self) -> Vec<&str> {
        let names: Vec<&Name> = match &self.kind {
            CheckKind::Counter(c) => vec![&c.of, &c.resumes_from],
            CheckKind::AckedWrites(a) => vec![&a.client],
            CheckKind::SameProcess(s) => vec![&s.of, &s.as_of],
            CheckKind::Exclusive(e) => e.between.iter().collect(),
            CheckKind::Instance(i) => std::iter::once(&i.of).chain(&i.progressed_since).chain(&i.at).collect(),
            CheckKind::Held(h) => vec![&h.of],
            CheckKind::Consistent(c) => vec![&c.of],
            CheckKind::Connection(c) => vec![&c.client, &c.step],
            CheckKind::Log(l) => std::iter::once(&l.of).chain(&l.at).chain(&l.keeps).collect(),
            CheckKind::Archive(a) => vec![&a.of],
            CheckKind::Error(e) => vec![&e.step],
            CheckKind::Faster(f) => vec![&f.step, &f.than],
            CheckKind::WorkLost(w) => vec![&w.of, &w.since],
            CheckKind::Budget(_) => Vec::new(),
        };
        names.into_iter().map(Name::text).collect()
    }
}

/// What may stand beside the kind of a check.
const EXPECT: &str = "expect";
const ENGINES: &str = "engines";
const KNOWN: &str = "knownIssues";
pub(super) const BESIDE: &[&str] = &[EXPECT, ENGINES, KNOWN];

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
            } else if !BESIDE.contains(&key) {
                r.tell(entry.0.place, examples::no_check(key, super::read::nearest(key, BESIDE)));
            }
        }
        if let Some((second, _)) = known.get(1) {
            let finding =
                error(explain::NO_ACTION, format!("a check looks at one thing; here is `{}` too", second.text));
            r.tell(second.place, finding.label("the second one").help("make two checks of it"));
        } else if known.is_empty() && entries.iter().all(|(k, _)| BESIDE.contains(&k.text.as_str())) {
            let finding = error(explain::NO_ACTION, "this check looks at nothing");
            r.tell(node.place, finding.help(format!("add one of {}", super::read::quoted(CheckKind::KEYS))));
        }
        let beside = r.checked(entries, node.place, "a check");
        let (expect, engines) = (beside.take(EXPECT, r)?, beside.take(ENGINES, r)?);
        let known_issues = beside.take(KNOWN, r)?;
        let (key, value) = known.first()?;
        if let Some(finding) = examples::no_such_check(&key.text, value) {
            r.tell(key.place, finding);
            r.lose(value);
            return None;
        }
        let kind = CheckKind::read_as(key, value, r)?;
        let spoiled = r.diagnostics.len() > before;
        Some(WrittenCheck { place: key.place, kind, expect, engines, known_issues, spoiled })
    }
}

impl JsonSchema for WrittenCheck {
    fn schema_name() -> Cow<'static, str> {
        "Check".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds = CheckKind::json_schema(generator);
        let mut expect = generator.subschema_for::<ExpectViolation>();
        expect.insert("description".into(), "The check must be violated so: pins what the stack does wrong.".into());
        let mut engines = generator.subschema_for::<Vec<EngineKind>>();
        engines.insert(
            "description".into(),
            "The engines that the check is for; all of the scenario's if left out.".into(),
        );
        let mut known = generator.subschema_for::<Vec<KnownIssue>>();
        let about = "Failures of this check that are known: they end the case as `known`, not as failed.";
        known.insert("description".into(), about.into());
        let around = schemars::json_schema!({
            "type": "object",
            "properties": {EXPECT: expect, ENGINES: engines, KNOWN: known},
            "additionalProperties": false,
        });
        let about = "Something that must be true: one thing to look at.";
        super::schema::with_one_of(around, &kinds, CheckKind::KEYS, about)
    }
}
