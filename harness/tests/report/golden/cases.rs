use super::client::Load;
use super::events::{Script, StepEnd, at, origin};
use podferry::record::{
    AckedWritesCheck, ArchivePart, BudgetCheck, Capture, Check, CheckRecord, CheckSpec, CheckpointRecord, CounterCheck,
    EngineKind, ErrorCheck, ErrorClass, Event, Failure, InstanceRecord, Leak, LossPolicy, Metric, MigrationRecord,
    Outcome, OutsideReport, PartKind, Phase, SameProcessCheck, SelfReport, SourceFate, TransferRecord, Verdict,
};

const FENCED: &str = "redis-migrates[engine=cri,data=64Mi]";
pub(crate) const UNFENCED: &str = "redis-migrates-unfenced[engine=runc,data=64Mi]";
pub(crate) const RESTORE_FAILS: &str = "redis-migrates[engine=cri,data=512Mi]";
const COLD_START: &str = "counter-migrates[engine=cri]";
const TRUNCATED: &str = "truncated-archive[engine=runc]";
const ERRORED: &str = "nginx-migrates[engine=cri]";
const SKIPPED: &str = "looper-migrates[engine=crun]";
const LEAKED: &str = "three-restores[engine=runc]";

pub(crate) fn plan_all(s: &mut Script) {
    use EngineKind::{Cri, Crun, Runc};
    s.plan(FENCED, "redis moves under write load and loses nothing", Cri, &[("data", "64Mi")], 1);
    s.plan(UNFENCED, "redis moves unfenced; the loss is counted", Runc, &[("data", "64Mi")], 1);
    s.plan(RESTORE_FAILS, "redis moves under write load and loses nothing", Cri, &[("data", "512Mi")], 1);
    s.plan(COLD_START, "a counter goes on from its checkpoint", Cri, &[], 1);
    s.plan(TRUNCATED, "a truncated archive is refused, and the source goes on", Runc, &[], 1);
    s.plan(ERRORED, "nginx moves", Cri, &[], 1);
    s.plan(SKIPPED, "the busybox loop counts on", Crun, &[], 1);
    s.plan(LEAKED, "one checkpoint, three restores", Runc, &[], 1);
}

/// The histories of a case.
pub(crate) fn loads(case: &str) -> Vec<(&'static str, Load)> {
    let load = |from, count, away, back, returns, lost| Load {
        kind: "redis-writer",
        instances: ["redis", "redis-moved"],
        from,
        count,
        away,
        back,
        returns,
        lost,
    };
    match case {
        FENCED => vec![("writer", load(2_000.0, 1_400, 2_600.0, 2_741.0, true, 0))],
        UNFENCED => vec![("writer", load(5_000.0, 1_400, 5_700.0, 5_796.0, true, 37))],
        RESTORE_FAILS => vec![("writer", load(9_000.0, 1_042, 9_900.0, 0.0, false, 0))],
        _ => Vec::new(),
    }
}

pub(crate) fn fenced_migration(s: &mut Script) {
    s.start(FENCED, 1_000.0);
    deploy(s, "redis", "a", "f1c3d2", None, SelfReport { nonce: Some("n-77aa".to_owned()), ..SelfReport::default() });
    s.now = 2_000.0;
    s.step(1, "load", "start client writer", 2.0, StepEnd::Fine);
    s.now = 2_380.0;
    migrate(s, "fenced", 380.0);
    s.phases(
        2,
        &[
            (Phase::Prepare, "b", 2_384.0, 208.0),
            (Phase::Freeze, "a", 2_599.0, 4.0),
            (Phase::Checkpoint, "a", 2_603.0, 61.0),
            (Phase::Digest, "a", 2_664.0, 9.0),
            (Phase::Transfer, "b", 2_664.0, 12.0),
            (Phase::Create, "b", 2_676.0, 24.0),
            (Phase::Restore, "b", 2_700.0, 38.0),
            (Phase::FirstAnswer, "b", 2_738.0, 2.8),
            (Phase::StopSource, "a", 2_742.0, 15.0),
        ],
    );
    s.now = 2_741.0;
    end_of_migration(s, 2_380.0, 2_741.0, SourceFate::Fenced, 68_157_440);
    s.now = 3_420.0;
    s.say(Event::InstanceEnded { name: "redis".to_owned() });
    finals(s, ("redis", None), ("redis-moved", Some("running")));
    s.say(Event::File { path: "cases/01/clients/writer.ops".to_owned() });
    s.say(Event::File { path: "cases/01/dump.log".to_owned() });
    s.metric("downtime", &[139.2, 141.0, 152.6]);
    s.metric("freeze", &[68.0, 70.1, 74.4]);
    s.metric("checkpoint", &[60.2, 61.0, 66.3]);
    s.metric("restore", &[60.9, 62.0, 71.5]);
    s.metric("total", &[355.0, 361.0, 378.0]);
    s.metric("checkpoint-size", &[68_157_440.0, 68_157_440.0, 68_161_536.0]);
    acked(s, LossPolicy::None, true, "1398 writes acknowledged, none lost, none twice", None);
    same_process(s, true, "nonce n-77aa, PID 1, comm redis-server, as before", None);
    budget(s, 2_000.0, "downtime p50 141 ms over 3 repetitions");
    s.finish(Outcome::Passed, None);
}

