//! What podferry gets by itself, and from where: `fixtures/components.toml` and the Go modules beside it, which come with the
//! program.

use super::error::ComponentError;
use super::identity;
use super::wanted::{Origin, Release, Wanted};
use serde::Deserialize;
use std::collections::BTreeMap;

const MANIFEST: &str = include_str!("../../../fixtures/components.toml");

/// Each module's name, `go.mod` and `go.sum`.
const MODULES: [(&str, &str, &str); 8] = [
    (
        "cni",
        include_str!("../../../fixtures/components/cni/go.mod"),
        include_str!("../../../fixtures/components/cni/go.sum"),
    ),
    (
        "containerd",
        include_str!("../../../fixtures/components/containerd/go.mod"),
        include_str!("../../../fixtures/components/containerd/go.sum"),
    ),
    (
        "coredns",
        include_str!("../../../fixtures/components/coredns/go.mod"),
        include_str!("../../../fixtures/components/coredns/go.sum"),
    ),
    (
        "cri-tools",
        include_str!("../../../fixtures/components/cri-tools/go.mod"),
        include_str!("../../../fixtures/components/cri-tools/go.sum"),
    ),
    (
        "etcd",
        include_str!("../../../fixtures/components/etcd/go.mod"),
        include_str!("../../../fixtures/components/etcd/go.sum"),
    ),
    (
        "kind",
        include_str!("../../../fixtures/components/kind/go.mod"),
        include_str!("../../../fixtures/components/kind/go.sum"),
    ),
    (
        "kubernetes",
        include_str!("../../../fixtures/components/kubernetes/go.mod"),
        include_str!("../../../fixtures/components/kubernetes/go.sum"),
    ),
    (
        "minikube",
        include_str!("../../../fixtures/components/minikube/go.mod"),
        include_str!("../../../fixtures/components/minikube/go.sum"),
    ),
];

/// Patches without which a module is not to be built here: its name, and the name and content of each.
const PATCHES: [(&str, &str, &str); 1] =
    [("minikube", "no-kvm2.patch", include_str!("../../../fixtures/components/minikube/no-kvm2.patch"))];

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
    package: Option<String>,
    module: Option<String>,
    main: Option<String>,
    #[serde(default = "by_default")]
    says: Vec<String>,
    #[serde(default)]
    release: Vec<Listed>,
}

/// A release that the manifest lists.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    version: String,
    url: String,
    sha256: String,
    member: Option<String>,
    #[serde(default = "amd64")]
    arch: String,
}

impl Listed {
    /// Whether it runs on this machine.
    fn fits(&self) -> bool {
        let own = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        self.arch == own
    }
}

fn amd64() -> String {
    "amd64".to_owned()
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
    /// What its sources are patched with before the user's own patches: name and content. One without is named as ever.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) patches: Vec<(&'static str, &'static str)>,
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

    /// The names of those that are built from Go modules.
    pub fn built(&self) -> Vec<&str> {
        let built = self.components.iter().filter(|(_, program)| program.module.is_some());
        built.map(|(name, _)| name.as_str()).collect()
    }

    /// The Debian package that brings a program.
    pub(super) fn package(&self, name: &str) -> Option<&str> {
        self.components.get(name)?.package.as_deref()
    }

    /// Each release of a component that is listed for this machine: version and address.
    pub fn releases(&self, name: &str) -> Vec<(&str, &str)> {
        self.fitting(name).map(|release| (release.version.as_str(), release.url.as_str())).collect()
    }

    fn fitting(&self, name: &str) -> impl Iterator<Item = &Listed> {
        let listed = self.components.get(name).map(|program| program.release.as_slice()).unwrap_or_default();
        listed.iter().filter(|release| release.fits())
    }

    /// Where a component is from that somebody wants.
    pub(super) fn made(&self, wanted: &Wanted) -> Result<Made, ComponentError> {
        let version = wanted.version.as_deref();
        let module = |name: &str| self.components.get(name).is_none_or(|program| program.module.is_some());
        match &wanted.origin {
            Origin::Release(_) if !self.takes(&wanted.name) => Err(self.unknown(&wanted.name)),
            Origin::Release(release) => Ok(Made::Release(release.clone())),
            Origin::Listed => self.listed(&wanted.name, version).map(Made::Release),
            Origin::First if !module(&wanted.name) => self.listed(&wanted.name, version).map(Made::Release),
            Origin::First | Origin::Module => self.source_at(&wanted.name, version).map(Made::Module),
        }
    }

    /// Whether a program of this name has a place anywhere.
    fn takes(&self, name: &str) -> bool {
        self.components.contains_key(name) || identity::known(name).is_some()
    }

    fn unknown(&self, name: &str) -> ComponentError {
        ComponentError::Unknown { name: name.to_owned(), all: self.built().into_iter().map(str::to_owned).collect() }
    }

    /// A listed release: the first, or the one of a version.
    fn listed(&self, name: &str, version: Option<&str>) -> Result<Release, ComponentError> {
        if !self.takes(name) {
            return Err(self.unknown(name));
        }
        let found = self.fitting(name).find(|release| version.is_none_or(|version| version == release.version));
        let none = || ComponentError::NoRelease {
            wanted: std::iter::once(name).chain(version).collect::<Vec<_>>().join(" "),
            listed: self.fitting(name).map(|release| release.version.clone()).collect(),
        };
        let Listed { url, sha256, member, .. } = found.ok_or_else(none)?.clone();
        Ok(Release { url, sha256, member })
    }

    /// What a component is built from, at a version of the user's choice if one is given (`v2.3.7`).
    pub(super) fn source_at(&self, name: &str, version: Option<&str>) -> Result<Source, ComponentError> {
        let (pinned, module) = self.pinned(name)?;
        let Some(version) = version.filter(|version| *version != pinned.version) else { return Ok(pinned) };
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
        self.pinned(name).map(|(source, _)| source)
    }

    fn pinned(&self, name: &str) -> Result<(Source, &Module), ComponentError> {
        let program = self.components.get(name).ok_or_else(|| self.unknown(name))?;
        let built = program.module.as_ref().zip(program.main.as_ref());
        let (of, package) = built.ok_or_else(|| self.unknown(name))?;
        let module = &self.modules[of];
        let files = MODULES.iter().find(|(name, ..)| name == of);
        let (_, go_mod, go_sum) = files.expect("the shipped manifest is tested");
        let version = required(go_mod, &module.from).expect("the shipped manifest is tested").to_owned();
        let patches = PATCHES.iter().filter(|(name, ..)| name == of).map(|(_, file, text)| (*file, *text)).collect();
        let source = Source {
            name: name.to_owned(),
            package: package.clone(),
            says: program.says.clone(),
            from: module.from.clone(),
            staged: module.staged,
            set: module.set.iter().map(|s| s.replace("{version}", &version)).collect(),
            version,
            pinned: Some(Pinned { go_mod, go_sum, patches }),
        };
        Ok((source, module))
    }
}

