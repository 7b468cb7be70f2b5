//! The programs of a Kubernetes cluster.

use super::Progress;
use super::cache::Cache;
use super::error::ComponentError;
use super::manifest::Manifest;
use super::module::{Built, build, identify};
use super::wanted::Wanted;
use std::path::PathBuf;

/// What a cluster on local nodes is made of, beside the nodes' own containerd.
const PROGRAMS: [&str; 5] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"];

/// A program of the user's own for a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnProgram {
    /// `kubelet`.
    pub name: String,
    /// Where it is on the host.
    pub path: PathBuf,
    /// Where it is from, if podferry built it.
    pub built: Option<String>,
}

impl From<Built> for OwnProgram {
    fn from(built: Built) -> Self {
        OwnProgram { name: built.record.name, path: built.path, built: Some(built.record.source) }
    }
}

/// Whether a component is a program of a cluster, and none of a node.
pub fn of_cluster(name: &str) -> bool {
    PROGRAMS.contains(&name)
}

/// The programs of a cluster of a version: `1.36` is any of that minor version. Those that the user gives are taken as they
/// are; the others come out of the cache, or are built.
///
/// # Errors
/// There is no such version, a program of the user's does not run, or one can't be built.
pub async fn cluster(
    version: &str,
    own: &[OwnProgram],
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Vec<Built>, ComponentError> {
    let manifest = Manifest::shipped();
    let shipped = manifest.source("kubelet")?.version.trim_start_matches('v').to_owned();
    if !is_of(&shipped, version.trim_start_matches('v')) {
        return Err(ComponentError::Version { wanted: format!("Kubernetes {version}"), shipped });
    }
    let mut programs = Vec::new();
    for name in PROGRAMS {
        programs.push(match own.iter().find(|own| own.name == name) {
            Some(own) => identified(own).await?,
            None => build(&Wanted::named(name), cache, progress).await?,
        });
    }
    Ok(programs)
}

/// The programs of a cluster that the user gives, and no others: the cluster has its own.
///
/// # Errors
/// One does not run.
pub async fn given(own: &[OwnProgram]) -> Result<Vec<Built>, ComponentError> {
    let mut programs = Vec::new();
    for own in own {
        programs.push(identified(own).await?);
    }
    Ok(programs)
}

async fn identified(own: &OwnProgram) -> Result<Built, ComponentError> {
    let path = std::path::absolute(&own.path).map_err(ComponentError::io("can't find", &own.path))?;
    let from = own.built.clone().unwrap_or_else(|| format!("path {}", path.display()));
    let record = identify(&Manifest::shipped().source(&own.name)?, &path, from).await?;
    Ok(Built { path, record, now: false })
}

/// Whether a version is the one that is asked for, or of the minor version that is.
fn is_of(version: &str, asked: &str) -> bool {
    version == asked || version.strip_prefix(asked).is_some_and(|rest| asked.contains('.') && rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("1.36", true)]
    #[case("1.36.3", true)]
    #[case("1.3", false)]
    #[case("1.36.2", false)]
    #[case("1.37", false)]
    #[case("1", false)]
    #[case("", false)]
    fn versions(#[case] asked: &str, #[case] fits: bool) {
        assert_eq!(is_of("1.36.3", asked), fits);
    }

    #[tokio::test]
    async fn another_version_is_told_with_the_one_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let error = cluster("1.20", &[], &Cache::at(dir.path()), &()).await.unwrap_err();
        assert_eq!(error.to_string(), "podferry builds no Kubernetes 1.20");
        assert!(error.hint().unwrap().starts_with("it builds 1."), "{:?}", error.hint());
    }
}
