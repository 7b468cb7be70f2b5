//! What an archive of podman's says of the container that it was made of. Pure.

use crate::engine::criu_options::ANNOTATION;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::PathBuf;

/// `config.dump`: podman's own configuration of the container, as far as it is used here.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    #[serde(rename = "rootfsImageName", default)]
    pub(super) image: String,
    spec: Spec,
    /// Where the folders are in the container that were mounted by `--volume`.
    #[serde(rename = "userVolumes", default)]
    user_volumes: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Spec {
    #[serde(default)]
    mounts: Vec<Bind>,
    #[serde(default)]
    annotations: HashMap<String, String>,
    #[serde(default)]
    linux: Linux,
}

/// A mount of an OCI specification.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Bind {
    pub(super) destination: PathBuf,
    #[serde(default)]
    pub(super) source: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
struct Linux {
    #[serde(default)]
    resources: Resources,
}

#[derive(Debug, Default, Deserialize)]
struct Resources {
    #[serde(default)]
    memory: Memory,
}

#[derive(Debug, Default, Deserialize)]
struct Memory {
    limit: Option<u64>,
}

impl Config {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|e| format!("its entry `config.dump` is not what it should be: {e}"))
    }

    /// The folders of the node that it had.
    pub(super) fn binds(&self) -> impl Iterator<Item = &Bind> {
        self.spec.mounts.iter().filter(|mount| self.user_volumes.contains(&mount.destination))
    }

    /// The file that CRIU's options are read from.
    pub(super) fn criu_options(&self) -> Option<PathBuf> {
        self.spec.annotations.get(ANNOTATION).map(PathBuf::from)
    }

    pub(super) fn memory_limit(&self) -> Option<u64> {
        self.spec.linux.resources.memory.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cut down from what podman 5.8.6 wrote.
    const DUMP: &str = r#"{
        "spec": {
            "ociVersion": "1.2.1",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]},
                {"destination": "/vol", "type": "bind", "source": "/data/volumes/v", "options": ["rbind"]}
            ],
            "annotations": {"org.criu.config": "/data/podman/criu/x.conf"},
            "linux": {"resources": {"memory": {"limit": 50000000, "swap": 100000000}, "pids": {"limit": 2048}}}
        },
        "id": "b92fffdb2d68", "name": "x", "rootfsImageID": "5bd5",
        "rootfsImageName": "localhost:5000/podferry/redis:0123456789ab",
        "userVolumes": ["/vol"]
    }"#;

    #[test]
    fn the_container_is_found_in_its_archive() {
        let config = Config::parse(DUMP.as_bytes()).unwrap();
        assert_eq!(config.image, "localhost:5000/podferry/redis:0123456789ab");
        let binds: Vec<_> = config.binds().cloned().collect();
        assert_eq!(binds, [Bind { destination: "/vol".into(), source: "/data/volumes/v".into() }]);
        assert_eq!(config.criu_options(), Some("/data/podman/criu/x.conf".into()));
        assert_eq!(config.memory_limit(), Some(50_000_000));
    }

    #[test]
    fn what_is_no_configuration_is_told() {
        assert!(Config::parse(b"{}").unwrap_err().contains("config.dump"));
        let bare = Config::parse(br#"{"spec": {}}"#).unwrap();
        assert_eq!((bare.criu_options(), bare.memory_limit(), bare.binds().count()), (None, None, 0));
    }
}
