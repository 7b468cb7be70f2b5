//! What is built from Go modules: `fixtures/components.toml` and the modules beside it, which come with the program.

use super::error::ComponentError;
use serde::Deserialize;
use std::collections::BTreeMap;

const MANIFEST: &str = include_str!("../../../fixtures/components.toml");

/// Each module's name, `go.mod` and `go.sum`.
const MODULES: [(&str, &str, &str); 3] = [
    (
        "containerd",
        include_str!("../../../fixtures/components/containerd/go.mod"),
        include_str!("../../../fixtures/components/containerd/go.sum"),
    ),
    (
        "etcd",
        include_str!("../../../fixtures/components/etcd/go.mod"),
        include_str!("../../../fixtures/components/etcd/go.sum"),
    ),
    (
        "kubernetes",
        include_str!("../../../fixtures/components/kubernetes/go.mod"),
        include_str!("../../../fixtures/components/kubernetes/go.sum"),
    ),
];

/// The manifest, read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    modules: BTreeMap<String, Module>,
    components: BTreeMap<String, Program>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Module {
    from: String,
    set: Vec<String>,
    #[serde(default)]
    any: bool,
    #[serde(default)]
    staged: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    module: String,
    package: String,
    #[serde(default = "by_default")]
    says: Vec<String>,
}

fn by_default() -> Vec<String> {
    vec!["--version".to_owned()]
}

/// One program, with all that it is built from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Source {
    /// `kubelet`.
    pub(super) name: String,
    /// Its main package.
    pub(super) package: String,
    /// The module that is built, which patches are for: `k8s.io/kubernetes`.
    pub(super) from: String,
    /// That module's version: `v1.36.3`.
    pub(super) version: String,
    /// What the linker sets: `variable=value`.
    pub(super) set: Vec<String>,
    /// The arguments with which it says its version.
    pub(super) says: Vec<String>,
    /// Whether its module keeps others in its own tree. At a pinned version the committed `go.mod` says all of that.
    #[serde(skip)]
    pub(super) staged: bool,
    /// The module that pins it and all that it is made of; `None`: at a version that is not pinned, all of it is as its
    /// own `go.mod` says.
    pub(super) pinned: Option<Pinned>,
}

/// A committed module.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Pinned {
    pub(super) go_mod: &'static str,
    pub(super) go_sum: &'static str,
}

impl Manifest {
    /// The one that comes with the program.
    pub fn shipped() -> Manifest {
        toml::from_str(MANIFEST).expect("the shipped manifest is tested")
    }

    /// The names of its components.
    pub fn names(&self) -> Vec<&str> {
        self.components.keys().map(String::as_str).collect()
    }

    /// What a component is built from, at a version of the user's choice if one is given (`v2.3.7`).
    pub(super) fn source_at(&self, name: &str, version: Option<&str>) -> Result<Source, ComponentError> {
        let pinned = self.source(name)?;
        let Some(version) = version.filter(|version| *version != pinned.version) else { return Ok(pinned) };
        let module = &self.modules[&self.components[name].module];
        if !is_release(version) {
            return Err(ComponentError::NoVersion { name: name.to_owned(), version: version.to_owned() });
        }
        if !module.any {
            return Err(ComponentError::Version { wanted: format!("{name} {version}"), shipped: pinned.version });
        }
        let set = module.set.iter().map(|s| s.replace("{version}", version)).collect();
        Ok(Source { version: version.to_owned(), set, pinned: None, ..pinned })
    }

    /// What a component is built from, as it is pinned.
    pub(super) fn source(&self, name: &str) -> Result<Source, ComponentError> {
        let unknown =
            || ComponentError::Unknown { name: name.to_owned(), all: self.components.keys().cloned().collect() };
        let program = self.components.get(name).ok_or_else(unknown)?;
        let module = &self.modules[&program.module];
        let files = MODULES.iter().find(|(name, ..)| *name == program.module);
        let (_, go_mod, go_sum) = files.expect("the shipped manifest is tested");
        let version = required(go_mod, &module.from).expect("the shipped manifest is tested").to_owned();
        Ok(Source {
            name: name.to_owned(),
            package: program.package.clone(),
            says: program.says.clone(),
            from: module.from.clone(),
            staged: module.staged,
            set: module.set.iter().map(|s| s.replace("{version}", &version)).collect(),
            version,
            pinned: Some(Pinned { go_mod, go_sum }),
        })
    }
}

