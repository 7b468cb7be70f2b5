use super::*;
use crate::record::unbegun;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use std::sync::{Arc, Mutex};

/// What came, in order: type of content, body.
type Came = Arc<Mutex<Vec<(String, body::Bytes)>>>;

/// An endpoint that takes traces, or refuses them.
async fn endpoint(answer: (StatusCode, &'static str)) -> (OtlpTarget, Came) {
    let came = Came::default();
    let kept = Arc::clone(&came);
    let take = move |headers: HeaderMap, bytes: body::Bytes| async move {
        let kind = headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        kept.lock().unwrap().push((kind, bytes));
        answer
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let app = Router::new().route("/v1/traces", post(take));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (target, came)
}

#[tokio::test]
async fn an_endpoint_gets_the_traces_as_protobuf() {
    let (target, came) = endpoint((StatusCode::OK, "")).await;
    let run = unbegun();
    export_traces(&run, &target).await.expect("they are taken");
    let came = came.lock().unwrap();
    let read = came.iter().map(|(kind, bytes)| {
        assert_eq!(kind, "application/x-protobuf");
        ExportTraceServiceRequest::decode(bytes.clone()).expect("a request of the protocol")
    });
    assert_eq!(read.collect::<Vec<_>>(), report::otlp(&run));
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_told_with_its_words() {
    let (target, _) = endpoint((StatusCode::SERVICE_UNAVAILABLE, "full up")).await;
    let failure = export_traces(&unbegun(), &target).await.expect_err("it refuses");
    assert!(failure.message.ends_with("it answered 503 Service Unavailable: full up"), "{}", failure.message);
    assert!(failure.hint.is_some());
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let failure = export_traces(&unbegun(), &target).await.expect_err("nobody listens");
    assert!(failure.message.contains("refused"), "{}", failure.message);
}

#[test]
fn a_target_is_a_file_or_an_endpoint() {
    let uri = |word: &str| match word.parse::<OtlpTarget>() {
        Ok(OtlpTarget::Endpoint(uri)) => uri.to_string(),
        other => panic!("{word}: {other:?}"),
    };
    assert_eq!(uri("http://localhost:4318"), "http://localhost:4318/v1/traces");
    assert_eq!(uri("http://localhost:4318/"), "http://localhost:4318/v1/traces");
    assert_eq!(uri("https://x.example/otlp/v1/traces"), "https://x.example/otlp/v1/traces");
    assert_eq!("traces.jsonl".parse(), Ok(OtlpTarget::File(PathBuf::from("traces.jsonl"))));
    assert!("grpc://localhost:4317".parse::<OtlpTarget>().unwrap_err().contains("gRPC"));
}
