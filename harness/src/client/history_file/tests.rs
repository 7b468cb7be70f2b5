use super::*;
use crate::record::ConnectionEnd;
use nix::time::{ClockId, clock_gettime};
use proptest::prelude::*;
use std::time::Duration;

fn any_op() -> impl Strategy<Value = Op> {
    let outcome = prop::sample::select(vec![OpOutcome::Ok, OpOutcome::Error, OpOutcome::Unknown, OpOutcome::NotSent]);
    (any::<[u64; 5]>(), outcome, any::<u32>()).prop_map(|([a, b, c, key, value], outcome, endpoint)| Op {
        intended: At(a),
        sent: At(b),
        done: At(c),
        outcome,
        key,
        value,
        endpoint,
    })
}

fn any_history() -> impl Strategy<Value = History> {
    let change = (any::<u64>(), any::<String>(), any::<String>()).prop_map(|(at, instance, address)| EndpointChange {
        at: At(at),
        instance,
        address,
    });
    let small = prop::collection::vec(0_u64..6, 0..40);
    let wide = prop::collection::vec(any::<u64>(), 0..5);
    (
        "[ -~]*",
        any::<[u64; 2]>(),
        prop::collection::vec(change, 0..4),
        prop::collection::vec(any_op(), 0..30),
        prop::option::of(prop_oneof![small, wide]),
        prop::option::of(any::<String>()),
    )
        .prop_map(|(kind, [interval_ns, worst_lateness_ns], endpoints, ops, final_journal, ended_early)| History {
            kind,
            interval_ns,
            endpoints,
            ops,
            final_journal,
            connections: vec![Connection { from: At(1), ended: Some((At(2), ConnectionEnd::Reset)) }],
            worst_lateness_ns,
            ended_early,
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(history in any_history()) {
        let text = String::from_utf8(to_text(&history).unwrap()).unwrap();
        prop_assert_eq!(from_text(&text).unwrap(), history);
    }
}

#[test]
fn a_damaged_file_names_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("writer.csv");
    fs::write(&path, format!("{TITLE}\n# {{}}\n")).unwrap();
    assert!(read_history(&path).unwrap_err().to_string().contains("writer.csv:2: missing field"));
    write_history(&path, &History::default()).unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}1,2,3,ok,4,5,6\n1,2,3,ok,4\n")).unwrap();
    let error = read_history(&path).unwrap_err().to_string();
    assert!(error.ends_with("writer.csv:5: not an operation: `1,2,3,ok,4`"), "{error}");
    let gone = read_history(&dir.path().join("gone.csv")).unwrap_err();
    assert!(matches!(gone, HistoryFileError::Io { .. }), "{gone}");
}

#[test]
fn a_million_operations_are_written_and_read_in_no_time() {
    let op = |i: u64| Op {
        intended: At(7_000_000_000_000 + i * 1_000_000),
        sent: At(7_000_000_020_000 + i * 1_000_000),
        done: At(7_000_000_180_000 + i * 1_000_000),
        outcome: OpOutcome::Ok,
        key: i,
        value: i + 1,
        endpoint: 0,
    };
    let history = History {
        ops: (0..1_000_000).map(op).collect(),
        final_journal: Some((0..1_000_000).collect()),
        ..History::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.csv");
    // The thread's own CPU time: others on the machine count only as far as they slow the processor. A second each way, where
    // it is optimised; four times that where it is not and the processor is shared.
    let spent = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let bound = Duration::from_secs(if cfg!(debug_assertions) { 4 } else { 1 });
    let begin = spent();
    write_history(&path, &history).unwrap();
    let wrote = spent() - begin;
    let again = read_history(&path).unwrap();
    let read = spent() - begin - wrote;
    assert!(again == history);
    assert!(wrote < bound && read < bound, "wrote in {wrote:?}, read in {read:?}");
}
