//! Evidence of a migration that went well, for tests to spoil.
//!
//! `src` on node a is captured as `before` at 10 ms, frozen at 40 ms, checkpointed until 60 ms, carried until 65 ms and
//! restored as `copy` on node b by 80 ms; the counter steps every millisecond and stood at 40 when frozen.

use super::judge;
use crate::record::*;
use std::collections::BTreeMap;

pub(super) const MS: u64 = 1_000_000;

pub(super) fn at(ms: u64) -> At {
    At(ms * MS)
}

/// Acknowledged at `done` ns, sent and due 0.2 ms before.
pub(super) fn op(key: u64, done: u64, value: u64, endpoint: u32) -> Op {
    let due = At(done.saturating_sub(MS / 5));
    Op { intended: due, sent: due, done: At(done), outcome: OpOutcome::Ok, key, value, endpoint }
}

pub(super) fn outside(state: &str, frozen: bool) -> OutsideReport {
    OutsideReport {
        engine_state: state.to_owned(),
        engine_says: None,
        frozen: Some(frozen),
        pid_inside: Some(1),
        comm: Some("counter".to_owned()),
        argv: vec!["/counter".to_owned(), "--interval".to_owned(), "1ms".to_owned()],
        processes: Some(1),
        address: Some("10.0.1.2".to_owned()),
        ..OutsideReport::default()
    }
}

pub(super) fn captured(name: &str, instance: &str, ms: u64, counter: u64) -> Capture {
    let inside = SelfReport {
        held: None,
        pair: None,
        nonce: Some("4f2a".to_owned()),
        counter: Some(counter),
        counter_interval_ms: Some(1.0),
        journal: Some((1..=counter).collect()),
        memory_hash: Some("c0ffee".to_owned()),
        damage: None,
        boot: BTreeMap::from([("pid".to_owned(), "1".to_owned()), ("started".to_owned(), "7".to_owned())]),
    };
    Capture {
        name: name.to_owned(),
        instance: instance.to_owned(),
        at: at(ms),
        inside: Some(inside),
        outside: Some(outside("running", false)),
        log: None,
    }
}

fn instance(name: &str, node: &str, restored_from: Option<&str>, ms: u64) -> InstanceRecord {
    InstanceRecord {
        name: name.to_owned(),
        workload: "counter".to_owned(),
        node: node.to_owned(),
        container_id: format!("{name}-id"),
        restored_from: restored_from.map(str::to_owned),
        started: at(ms),
        ended: None,
    }
}

fn phase(phase: Phase, node: &str, from: u64, to: u64) -> PhaseSpan {
    PhaseSpan { phase, node: node.to_owned(), step: 2, from: at(from), to: at(to) }
}

fn endpoint(instance: &str, ms: u64) -> EndpointChange {
    EndpointChange { at: at(ms), instance: instance.to_owned(), address: "10.0.1.2:6379".to_owned() }
}

/// A history of a client that `src` answers until 39 ms and `copy` from 80 to 199 ms, each millisecond.
fn history(kind: &str, value: impl Fn(u64) -> u64) -> History {
    let ops =
        (0..40).chain(80..200).enumerate().map(|(i, ms)| op(i as u64, ms * MS, value(i as u64), u32::from(ms >= 80)));
    History {
        kind: kind.to_owned(),
        interval_ns: MS,
        endpoints: vec![endpoint("src", 0), endpoint("copy", 79)],
        ops: ops.collect(),
        final_journal: (kind == "redis-writer").then(|| (0..160).collect()),
        worst_lateness_ns: 120_000,
        ended_early: None,
        connections: vec![
            Connection { from: at(0), ended: Some((at(79), ConnectionEnd::Left)) },
            Connection { from: at(79), ended: None },
        ],
    }
}

