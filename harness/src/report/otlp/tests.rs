use super::*;
use crate::record::{
    At, CaseId, ErrorClass, Event, Failure, HostRecord, Line, Origin, Outcome, Phase, PhaseSpan, RunId, StepRecord,
    fold,
};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use std::collections::BTreeMap;

const SECOND: u64 = 1_000_000_000;

/// A run that began at the turn of the year, with a case whose only step failed in its restore.
fn run() -> Run {
    let at = |ms: u64| At(50 * SECOND + ms * 1_000_000);
    let line = |ms: u64, case: bool, event| Line {
        at: at(ms),
        case: case.then(|| CaseId("x[engine=runc]".to_owned())),
        event,
    };
    let origin = Origin { file: "x.yaml".to_owned(), line: 7, column: 3 };
    let failure =
        Failure { log: vec!["(00.1) Error".to_owned()], ..Failure::new(ErrorClass::RestoreFailed, "criu said no") };
    let phase = |phase, from, to| PhaseSpan { phase, node: "b".to_owned(), step: 0, from: at(from), to: at(to) };
    fold(&[
        line(
            0,
            false,
            Event::RunStarted {
                id: RunId("20300101-000000-0000".to_owned()),
                podferry: "0.1.0".to_owned(),
                command: vec!["podferry".to_owned()],
                started: "2030-01-01T00:00:00.25Z".to_owned(),
                host: HostRecord::default(),
                image: String::new(),
            },
        ),
        line(
            1,
            true,
            Event::CasePlanned {
                scenario: "x".to_owned(),
                title: String::new(),
                origin: origin.clone(),
                engine: crate::record::EngineKind::Runc,
                params: BTreeMap::from([("data".to_owned(), "1Mi".to_owned())]),
                labels: BTreeMap::new(),
                rerun: "podferry run x".to_owned(),
            },
        ),
        line(10, true, Event::CaseStarted),
        line(30, true, Event::Phase(phase(Phase::Restore, 20, 30))),
        line(
            40,
            true,
            Event::StepFinished(StepRecord {
                id: "move".to_owned(),
                title: "migrate x to b".to_owned(),
                finally: false,
                passed_over: None,
                used_at: None,
                origin,
                from: at(15),
                to: at(40),
                error_expected: false,
                failure: Some(failure),
            }),
        ),
        line(60, true, Event::CaseFinished { outcome: Outcome::Failed, reason: Some("criu said no".to_owned()) }),
        line(70, false, Event::RunFinished { exit_code: 10 }),
    ])
}

fn spans(requests: &[ExportTraceServiceRequest]) -> Vec<Span> {
    let all = requests.iter().flat_map(|r| &r.resource_spans).flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
    all.cloned().collect()
}

#[test]
fn what_is_written_is_read_by_the_types_of_the_protocol() {
    let run = run();
    let text = otlp_lines(&run);
    assert_eq!(text.lines().count(), 2, "the run and its case");
    let read: Vec<ExportTraceServiceRequest> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(read, otlp(&run));
    // As the mapping of the protocol to JSON wants it: hexadecimal ids, numbers of 64 bits as text, names in camel case.
    let json: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"].as_str().map(str::len), Some(32), "{span}");
    assert_eq!(span["startTimeUnixNano"], "1893456000260000000", "the start of the run and 10 ms");
}

#[test]
fn spans_lie_within_their_parents_and_tell_what_failed() {
    let all = spans(&otlp(&run()));
    let names: Vec<&str> = all.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["run 20300101-000000-0000", "x[engine=runc]", "migrate x to b", "restore"]);
    for span in &all[2..] {
        let parent = all.iter().find(|s| s.span_id == span.parent_span_id).expect("its parent");
        assert_eq!(parent.trace_id, span.trace_id);
        assert!(parent.start_time_unix_nano <= span.start_time_unix_nano, "{}", span.name);
        assert!(parent.end_time_unix_nano >= span.end_time_unix_nano, "{}", span.name);
    }
    let status = all[2].status.as_ref().expect("a status");
    assert_eq!((status.code, status.message.as_str()), (StatusCode::Error as i32, "criu said no"));
    assert_eq!(all[2].events[0].name, "exception");
    assert_eq!(all[1].links[0].span_id, all[0].span_id);
}

#[test]
fn ids_follow_from_the_run_and_differ() {
    let all = spans(&otlp(&run()));
    assert_eq!(all, spans(&otlp(&run())));
    let ids: std::collections::BTreeSet<_> = all.iter().map(|s| s.span_id.clone()).collect();
    assert_eq!(ids.len(), all.len());
}