/// `v2.3.7`, `v2.4.0-beta.0`: what Go takes for a release, and nothing that a shell or Go could take for something else.
fn is_release(version: &str) -> bool {
    let numbers = version.strip_prefix('v').and_then(|rest| rest.split(['-', '+']).next()).unwrap_or_default();
    let numbers: Vec<&str> = numbers.split('.').collect();
    let plain = version.chars().all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c));
    plain && numbers.len() == 3 && numbers.iter().all(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()))
}

/// The version at which a `go.mod` requires a module.
fn required<'a>(go_mod: &'a str, module: &str) -> Option<&'a str> {
    let words = |line: &'a str| -> Option<&'a str> {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        (words.next()? == module).then(|| words.next()).flatten()
    };
    go_mod.lines().find_map(|line| words(line).filter(|version| version.starts_with('v')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_has_all_that_it_is_built_from() {
        let manifest = Manifest::shipped();
        assert!(manifest.names().contains(&"kubelet") && manifest.names().contains(&"etcd"));
        for name in manifest.names() {
            let source = manifest.source(name).unwrap();
            assert!(source.package.starts_with(&source.from), "{source:?}");
            let tool = |line: &str| line.trim().trim_start_matches("tool ") == source.package;
            let pinned = source.pinned.clone().unwrap();
            assert!(
                pinned.go_mod.lines().any(tool),
                "{name} is no tool of its go.mod: its packages may be missing there"
            );
            assert!(pinned.go_sum.contains(&format!("{} {} h1:", source.from, source.version)), "{source:?}");
        }
    }

    #[test]
    fn kubernetes_and_what_it_stages_are_of_one_version() {
        let source = Manifest::shipped().source("kubelet").unwrap();
        let staged = source.version.replacen("v1.", "v0.", 1);
        let replaced: Vec<&str> =
            source.pinned.as_ref().unwrap().go_mod.lines().filter(|l| l.contains(" => ")).collect();
        assert!(replaced.len() > 20, "{replaced:?}");
        assert!(replaced.iter().all(|line| line.ends_with(&staged)), "{replaced:?} are not all {staged}");
        assert!(source.set.contains(&format!("k8s.io/component-base/version.gitVersion={}", source.version)));
    }

    #[test]
    fn a_version_of_the_users_choice_is_taken_where_the_module_allows() {
        let manifest = Manifest::shipped();
        let other = manifest.source_at("containerd", Some("v2.0.14")).unwrap();
        assert_eq!((other.version.as_str(), &other.pinned), ("v2.0.14", &None));
        assert_eq!(other.set, ["github.com/containerd/containerd/v2/version.Version=v2.0.14"]);
        let pinned = manifest.source("containerd").unwrap();
        assert_eq!(manifest.source_at("containerd", Some(&pinned.version)).unwrap(), pinned);
        assert_eq!(manifest.source_at("containerd", None).unwrap(), pinned);
        for wrong in ["2.0.14", "v2.0", "latest", "v2.0.14 -x", "v2.0.x", "v..", ""] {
            let error = manifest.source_at("containerd", Some(wrong)).unwrap_err();
            assert!(matches!(error, ComponentError::NoVersion { .. }), "{wrong}: {error}");
        }
        let other = manifest.source_at("kubelet", Some("v1.35.4")).unwrap();
        assert!(other.staged && other.pinned.is_none(), "{other:?}");
        assert!(other.set.contains(&"k8s.io/component-base/version.gitVersion=v1.35.4".to_owned()), "{other:?}");
        let error = manifest.source_at("etcd", Some("v3.5.0")).unwrap_err();
        assert!(matches!(error, ComponentError::Version { .. }), "{error}");
    }

    #[test]
    fn an_unknown_component_is_told_with_those_there_are() {
        let error = Manifest::shipped().source("kubelett").unwrap_err();
        assert_eq!(error.to_string(), "podferry builds no component `kubelett`");
        assert!(error.hint().unwrap().contains("kubelet"), "{:?}", error.hint());
    }

    #[test]
    fn a_version_is_found_in_either_form() {
        let text = "require (\n\ta.b/c v1.2.3 // indirect\n)\nrequire x.y/z v2.0.0\nreplace x.y/q => x.y/q v3.0.0\n";
        assert_eq!(required(text, "a.b/c"), Some("v1.2.3"));
        assert_eq!(required(text, "x.y/z"), Some("v2.0.0"));
        assert_eq!(required(text, "x.y/q"), None);
    }
}
