//! A component that is to be built from its module, as users write it: `--component containerd=module@v2.3.7+patches/`.

use std::path::PathBuf;

/// Which component, at which version, with which patches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// `containerd`.
    pub name: String,
    /// `v2.3.7`; `None`: the one that podferry pins.
    pub version: Option<String>,
    /// A folder of patches: its files `*.patch`, in the order of their names, as `patch -p1` takes them in the module's own
    /// folder.
    pub patches: Option<PathBuf>,
}

impl Wanted {
    /// A component as podferry pins it; `NAME@VERSION` is one at a version.
    pub fn named(name: &str) -> Wanted {
        let (name, version) = match name.split_once('@') {
            Some((name, version)) => (name, Some(version.to_owned())),
            None => (name, None),
        };
        Wanted { name: name.to_owned(), version, patches: None }
    }

    /// What stands behind `NAME=`: `module`, `module@VERSION`, `module+FOLDER`, `module@VERSION+FOLDER`. `None`: it is the
    /// path of a program.
    pub fn parse(name: &str, value: &str) -> Option<Wanted> {
        let rest = value.strip_prefix(MODULE).filter(|rest| rest.is_empty() || rest.starts_with(['@', '+']))?;
        let (version, patches) = match rest.split_once('+') {
            Some((version, folder)) => (version, Some(PathBuf::from(folder))),
            None => (rest, None),
        };
        Some(Wanted { name: name.to_owned(), version: version.strip_prefix('@').map(str::to_owned), patches })
    }

    /// For people and for names of cases: `containerd@v2.3.7`.
    pub fn label(&self) -> String {
        let version = self.version.iter().map(|version| format!("@{version}"));
        let folder = self.patches.iter().map(|folder| format!("+{}", folder.display()));
        std::iter::once(self.name.clone()).chain(version).chain(folder).collect()
    }
}

const MODULE: &str = "module";

/// Several versions of one component, each of which is to be tested, as `NAME=module@v2.1.9,module@v2.3.7`; what is no
/// module is one path, commas and all.
pub fn alternatives(component: &str) -> Vec<String> {
    match component.split_once('=') {
        Some((name, value)) if Wanted::parse(name, value).is_some() => {
            value.split(',').map(|one| format!("{name}={one}")).collect()
        }
        _ => vec![component.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("module", "containerd")]
    #[case("module@v2.3.7", "containerd@v2.3.7")]
    #[case("module+patches/", "containerd+patches/")]
    #[case("module@v2.3.7+my/patches", "containerd@v2.3.7+my/patches")]
    fn a_module_is_read(#[case] value: &str, #[case] label: &str) {
        assert_eq!(Wanted::parse("containerd", value).unwrap().label(), label);
    }

    #[rstest]
    #[case("./module")]
    #[case("/usr/bin/module")]
    #[case("modules")]
    #[case("module/containerd")]
    fn a_path_is_none(#[case] value: &str) {
        assert_eq!(Wanted::parse("containerd", value), None);
    }

    #[test]
    fn versions_stand_side_by_side() {
        assert_eq!(
            alternatives("containerd=module@v2.1.9,module@v2.3.7"),
            ["containerd=module@v2.1.9", "containerd=module@v2.3.7"]
        );
        assert_eq!(alternatives("runc=/a,b/runc"), ["runc=/a,b/runc"]);
    }
}