pub(crate) fn evidence() -> Evidence {
    let checkpoint = CheckpointRecord {
        name: "cp".to_owned(),
        of: "src".to_owned(),
        node: "a".to_owned(),
        engine: EngineKind::Runc,
        from: at(41),
        to: at(60),
        bytes: 3 << 20,
        digest: "sha256:1".to_owned(),
        criu_frozen_us: Some(15_000),
        criu_pages_written: Some(700),
        trailing_bytes: None,
        parts: Vec::new(),
    };
    let transfer = TransferRecord {
        checkpoint: "cp".to_owned(),
        from_node: "a".to_owned(),
        to_node: "b".to_owned(),
        via: "file".to_owned(),
        bytes: 3 << 20,
        from: at(60),
        to: at(65),
    };
    let migration = MigrationRecord {
        step: "migrate".to_owned(),
        of: "src".to_owned(),
        into: "copy".to_owned(),
        from_node: "a".to_owned(),
        to_node: "b".to_owned(),
        source: SourceFate::Fenced,
        triggered: at(35),
        answered: Some(at(80)),
        error: None,
        strategy: None,
        moved: Some(3 << 20),
        sent: Some(4 << 20),
        pages_arrived: None,
    };
    Evidence {
        instances: vec![instance("src", "a", None, 0), instance("copy", "b", Some("cp"), 80)],
        captures: vec![captured("before", "src", 10, 10), captured("final:copy", "copy", 205, 165)],
        histories: BTreeMap::from([
            ("writer".to_owned(), history("redis-writer", |i| i + 1)),
            ("reader".to_owned(), history("counter-reader", |i| i)),
        ]),
        checkpoints: vec![checkpoint],
        transfers: vec![transfer],
        migrations: vec![migration],
        phases: vec![
            phase(Phase::Freeze, "a", 39, 40),
            phase(Phase::Checkpoint, "a", 41, 60),
            phase(Phase::Transfer, "b", 60, 65),
            phase(Phase::Create, "b", 65, 67),
            phase(Phase::Restore, "b", 70, 80),
        ],
        faults: Vec::new(),
        steps: Vec::new(),
        metrics: BTreeMap::from([("downtime".to_owned(), vec![40.0, 42.0, 41.0, 80.0])]),
    }
}

pub(super) fn passes(check: &CheckSpec, evidence: &Evidence) -> String {
    let verdict = judge(check, evidence);
    assert!(verdict.passed && verdict.wanted.is_none(), "{verdict:?}");
    verdict.seen
}

/// What was seen and wanted.
pub(super) fn fails(check: &CheckSpec, evidence: &Evidence) -> String {
    let verdict = judge(check, evidence);
    assert!(!verdict.passed, "{verdict:?}");
    format!("{}; wanted: {}", verdict.seen, verdict.wanted.expect("a failed check says what it wanted"))
}

/// Of evidence that a test spoils.
pub(super) fn spoiled(spoil: impl FnOnce(&mut Evidence)) -> Evidence {
    let mut e = evidence();
    spoil(&mut e);
    e
}

/// Of nothing at all, every check fails.
#[test]
fn nothing_proves_nothing() {
    let s = || "copy".to_owned();
    let specs = [
        CheckSpec::Counter(CounterCheck { of: s(), resumes_from: "before".to_owned(), tolerance: 9 }),
        CheckSpec::AckedWrites(AckedWritesCheck {
            client: "writer".to_owned(),
            lost: LossPolicy::Counted,
            duplicated: 9,
            at_least: 0,
        }),
        CheckSpec::SameProcess(SameProcessCheck { of: s(), as_of: "before".to_owned(), memory: false }),
        CheckSpec::Exclusive(ExclusiveCheck { between: vec!["src".to_owned(), s()], overlap_ms: 1e9 }),
        CheckSpec::Instance(InstanceCheck {
            of: s(),
            state: InstanceExpectation::Absent,
            progressed_since: None,
            at: None,
            engine_says: None,
            mounted: None,
            reason: None,
        }),
        CheckSpec::Faster(FasterCheck { step: s(), than: s(), times: 1.1 }),
        CheckSpec::WorkLost(WorkLostCheck { of: s(), since: "src".to_owned(), at_most: None }),
        CheckSpec::Log(LogCheck { of: s(), at: None, each_once: false, keeps: None }),
        CheckSpec::Archive(ArchiveCheck { of: "cp".to_owned() }),
        CheckSpec::Consistent(ConsistentCheck { of: "pod".to_owned(), containers: vec![s()] }),
        CheckSpec::Connection(ConnectionCheck {
            client: "writer".to_owned(),
            step: "migrate".to_owned(),
            state: ConnectionExpectation::Closed,
            slack_ms: 1e9,
        }),
        CheckSpec::Error(ErrorCheck { step: "restore".to_owned(), class: ErrorClass::Other, text: None }),
        CheckSpec::Budget(BudgetCheck { metric: Metric::Downtime, bounds: vec![(50.0, 1e9)] }),
    ];
    for spec in specs {
        fails(&spec, &Evidence::default());
    }
}
