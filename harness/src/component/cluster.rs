//! The programs of a Kubernetes cluster.

use super::Progress;
use super::cache::Cache;
use super::error::ComponentError;
use super::get::build;
use super::manifest::Manifest;
use super::module::identify;
use super::program::Built;
use super::staged;
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
    let kubernetes = at_version(&manifest, version).await?;
    let mut programs = Vec::new();
    for name in PROGRAMS {
        programs.push(match own.iter().find(|own| own.name == name) {
            Some(own) => identified(own).await?,
            None => {
                // etcd has versions of its own.
                let version = kubernetes.clone().filter(|_| name != "etcd");
                build(&Wanted { version, ..Wanted::named(name) }, cache, progress).await?
            }
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

/// The version of Kubernetes that is meant; `None`: the one that is pinned. Of a minor version it is the newest that there is,
/// which Go's module proxy is asked for.
async fn at_version(manifest: &Manifest, asked: &str) -> Result<Option<String>, ComponentError> {
    let (source, asked) = (manifest.source("kubelet")?, asked.trim_start_matches('v'));
    if is_of(source.version.trim_start_matches('v'), asked) {
        return Ok(None);
    }
    let wanted = || format!("Kubernetes {asked}");
    match asked.split('.').map(|number| number.parse::<u32>()).collect::<Result<Vec<_>, _>>().as_deref() {
        Ok([_, _]) => {}
        Ok([_, _, _]) => return Ok(Some(format!("v{asked}"))),
        _ => return Err(ComponentError::NoVersion { name: "Kubernetes".to_owned(), version: asked.to_owned() }),
    }
    let releases = staged::releases(&source).await?;
    match releases.iter().find(|release| is_of(release, asked)) {
        Some(release) => Ok(Some(format!("v{release}"))),
        None => Err(ComponentError::Version { wanted: wanted(), shipped: minors(&releases) }),
    }
}

/// The newest of each minor version that a kubelet takes checkpoints in without being told to: 1.30 and later.
fn minors(releases: &[String]) -> String {
    let mut newest: Vec<&str> = Vec::new();
    let minor = |release: &str| release.rsplit_once('.').map(|(minor, _)| minor.to_owned());
    let number = |release: &str| release.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    for release in releases.iter().filter(|release| number(release) >= Some(30)) {
        if newest.last().is_none_or(|last| minor(last) != minor(release)) {
            newest.push(release);
        }
    }
    newest.join(", ")
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
    async fn a_version_is_taken_as_it_is_and_what_is_none_is_told() {
        let manifest = Manifest::shipped();
        assert_eq!(at_version(&manifest, "1.36").await.unwrap(), None);
        assert_eq!(at_version(&manifest, "v1.35.4").await.unwrap().as_deref(), Some("v1.35.4"));
        for wrong in ["1", "latest", "1.35.x", "1.35.4.1", ""] {
            let error = at_version(&manifest, wrong).await.unwrap_err();
            assert_eq!(error.to_string(), format!("`{wrong}` is no version of Kubernetes"));
        }
    }

    #[test]
    fn the_newest_of_each_minor_version_is_told() {
        let releases = ["1.37.2", "1.37.0", "1.36.3", "1.30.1", "1.29.9"].map(str::to_owned);
        assert_eq!(minors(&releases), "1.37.2, 1.36.3, 1.30.1");
    }
}
