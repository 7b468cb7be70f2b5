//! What a kubelet and its containerd count of themselves.

use super::{Own, words};
use crate::cluster::CONTAINERD_METRICS;
use crate::engine::EngineError;
use crate::record::{Chain, ErrorClass};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

/// Has containerd serve what it counts. Of all containerds of a node only this one does.
pub(in crate::engine::cri) const CONTAINERD_COUNTS: &str = "\n[metrics]\naddress = \"127.0.0.1:1338\"\n";
/// Both answer within some milliseconds; on a node that was broken they may not answer at all.
const LIMIT: Duration = Duration::from_secs(5);

impl Own {
    /// Of podferry's own by the kubelet's port: the right `nodes/metrics` is enough for it. Of somebody else's, who knows no
    /// certificate of podferry's, by the API server, which takes `get nodes/proxy`.
    pub(super) async fn kubelet_counters(&self) -> Result<String, EngineError> {
        let what = "read the kubelet's metrics";
        let (client, path) = match &self.started {
            Some(own) => (own.direct.client.clone(), "/metrics".to_owned()),
            None => (self.cluster.client(), format!("/api/v1/nodes/{}/proxy/metrics", self.node().known_as())),
        };
        let request = words::get(&path).map_err(|e| self.refused(what, &e))?;
        match tokio::time::timeout(LIMIT, client.request_text(request)).await {
            Ok(text) => text.map_err(|e| self.refused(what, &e)),
            Err(_) => Err(self.silent(what)),
        }
    }

    /// From the node's own network, since containerd's port is open to anybody who reaches it.
    pub(super) async fn containerd_counters(&self) -> Result<String, EngineError> {
        let (what, node) = ("read containerd's metrics", Arc::clone(self.node()));
        let ask = tokio::task::spawn_blocking(move || {
            let mut stream = node.connect(CONTAINERD_METRICS, LIMIT)?;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.write_all(b"GET /v1/metrics HTTP/1.0\r\n\r\n")?;
            let mut said = String::new();
            stream.read_to_string(&mut said)?;
            body(&said).map(str::to_owned)
        });
        match tokio::time::timeout(LIMIT * 2, ask).await {
            Ok(Ok(answer)) => answer.map_err(|e| self.runtime.surroundings(what, Chain(&e))),
            Ok(Err(e)) => Err(self.runtime.surroundings(what, e)),
            Err(_) => Err(self.silent(what)),
        }
    }

    fn silent(&self, what: &str) -> EngineError {
        let message = format!("can't {what} on node {}: no answer within {LIMIT:?}", self.node().name());
        EngineError::new(ErrorClass::DaemonGone, message)
    }
}

/// The body of an answer that is one.
fn body(answer: &str) -> io::Result<&str> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some("200") => Ok(body),
        _ => Err(io::Error::other(format!("it answers `{status}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containerd_is_asked_where_it_serves() {
        assert!(CONTAINERD_COUNTS.contains(&format!("address = \"{CONTAINERD_METRICS}\"")));
    }

    #[test]
    fn only_a_good_answer_has_a_body() {
        assert_eq!(body("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nx 1\n").unwrap(), "x 1\n");
        assert_eq!(
            body("HTTP/1.0 404 Not Found\r\n\r\nno").unwrap_err().to_string(),
            "it answers `HTTP/1.0 404 Not Found`"
        );
        assert_eq!(body("").unwrap_err().to_string(), "it answers ``");
    }
}
