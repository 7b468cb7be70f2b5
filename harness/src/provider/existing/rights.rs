//! What the user must be allowed, asked before anything is made.

use super::failure;
use crate::cluster::Api;
use crate::record::Failure;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use kube::api::PostParams;
use serde_json::json;

/// A right: a verb, and what it is for. Those of the run's namespace are asked for that alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Right {
    verb: &'static str,
    resource: &'static str,
    subresource: &'static str,
    inside: bool,
}

/// The least; the same as in `fixtures/kubernetes/rbac-existing.json`, which a test holds to this.
fn wanted() -> Vec<Right> {
    let all = |inside, resource, subresource, verbs: &[&'static str]| {
        verbs.iter().map(|verb| Right { verb, resource, subresource, inside }).collect::<Vec<_>>()
    };
    [
        all(false, "namespaces", "", &["create", "delete", "get", "list", "watch"]),
        all(false, "nodes", "", &["get", "list"]),
        // The kubelet's checkpoint, by the API server, which asks it with its own certificate.
        all(false, "nodes", "proxy", &["create"]),
        all(true, "serviceaccounts", "", &["create"]),
        all(true, "pods", "", &["create", "delete", "get", "list", "watch"]),
        // By WebSocket it is a `get`; from Kubernetes 1.35 on it must be allowed as a `create` too.
        all(true, "pods", "exec", &["create", "get"]),
        all(true, "events", "", &["list"]),
    ]
    .concat()
}

/// Asks the API server for each, and names all that are missing.
pub(super) async fn ask(client: &kube::Client, context: &str, namespace: &str) -> Result<(), Failure> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let mut missing = Vec::new();
    for right in wanted() {
        let review = review(right, namespace);
        let answer = reviews.create(&PostParams::default(), &review).await;
        let answer =
            answer.map_err(|e| failure(&format!("can't ask what the user of context {context} may do"), &e))?;
        if !answer.status.is_some_and(|status| status.allowed) {
            missing.push(named(right));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("the user of context {context} may not {}", missing.join(", "));
    let hint =
        "fixtures/kubernetes/rbac-existing.json has all that is needed (`kubectl apply -f`): bind its cluster role \
                `podferry-existing` to that user"
            .to_owned();
    Err(Failure { hint: Some(hint), ..Failure::surroundings(message) })
}

fn named(right: Right) -> String {
    let Right { verb, resource, subresource, .. } = right;
    match subresource {
        "" => format!("{verb} {resource}"),
        sub => format!("{verb} {resource}/{sub}"),
    }
}

fn review(right: Right, namespace: &str) -> SelfSubjectAccessReview {
    let attributes = json!({
        "verb": right.verb,
        "resource": right.resource,
        "subresource": right.subresource,
        "namespace": if right.inside { namespace } else { "" },
    });
    serde_json::from_value(json!({"spec": {"resourceAttributes": attributes}})).expect("it has the form of a review")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_manifest_gives_what_is_asked_for_and_no_more() {
        let manifest = include_str!("../../../../fixtures/kubernetes/rbac-existing.json");
        let role: Value = serde_json::from_str(manifest).unwrap();
        let mut given: Vec<String> = Vec::new();
        for rule in role["rules"].as_array().unwrap() {
            for resource in rule["resources"].as_array().unwrap() {
                let verbs = rule["verbs"].as_array().unwrap().iter();
                given.extend(verbs.map(|verb| format!("{} {}", verb.as_str().unwrap(), resource.as_str().unwrap())));
            }
        }
        let mut asked: Vec<String> = wanted().into_iter().map(named).collect();
        given.sort();
        asked.sort();
        assert_eq!(given, asked);
    }
}
