//! What podferry may do in a cluster: the manifest, and its making.

use super::api::own;
use super::{Api, failure};
use crate::record::Failure;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{Patch, PatchParams};
use serde_json::Value;

/// The user whom the manifest gives its rights.
pub(super) const USER: &str = "podferry";

/// The least that podferry needs, as one list of objects: `kubectl apply -f` takes it as it is.
const MANIFEST: &str = include_str!("../../../fixtures/kubernetes/rbac.json");

/// What the API server's own certificate for kubelets needs in a cluster of kubeadm's: there it has the role
/// `system:kubelet-api-admin`, which lacks `nodes/checkpoint` (Kubernetes 1.36.3), so that every checkpoint by the API server
/// is refused, whoever asks.
const OF_KUBEADM: &str = include_str!("../../../fixtures/kubernetes/rbac-kubeadm.json");

/// Makes the namespace, and all that the manifest has.
pub(super) async fn apply(admin: &kube::Client) -> Result<(), Failure> {
    apply_list(admin, MANIFEST).await
}

/// Gives a cluster of kubeadm's what its API server lacks.
pub(super) async fn apply_kubeadm(admin: &kube::Client) -> Result<(), Failure> {
    apply_list(admin, OF_KUBEADM).await
}

async fn apply_list(admin: &kube::Client, manifest: &str) -> Result<(), Failure> {
    let list: Value = serde_json::from_str(manifest).expect("the shipped manifest is tested");
    for object in list["items"].as_array().into_iter().flatten() {
        let (kind, name) = (&object["kind"], &object["metadata"]["name"]);
        let done = apply_one(admin, object.clone()).await;
        done.map_err(|e| failure(&format!("can't make {kind} {name} in the cluster"), &e))?;
    }
    Ok(())
}

/// As `kubectl apply --server-side` does: what is there already is changed.
async fn apply_one(admin: &kube::Client, object: Value) -> Result<(), kube::Error> {
    let how = PatchParams::apply(USER).force();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
    macro_rules! by_kind {
        ($($name:literal => $kind:ty, $api:expr;)*) => {
            match kind.as_str() {
                $($name => {
                    let api: Api<$kind> = $api(admin.clone());
                    api.patch(&name, &how, &Patch::Apply(&object)).await.map(drop)
                })*
                other => unreachable!("the shipped manifest has a {other}, which its test refuses"),
            }
        };
    }
    by_kind! {
        "Namespace" => Namespace, Api::all;
        "ServiceAccount" => ServiceAccount, own;
        "ClusterRole" => ClusterRole, Api::all;
        "ClusterRoleBinding" => ClusterRoleBinding, Api::all;
        "Role" => Role, own;
        "RoleBinding" => RoleBinding, own;
    }
}

#[cfg(test)]
mod tests {
    use super::super::NAMESPACE;
    use super::*;

    #[test]
    fn the_manifest_gives_rights_to_podferry_alone_and_not_too_many() {
        let list: Value = serde_json::from_str(MANIFEST).unwrap();
        let items = list["items"].as_array().unwrap();
        assert_eq!(list["kind"], "List");
        for item in items {
            let kind = item["kind"].as_str().unwrap();
            assert!(
                ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]
                    .contains(&kind),
                "{kind}"
            );
            if let Some(namespace) = item["metadata"]["namespace"].as_str() {
                assert_eq!(namespace, NAMESPACE);
            }
            for subject in item["subjects"].as_array().into_iter().flatten() {
                assert_eq!((&subject["kind"], &subject["name"]), (&"User".into(), &USER.into()));
            }
            for rule in item["rules"].as_array().into_iter().flatten() {
                for list in ["verbs", "resources", "apiGroups"] {
                    assert!(!rule[list].as_array().unwrap().contains(&"*".into()), "everything: {rule}");
                }
            }
        }
    }
}
