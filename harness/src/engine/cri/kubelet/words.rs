//! What the API server and a kubelet say, and what class of error that is. Pure; the texts are those of Kubernetes 1.36.3.

use crate::engine::EngineError;
use crate::engine::containerd::classify::{self, During};
use crate::engine::criu_log;
use crate::record::{Chain, ErrorClass};
use k8s_openapi::api::core::v1::Event;

/// A request without a body.
pub(super) fn post(path: &str) -> Result<http::Request<Vec<u8>>, kube::Error> {
    http::Request::post(path).body(Vec::new()).map_err(kube::Error::HttpError)
}

/// A request for something.
pub(super) fn get(path: &str) -> Result<http::Request<Vec<u8>>, kube::Error> {
    http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)
}

/// Why a request to the API server failed.
pub(super) fn refused(cannot: &str, e: &kube::Error) -> EngineError {
    let message = format!("{cannot}: {}", said(e));
    match e {
        kube::Error::Api(status) => match status.code {
            401 | 403 => EngineError::new(ErrorClass::Surroundings, message).hint(RIGHTS),
            404 => EngineError::new(ErrorClass::UnknownContainer, message),
            409 => EngineError::new(ErrorClass::NameTaken, message),
            _ => EngineError::new(ErrorClass::Surroundings, message),
        },
        _ => EngineError::new(ErrorClass::DaemonGone, message),
    }
}

const OF_SERVER: &str = "the API server itself may not: what its certificate for kubelets needs in a cluster of kubeadm's is in \
                         fixtures/kubernetes/rbac-kubeadm.json";
const RIGHTS: &str = "what podferry's user must be allowed is in fixtures/kubernetes/rbac.json";

/// Why a checkpoint failed; `criu`: the lines of CRIU's log. The codes: 401 and 403 of who may not; 404 of a pod or container
/// that there is not, and (with other words) of an endpoint that there is not; 500 of all that the runtime says; 502 and 503
/// of a kubelet that the API server can't reach.
pub(super) fn checkpoint_refused(cannot: &str, e: &kube::Error, criu: Vec<String>) -> EngineError {
    let kube::Error::Api(status) = e else { return refused(cannot, e) };
    let (class, hint) = match status.code {
        403 if status.message.contains("kube-apiserver-kubelet-client") => (ErrorClass::Surroundings, Some(OF_SERVER)),
        401 | 403 => (ErrorClass::Surroundings, Some(RIGHTS)),
        404 if status.message.contains("page not found") => {
            let hint = "its gate ContainerCheckpoint is off, or it is older than 1.30 where that is off by default";
            (ErrorClass::Unsupported, Some(hint))
        }
        404 => (ErrorClass::UnknownContainer, None),
        502 | 503 => (ErrorClass::DaemonGone, None),
        _ if status.message.contains("connect: connection refused") => (ErrorClass::DaemonGone, None),
        _ => {
            let class = classify::classify(During::Checkpoint, &status.message, &criu);
            (class, classify::hint(class))
        }
    };
    let message = criu_log::named(class, format!("{cannot}: {}", said(e)), &criu);
    EngineError { class, message, hint: hint.map(str::to_owned), log: criu }
}

fn said(e: &kube::Error) -> String {
    match e {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => Chain(other).to_string(),
    }
}

/// A line on an event, as `kubectl get events` has it.
pub(super) fn event(event: &Event) -> String {
    let at = event.last_timestamp.as_ref().map(|t| t.0.to_string()).unwrap_or_default();
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    let of = word(&event.involved_object.name);
    format!("{at} {} {} {of}: {}\n", word(&event.type_), word(&event.reason), word(&event.message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;
    use rstest::rstest;

    fn error(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Status::failure(message, "").with_code(code).boxed())
    }

    #[rstest]
    #[case(404, "404 page not found", ErrorClass::Unsupported)]
    #[case(404, "pod does not exist", ErrorClass::UnknownContainer)]
    #[case(404, "container x does not exist", ErrorClass::UnknownContainer)]
    #[case(
        403,
        "nodes \"a\" is forbidden: User \"podferry\" cannot create resource \"nodes/proxy\"",
        ErrorClass::Surroundings
    )]
    #[case(401, "Unauthorized", ErrorClass::Surroundings)]
    #[case(
        503,
        "error trying to reach service: dial tcp 10.99.0.2:10250: connect: connection refused",
        ErrorClass::DaemonGone
    )]
    #[case(
        500,
        "checkpointing of podferry/x-a/x failed (rpc error: code = Unimplemented desc = unknown method CheckpointContainer for service runtime.v1.RuntimeService)",
        ErrorClass::Unsupported
    )]
    #[case(
        500,
        "checkpointing of podferry/x-a/x failed (rpc error: code = Unknown desc = CRIU binary not found or too old (<31600). Failed to checkpoint container \"c\")",
        ErrorClass::CriuMissing
    )]
    #[case(
        500,
        "checkpointing of podferry/x-a/x failed (rpc error: code = Unknown desc = container \"c\" is in CONTAINER_EXITED state. only CONTAINER_RUNNING containers can be checkpointed)",
        ErrorClass::NotRunning
    )]
    fn classes_of_a_checkpoint(#[case] code: u16, #[case] message: &str, #[case] class: ErrorClass) {
        let refused = checkpoint_refused("can't checkpoint container x on node a", &error(code, message), Vec::new());
        assert_eq!(refused.class, class, "{refused}");
        assert!(refused.message.starts_with("can't checkpoint container x on node a: "), "{refused}");
    }

    #[test]
    fn what_criu_says_makes_the_class_of_a_500() {
        let message =
            "checkpointing of podferry/x-a/x failed (rpc error: code = Unknown desc = criu failed: type DUMP)";
        let criu = vec!["Error (criu/sk-inet.c:191): inet: Connected TCP socket, consider using".to_owned()];
        let refused = checkpoint_refused("can't checkpoint x", &error(500, message), criu.clone());
        assert_eq!((refused.class, refused.log), (ErrorClass::ConnectedTcp, criu));
    }

    #[test]
    fn a_name_that_is_taken_is_told() {
        let refused = refused("can't make a pod", &error(409, "pods \"x-a\" already exists"));
        assert_eq!(
            (refused.class, refused.message.as_str()),
            (ErrorClass::NameTaken, "can't make a pod: pods \"x-a\" already exists (409)")
        );
    }
}