/// Where a component is from, found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Made {
    Module(Source),
    Release(Release),
}

/// The arguments with which a program says its version.
pub(super) fn says(name: &str) -> Vec<String> {
    Manifest::shipped().components.remove(name).map_or_else(by_default, |program| program.says)
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
        for name in manifest.built() {
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
    fn a_component_may_have_several_sources() {
        let hex = "0".repeat(64);
        let text = format!(
            "modules = {{}}\n[components.runc]\n[[components.runc.release]]\nversion = \"v1.3.4\"\nurl = \"https://a.example/4\"\n\
             sha256 = \"{hex}\"\n[[components.runc.release]]\nversion = \"v1.3.3\"\nurl = \"https://a.example/3\"\n\
             sha256 = \"{hex}\"\nmember = \"bin/runc\"\n"
        );
        let manifest: Manifest = toml::from_str(&text).unwrap();
        let made = |text: &str| manifest.made(&Wanted::read(text).unwrap());
        let url = |text: &str| match made(text).unwrap() {
            Made::Release(release) => release.url,
            Made::Module(source) => panic!("{source:?}"),
        };
        assert_eq!(
            (url("runc"), url("runc=release")),
            ("https://a.example/4".to_owned(), "https://a.example/4".to_owned())
        );
        assert_eq!(
            (url("runc@v1.3.3"), url("runc=release@v1.3.3")),
            ("https://a.example/3".into(), "https://a.example/3".into())
        );
        let error = made("runc=release@v1.2.0").unwrap_err();
        assert_eq!(error.to_string(), "podferry knows no release of runc v1.2.0");
        assert!(error.hint().unwrap().starts_with("it knows v1.3.4, v1.3.3"), "{:?}", error.hint());
        assert!(matches!(made("runc=module").unwrap_err(), ComponentError::Unknown { .. }));
        assert!(
            matches!(made("crun=release").unwrap_err(), ComponentError::NoRelease { .. }),
            "it has a place, but no release"
        );
        assert!(matches!(
            made(&format!("none=release@http://a#sha256={hex}")).unwrap_err(),
            ComponentError::Unknown { .. }
        ));
    }

    #[test]
    fn listed_releases_can_be_taken() {
        for program in Manifest::shipped().components.values() {
            for Listed { version, url, sha256, member, .. } in program.release.clone() {
                assert_eq!(Release { url, sha256, member }.wrong(), None, "{version}");
            }
        }
    }

    #[test]
    fn each_program_of_the_stack_has_a_source() {
        let manifest = Manifest::shipped();
        let packages = include_str!("../../../fixtures/node/sid.packages");
        for (name, program) in &manifest.components {
            let by_package = program.package.as_deref();
            // podman's package brings it along.
            let named = |package: &str| packages.lines().any(|line| line == package) || package == "conmon";
            assert!(by_package.is_none_or(named), "the node image has no {by_package:?}");
            let sources = [by_package.is_some(), program.module.is_some(), !program.release.is_empty()];
            assert!(sources.contains(&true), "{name} has none");
        }
        for known in &identity::KNOWN {
            assert!(manifest.components.contains_key(known.name), "{} can be replaced, and is not listed", known.name);
        }
        let all = "containerd runc crun criu crictl etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl \
                   kubeadm kind minikube crio bridge ptp host-local";
        for name in all.split_whitespace() {
            assert!(manifest.components.contains_key(name), "{name}");
        }
    }

    #[test]
    fn a_release_for_another_machine_is_none() {
        let text = format!(
            "modules = {{}}\n[components.runc]\n[[components.runc.release]]\nversion = \"v1.4.3\"\nurl = \"https://a.example/4\"\n\
             sha256 = \"{}\"\narch = \"mips\"\n",
            "0".repeat(64)
        );
        let manifest: Manifest = toml::from_str(&text).unwrap();
        assert!(manifest.releases("runc").is_empty());
        let error = manifest.made(&Wanted::read("runc=release").unwrap()).unwrap_err();
        assert!(matches!(error, ComponentError::NoRelease { .. }), "{error}");
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
