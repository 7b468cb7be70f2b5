//! Files by which clients of Kubernetes find a cluster and say who they are. JSON is YAML, so that is what is written.

use super::pki::Identity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// A kubeconfig with all that it needs in it.
pub(super) fn text(url: &str, authority: &str, identity: &Identity) -> String {
    let encoded = |pem: &str| STANDARD.encode(pem);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "podferry", "cluster": {
            "server": url,
            "certificate-authority-data": encoded(authority),
        }}],
        "users": [{"name": "podferry", "user": {
            "client-certificate-data": encoded(&identity.certificate),
            "client-key-data": encoded(&identity.key),
        }}],
        "contexts": [{"name": "podferry", "context": {"cluster": "podferry", "user": "podferry"}}],
        "current-context": "podferry",
    });
    format!("{config:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_it_lies_elsewhere() {
        let identity = Identity { certificate: "CERTIFICATE".into(), key: "KEY".into() };
        let text = text("https://127.0.0.1:1", "AUTHORITY", &identity);
        let config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let user = &config["users"][0]["user"];
        assert_eq!(user["client-key-data"], STANDARD.encode("KEY"));
        assert_eq!(config["clusters"][0]["cluster"]["server"], "https://127.0.0.1:1");
        assert_eq!(config["contexts"][0]["name"], config["current-context"]);
    }
}