pub(crate) fn unfenced_migration(s: &mut Script) {
    s.start(UNFENCED, 4_200.0);
    deploy(s, "redis", "a", "c2r0-redis", None, SelfReport::default());
    s.now = 5_000.0;
    s.step(1, "load", "start client writer", 2.0, StepEnd::Fine);
    s.now = 5_550.0;
    migrate(s, "unfenced", 262.0);
    s.phases(
        2,
        &[
            (Phase::Prepare, "b", 5_552.0, 40.0),
            (Phase::Freeze, "a", 5_660.0, 2.0),
            (Phase::Checkpoint, "a", 5_662.0, 48.0),
            (Phase::Restore, "b", 5_728.0, 64.0),
            (Phase::FirstAnswer, "b", 5_792.0, 3.5),
            (Phase::StopSource, "a", 5_700.0, 22.0),
        ],
    );
    end_of_migration(s, 5_550.0, 5_796.0, SourceFate::Stopped, 67_895_296);
    s.now = 6_420.0;
    finals(s, ("redis", None), ("redis-moved", Some("running")));
    s.metric("downtime", &[96.4]);
    acked(s, LossPolicy::Counted, true, "1398 writes acknowledged, 37 lost (keys 663 to 699), none twice", None);
    s.finish(Outcome::Passed, None);
}

pub(crate) fn failed_restore(s: &mut Script) {
    s.start(RESTORE_FAILS, 8_000.0);
    deploy(s, "redis", "a", "9b1e44", None, SelfReport::default());
    s.now = 9_000.0;
    s.step(1, "load", "start client writer", 2.0, StepEnd::Fine);
    s.now = 9_700.0;
    let failure = Failure {
        class: ErrorClass::RestoreFailed,
        message: "starting container redis-moved on b: restoring from checkpoint: criu failed: exit status 1"
            .to_owned(),
        hint: Some(
            "the nodes run different criu builds: compare `components`, or restore on the node that dumped".to_owned(),
        ),
        log: [
            "(00.018236) pie: 52: Error (criu/pie/restorer.c:2109): Unable to restore robust list: -22",
            "(00.018911) Error (criu/cr-restore.c:1498): 52 exited, status=1",
            "(00.019440) Error (criu/cr-restore.c:2572): Restoring FAILED.",
        ]
        .map(str::to_owned)
        .to_vec(),
    };
    s.phases(
        2,
        &[
            (Phase::Prepare, "b", 9_704.0, 190.0),
            (Phase::Freeze, "a", 9_899.0, 3.0),
            (Phase::Checkpoint, "a", 9_902.0, 412.0),
            (Phase::Transfer, "b", 10_314.0, 88.0),
            (Phase::Create, "b", 10_402.0, 31.0),
        ],
    );
    checkpoint(s, 9_700.0, EngineKind::Cri, 539_219_968);
    s.step(2, "move", "migrate redis to b, fenced", 842.0, StepEnd::Failed(failure));
    s.say(Event::Migration(MigrationRecord {
        step: "move".to_owned(),
        of: "redis".to_owned(),
        into: "redis-moved".to_owned(),
        from_node: "a".to_owned(),
        to_node: "b".to_owned(),
        source: SourceFate::Fenced,
        triggered: at(9_700.0),
        answered: None,
        error: Some(ErrorClass::RestoreFailed),
        strategy: None,
        moved: None,
        sent: None,
        pages_arrived: None,
    }));
    s.now = 10_600.0;
    capture(s, "final:redis", "redis", Some(("paused", true)), None);
    s.say(Event::File { path: "cases/03/restore.log".to_owned() });
    s.say(Event::File { path: "cases/03/nodes/b/containerd.log".to_owned() });
    s.finish(
        Outcome::Failed,
        Some("starting container redis-moved on b: restoring from checkpoint: criu failed: exit status 1"),
    );
}

