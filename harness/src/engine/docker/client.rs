//! Docker's API, by its unix socket.

use super::Inner;
use super::classify::{classify, hint};
use crate::engine::runc::classify::During;
use crate::engine::{EngineError, criu_log};
use crate::record::{Chain, ErrorClass};
use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};
use std::path::Path;
use std::time::Duration;

/// Everything but pulls, checkpoints and restores: some 10 ms, with a container's start 0.1 s.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// bollard wants a limit for each request; ours are set where a call may be given up, and there are calls that may not.
const NEVER: u64 = 7 * 24 * 3600;

/// A client for dockerd's socket, by its path on the host. A connection is made for each call, so it outlives dockerd.
pub(super) async fn connect(socket: &Path) -> Result<Docker, Error> {
    let docker = Docker::connect_with_unix(&socket.to_string_lossy(), NEVER, API_DEFAULT_VERSION)?;
    // Docker 26.1 speaks 1.45 and refuses what is newer.
    docker.negotiate_version().await
}

/// A client whose requests to start a container start it from a checkpoint: bollard has no option for that.
pub(super) fn restoring(docker: &Docker, checkpoint: &str) -> Docker {
    // The name is plain: no character of it means anything in a query.
    let query = format!("checkpoint={checkpoint}");
    docker.clone().with_request_modifier(move |mut request| {
        let uri = request.uri().to_string();
        let sign = if uri.contains('?') { '&' } else { '?' };
        if let Ok(with) = format!("{uri}{sign}{query}").parse() {
            *request.uri_mut() = with;
        }
        request
    })
}

/// What an error says: dockerd's own words, or why it did not answer.
pub(super) enum Said {
    Dockerd(String),
    Nothing(String),
}

impl Said {
    pub(super) fn of(error: &Error) -> Said {
        match error {
            Error::DockerResponseServerError { message, .. } => Said::Dockerd(message.trim().to_owned()),
            Error::DockerStreamError { error } => Said::Dockerd(error.trim().to_owned()),
            other => Said::Nothing(Chain(other).to_string()),
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Said::Dockerd(text) | Said::Nothing(text) => text,
        }
    }
}

impl Inner {
    /// Waits for a call that may be given up: none that checkpoints or restores.
    pub(super) async fn call<T>(
        &self,
        during: During,
        what: &str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, EngineError> {
        self.call_within(LIMIT, during, what, call).await
    }

    /// [`Inner::call`] with a limit of its own.
    pub(super) async fn call_within<T>(
        &self,
        limit: Duration,
        during: During,
        what: &str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, EngineError> {
        crate::engine::calls::note();
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(e)) => Err(self.error(during, what, &Said::of(&e), Vec::new())),
            Err(_) => {
                let node = self.node.name();
                let message = format!("can't {what} on node {node}: dockerd did not answer within {limit:?}");
                Err(EngineError::new(ErrorClass::Timeout, message))
            }
        }
    }

    /// An error of this node in the words `can't WHAT on node NAME: SAID`, with its class.
    pub(super) fn error(&self, during: During, what: &str, said: &Said, criu: Vec<String>) -> EngineError {
        let class = match said {
            Said::Nothing(_) => ErrorClass::DaemonGone,
            Said::Dockerd(text) => classify(during, text, &criu),
        };
        let message = format!("can't {what} on node {}: {}", self.node.name(), said.text());
        let hint = hint(class, &message).map(str::to_owned);
        EngineError { class, message: criu_log::named(class, message, &criu), hint, log: criu }
    }

    /// [`Inner::error`] of what bollard says.
    pub(super) fn error_of(&self, during: During, what: &str, e: &Error) -> EngineError {
        self.error(during, what, &Said::of(e), Vec::new())
    }

    pub(super) fn surroundings(&self, what: &str, why: impl std::fmt::Display) -> EngineError {
        let message = format!("can't {what} on node {}: {why}", self.node.name());
        EngineError::new(ErrorClass::Surroundings, message)
    }
}
