//! Modules that keep others in their own tree (Kubernetes, and what it stages): built from without that tree.

use super::error::ComponentError;
use super::manifest::Source;
use super::module::{WHOLE, failed, go};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// A `go.mod` for such a module at a version that is not pinned, made of its own: with what it says of the language, and each
/// module of its tree at the tag of the same version.
pub(super) async fn go_mod(source: &Source, dir: &Path) -> Result<String, ComponentError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Download {
        go_mod: PathBuf,
    }
    let (module, version) = (&source.from, &source.version);
    let wanted = format!("{module}@{version}");
    let fetched = go(dir, ["mod", "download", "-json", &wanted])?.timeout(WHOLE).run().await;
    let fetched = fetched.map_err(failed(source, &format!("{wanted} can't be fetched")))?.text();
    let Download { go_mod } = serde_json::from_str(&fetched)
        .map_err(|e| ComponentError::io("can't read", Path::new("what go says"))(e.into()))?;
    let own = fs::read_to_string(&go_mod).map_err(ComponentError::io("can't read", &go_mod))?;
    Ok(from_own(&own, version))
}

/// `v1.35.4` of Kubernetes stages its modules at `v0.35.4`.
fn from_own(own: &str, version: &str) -> String {
    let staged = version.replacen("v1.", "v0.", 1);
    let mut text = "module podferry.invalid/component\n\n".to_owned();
    for line in own.lines() {
        // A module in the place of the main one has no say in these: it is built as its makers build it.
        if line.starts_with("go ") || line.starts_with("godebug ") {
            text += &format!("{line}\n\n");
        }
        let replaced = line.trim().trim_start_matches("replace ").split_once(" => ./");
        if let Some((module, _)) = replaced {
            text += &format!("replace {module} => {module} {staged}\n");
        }
    }
    text
}

/// The releases of a module that its proxy has, newest first: `1.36.3`.
pub(super) async fn releases(source: &Source) -> Result<Vec<String>, ComponentError> {
    let dir = tempfile::tempdir().map_err(ComponentError::io("can't make", Path::new("a temporary folder")))?;
    let asked = go(dir.path(), ["list", "-m", "-versions", &source.from])?.timeout(WHOLE).run().await;
    let said = asked.map_err(failed(source, "its versions can't be asked for"))?.text();
    Ok(newest_first(&said))
}

fn newest_first(said: &str) -> Vec<String> {
    let numbers = |word: &str| -> Option<Vec<u64>> {
        word.strip_prefix('v')?.split('.').map(|number| number.parse().ok()).collect()
    };
    let mut releases: Vec<Vec<u64>> = said.split_whitespace().filter_map(numbers).collect();
    releases.sort_by(|a, b| b.cmp(a));
    let text = |release: Vec<u64>| release.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
    releases.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Kubernetes 1.35.4 has it, shortened.
    const OWN: &str = "module k8s.io/kubernetes

go 1.25.0

godebug default=go1.25

require (
\tgithub.com/kylelemons/godebug v1.1.0 // indirect
\tk8s.io/api v0.0.0
)

replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/kubelet => ./staging/src/k8s.io/kubelet
)
";

    #[test]
    fn what_a_module_stages_is_taken_at_its_tag() {
        insta::assert_snapshot!(from_own(OWN, "v1.35.4"), @r"
        module podferry.invalid/component

        go 1.25.0

        godebug default=go1.25

        replace k8s.io/api => k8s.io/api v0.35.4
        replace k8s.io/kubelet => k8s.io/kubelet v0.35.4
        ");
        assert!(from_own("replace a.b/c => ./c\n", "v1.38.0-beta.0").contains("a.b/c => a.b/c v0.38.0-beta.0"));
        assert!(!from_own("replace a.b/c => a.b/d v1.0.0\n", "v1.0.0").contains("replace"), "what is a tag stays out");
    }

    #[test]
    fn releases_are_told_from_others_and_ordered_by_number() {
        let said = "k8s.io/kubernetes v1.9.0 v1.35.4 v1.36.3 v1.36.10 v1.38.0-beta.0 v0.1.0\n";
        assert_eq!(newest_first(said), ["1.36.10", "1.36.3", "1.35.4", "1.9.0", "0.1.0"]);
    }
}