pub(crate) fn cold_start(s: &mut Script) {
    s.start(COLD_START, 11_000.0);
    let was = SelfReport { nonce: Some("n-1".to_owned()), counter: Some(41), ..SelfReport::default() };
    deploy(s, "counter", "a", "77", None, was);
    s.step(1, "move", "migrate counter to b, stopped", 301.0, StepEnd::Fine);
    instance(s, "counter-moved", "counter", "b", "78", Some("counter@1"));
    let is = SelfReport { nonce: Some("n-2".to_owned()), counter: Some(3), ..SelfReport::default() };
    capture(s, "final:counter-moved", "counter-moved", Some(("running", false)), Some(is));
    check(
        s,
        CheckSpec::Counter(CounterCheck {
            of: "counter-moved".to_owned(),
            resumes_from: "before".to_owned(),
            tolerance: 2,
        }),
        verdict(false, "counter-moved began at 0", Some("a value of at least 41, which the capture `before` saw")),
    );
    same_process(s, false, "nonce n-2, before it was n-1: a cold start", Some("nonce n-1"));
    s.finish(Outcome::Failed, None);
}

pub(crate) fn truncated_archive(s: &mut Script) {
    s.start(TRUNCATED, 12_000.0);
    deploy(s, "counter", "a", "c5r0-counter", None, SelfReport::default());
    let failure = Failure {
        class: ErrorClass::InvalidArchive,
        message: "restoring cut-short on b: pages-1.img: 4096 bytes, 1204224 were written".to_owned(),
        hint: None,
        log: Vec::new(),
    };
    s.step(1, "bad", "restore cut-short on b as copy", 12.0, StepEnd::Expected(failure));
    let spec = ErrorCheck { step: "bad".to_owned(), class: ErrorClass::InvalidArchive, text: None };
    check(s, CheckSpec::Error(spec), verdict(true, "step `bad` failed with invalid-archive", None));
    s.finish(Outcome::Passed, None);
}

pub(crate) fn errored(s: &mut Script) {
    s.start(ERRORED, 13_000.0);
    let failure = Failure {
        class: ErrorClass::DaemonGone,
        message: "containerd on a: no answer on /run/containerd/containerd.sock within 10 s".to_owned(),
        hint: Some("see nodes/a/containerd.log".to_owned()),
        log: vec!["level=fatal msg=\"failed to mount /var/lib/containerd: no space left on device\"".to_owned()],
    };
    s.step(0, "deploy", "deploy nginx on a", 10_000.0, StepEnd::Failed(failure));
    let reason = "containerd on a: no answer on /run/containerd/containerd.sock within 10 s";
    s.finish(Outcome::Errored, Some(reason));
}

pub(crate) fn skipped(s: &mut Script) {
    s.start(SKIPPED, 23_100.0);
    s.finish(
        Outcome::Skipped,
        Some("crun 1.28 on node a was built without CRIU support (`crun --version` lists no +CRIU)"),
    );
}

pub(crate) fn leaked(s: &mut Script) {
    s.start(LEAKED, 23_200.0);
    s.step(0, "deploy", "deploy counter on a", 160.0, StepEnd::Fine);
    s.say(Event::Leaked(Leak {
        kind: "container".to_owned(),
        name: "copy-2 on b".to_owned(),
        reason: "runc delete: container is still running after SIGKILL (task in state D)".to_owned(),
    }));
    s.finish(Outcome::Leaked, Some("left behind: container copy-2 on b"));
}

fn deploy(s: &mut Script, name: &str, node: &str, id: &str, from: Option<&str>, inside: SelfReport) {
    s.step(0, "deploy", &format!("deploy {name} on {node}"), 340.0, StepEnd::Fine);
    instance(s, name, name, node, id, from);
    capture(s, "before", name, Some(("running", false)), Some(inside));
}

fn instance(s: &mut Script, name: &str, workload: &str, node: &str, id: &str, from: Option<&str>) {
    s.say(Event::Instance(InstanceRecord {
        name: name.to_owned(),
        workload: workload.to_owned(),
        node: node.to_owned(),
        container_id: id.to_owned(),
        restored_from: from.map(str::to_owned),
        started: at(s.now),
        ended: None,
    }));
}

