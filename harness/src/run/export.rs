//! Traces that leave podferry: to a file, or to an endpoint of OpenTelemetry's protocol.

use crate::record::{Chain, Failure, Run};
use crate::report;
use axum::body::{self, Body};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtlpTarget {
    /// A file of JSON lines, written anew.
    File(PathBuf),
    /// An endpoint, by HTTP with protobuf.
    Endpoint(http::Uri),
}

/// An endpoint that does not answer must not hold a run up.
const PATIENCE: Duration = Duration::from_secs(10);
/// What of an answer is read.
const ANSWER: usize = 64 * 1024;

impl FromStr for OtlpTarget {
    type Err = String;

    /// `http://host:4318` gets the path that the protocol has for traces; one that has a path is taken as it is.
    fn from_str(word: &str) -> Result<Self, String> {
        if !word.contains("://") {
            return Ok(OtlpTarget::File(PathBuf::from(word)));
        }
        let whole = match word.split_once("://").map(|(_, rest)| rest.trim_end_matches('/')) {
            Some(rest) if !rest.contains('/') => format!("{}/v1/traces", word.trim_end_matches('/')),
            _ => word.to_owned(),
        };
        let uri: http::Uri = whole.parse().map_err(|e| format!("`{word}` is no address: {e}"))?;
        match uri.scheme_str() {
            Some("http" | "https") => Ok(OtlpTarget::Endpoint(uri)),
            _ => Err(format!("`{word}` is neither a file nor http:// or https://: gRPC is not spoken here")),
        }
    }
}

/// Writes or sends the traces of a run.
///
/// # Errors
/// The file cannot be written; the endpoint cannot be reached, or does not take them.
pub async fn export_traces(run: &Run, target: &OtlpTarget) -> Result<(), Failure> {
    match target {
        OtlpTarget::File(path) => std::fs::write(path, report::otlp_lines(run))
            .map_err(|e| Failure::surroundings(format!("can't write {}: {e}", path.display()))),
        OtlpTarget::Endpoint(uri) => {
            let all = tokio::time::timeout(PATIENCE, send(run, uri));
            let sent = all.await.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")));
            sent.map_err(|why| Failure {
                hint: Some("`podferry report RUN --otlp` sends the traces of a stored run again".to_owned()),
                ..Failure::surroundings(format!("can't send traces to {uri}: {why}"))
            })
        }
    }
}

async fn send(run: &Run, uri: &http::Uri) -> Result<(), String> {
    let connector = HttpsConnectorBuilder::new().with_native_roots().map_err(|e| format!("certificates: {e}"))?;
    let client = Client::builder(TokioExecutor::new()).build(connector.https_or_http().enable_http1().build());
    // A request for each case: together they may be more than an endpoint takes at once.
    for request in report::otlp(run) {
        let request = http::Request::post(uri.clone())
            .header(http::header::CONTENT_TYPE, "application/x-protobuf")
            .body(Body::from(request.encode_to_vec()))
            .map_err(|e| e.to_string())?;
        let response = client.request(request).await.map_err(|e| Chain(&e).to_string())?;
        let status = response.status();
        if !status.is_success() {
            let text = body::to_bytes(Body::new(response.into_body()), ANSWER).await.unwrap_or_default();
            return Err(format!("it answered {status}: {}", String::from_utf8_lossy(&text).trim()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