fn capture(s: &mut Script, name: &str, of: &str, outside: Option<(&str, bool)>, inside: Option<SelfReport>) {
    let outside = outside.map(|(state, frozen)| OutsideReport {
        engine_state: state.to_owned(),
        frozen: Some(frozen),
        pid_inside: Some(1),
        ..OutsideReport::default()
    });
    s.say(Event::Capture(Box::new(Capture {
        name: name.to_owned(),
        instance: of.to_owned(),
        at: at(s.now),
        inside,
        outside,
        log: None,
    })));
}

fn finals(s: &mut Script, source: (&str, Option<&str>), copy: (&str, Option<&str>)) {
    for (name, state) in [source, copy] {
        let inside = state.map(|_| SelfReport::default());
        capture(s, &format!("final:{name}"), name, state.map(|st| (st, false)), inside);
    }
}

fn migrate(s: &mut Script, how: &str, took: f64) {
    s.step(2, "move", &format!("migrate redis to b, {how}"), took, StepEnd::Fine);
}

fn parts(bytes: u64) -> Vec<ArchivePart> {
    let part = |kind, files, bytes| ArchivePart { kind, files, bytes };
    vec![
        part(PartKind::Memory, 1, bytes - (1 << 19)),
        part(PartKind::Images, 31, 1 << 18),
        part(PartKind::Logs, 2, 1 << 17),
        part(PartKind::Rest, 3, 14_208),
        part(PartKind::Files, 1, 1_180),
    ]
}

fn checkpoint(s: &mut Script, triggered: f64, engine: EngineKind, bytes: u64) {
    s.say(Event::Checkpoint(CheckpointRecord {
        name: "redis@move".to_owned(),
        of: "redis".to_owned(),
        node: "a".to_owned(),
        engine,
        from: at(triggered + 223.0),
        to: at(triggered + 284.0),
        bytes,
        digest: format!("sha256:{}", "c0ffee".repeat(10)),
        criu_frozen_us: Some(41_230),
        criu_pages_written: Some(16_402),
        trailing_bytes: None,
        parts: parts(bytes),
    }));
}

fn end_of_migration(s: &mut Script, triggered: f64, answered: f64, source: SourceFate, bytes: u64) {
    let fenced = source == SourceFate::Fenced;
    let (via, moved, engine) = if fenced { ("file", bytes, EngineKind::Cri) } else { ("shared", 0, EngineKind::Runc) };
    checkpoint(s, triggered, engine, bytes);
    s.say(Event::Transfer(TransferRecord {
        checkpoint: "redis@move".to_owned(),
        from_node: "a".to_owned(),
        to_node: "b".to_owned(),
        via: via.to_owned(),
        bytes: moved,
        from: at(triggered + 284.0),
        to: at(triggered + 296.0),
    }));
    instance(s, "redis-moved", "redis", "b", "a77e01", Some("redis@move"));
    s.say(Event::Migration(MigrationRecord {
        step: "move".to_owned(),
        of: "redis".to_owned(),
        into: "redis-moved".to_owned(),
        from_node: "a".to_owned(),
        to_node: "b".to_owned(),
        source,
        triggered: at(triggered),
        answered: Some(at(answered)),
        error: None,
        strategy: None,
        moved: None,
        sent: None,
        pages_arrived: None,
    }));
}

fn verdict(passed: bool, seen: &str, wanted: Option<&str>) -> Verdict {
    Verdict { passed, seen: seen.to_owned(), wanted: wanted.map(str::to_owned) }
}

fn check(s: &mut Script, spec: CheckSpec, verdict: Verdict) {
    let origin = origin(s.scenario(), 40, 5);
    s.say(Event::Checked(CheckRecord { check: Check { origin, spec, violation: None }, verdict }));
}

fn acked(s: &mut Script, lost: LossPolicy, passed: bool, seen: &str, wanted: Option<&str>) {
    let spec = AckedWritesCheck { client: "writer".to_owned(), lost, duplicated: 0, at_least: 100 };
    check(s, CheckSpec::AckedWrites(spec), verdict(passed, seen, wanted));
}

fn same_process(s: &mut Script, passed: bool, seen: &str, wanted: Option<&str>) {
    let of = if s.scenario() == "counter-migrates" { "counter-moved" } else { "redis-moved" };
    let spec = SameProcessCheck { of: of.to_owned(), as_of: "before".to_owned(), memory: false };
    check(s, CheckSpec::SameProcess(spec), verdict(passed, seen, wanted));
}

fn budget(s: &mut Script, bound: f64, seen: &str) {
    let spec = BudgetCheck { metric: Metric::Downtime, bounds: vec![(50.0, bound)] };
    check(s, CheckSpec::Budget(spec), verdict(true, seen, None));
}
