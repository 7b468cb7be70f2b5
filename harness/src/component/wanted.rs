//! A component that podferry is to get by itself, as users write it: `--component containerd=module@v2.3.7+patches/`,
//! `--component runc=release@URL#sha256=HEX`.

use super::error::ComponentError;
use std::path::PathBuf;

/// Which component, at which version, from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// `containerd`.
    pub name: String,
    /// `v2.3.7`; `None`: the one that podferry pins.
    pub version: Option<String>,
    /// A folder of patches: its files `*.patch`, in the order of their names, as `patch -p1` takes them in the module's own
    /// folder. Of a module alone.
    pub patches: Option<PathBuf>,
    /// Where it is from.
    pub origin: Origin,
}

/// Where a component is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// As the manifest has it first: its module, or else a release.
    First,
    /// Built from its Go module.
    Module,
    /// A release that the manifest lists.
    Listed,
    /// A release that the user names.
    Release(Release),
}

/// A file that its makers published: a program, or an archive that has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// `https://...`.
    pub url: String,
    /// Of the file at that address, 64 hexadecimal digits.
    pub sha256: String,
    /// Where the program is in the archive; `None`: where its name is.
    pub member: Option<String>,
}

impl Release {
    /// What is wrong with it, if anything is.
    pub(super) fn wrong(&self) -> Option<&'static str> {
        let digest = self.sha256.len() == 64 && self.sha256.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        if !self.url.starts_with("https://") && !self.url.starts_with("http://") {
            Some("its address begins neither with https:// nor with http://")
        } else if self.sha256.is_empty() {
            Some("it has no digest, and what comes from a network is taken by its digest alone")
        } else {
            (!digest).then_some("its digest is not of 64 hexadecimal digits in small letters")
        }
    }

    /// `URL#sha256=HEX&member=PATH`.
    fn read(text: &str) -> Result<Release, String> {
        let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
        let mut release = Release { url: url.to_owned(), sha256: String::new(), member: None };
        for part in fragment.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("sha256", digest)) => release.sha256 = digest.to_owned(),
                Some(("member", path)) => release.member = Some(path.to_owned()),
                _ => return Err(format!("`{part}` is neither sha256=HEX nor member=PATH")),
            }
        }
        release.wrong().map_or(Ok(release), |why| Err(why.to_owned()))
    }
}

impl Wanted {
    /// A component as podferry pins it; `NAME@VERSION` is one at a version.
    pub fn named(name: &str) -> Wanted {
        let (name, version) = match name.split_once('@') {
            Some((name, version)) => (name, Some(version.to_owned())),
            None => (name, None),
        };
        Wanted { name: name.to_owned(), version, patches: None, origin: Origin::First }
    }

    /// What stands behind `NAME=`: `module`, `module@VERSION`, `module+FOLDER`, `module@VERSION+FOLDER`, `release`,
    /// `release@VERSION`, `release@URL#sha256=HEX&member=PATH`. `None`: it is the path of a program.
    ///
    /// # Errors
    /// It is a release that can't be taken as it is written.
    pub fn parse(name: &str, value: &str) -> Result<Option<Wanted>, ComponentError> {
        let wanted = |version: Option<&str>, patches, origin| Wanted {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            patches,
            origin,
        };
        let Some((rest, word)) = [MODULE, RELEASE].iter().find_map(|word| Some((behind(value, word)?, *word))) else {
            return Ok(None);
        };
        if word == RELEASE {
            if rest.starts_with('+') {
                let why = "a release can't be patched: a module can".to_owned();
                return Err(ComponentError::Form { given: format!("{name}={value}"), why });
            }
            let at = rest.strip_prefix('@');
            return match at.filter(|at| at.contains(':') || at.contains('#')) {
                None => Ok(Some(wanted(at, None, Origin::Listed))),
                Some(text) => match Release::read(text) {
                    Ok(release) => Ok(Some(wanted(None, None, Origin::Release(release)))),
                    Err(why) => Err(ComponentError::Form { given: format!("{name}={value}"), why }),
                },
            };
        }
        let (version, patches) = match rest.split_once('+') {
            Some((version, folder)) => (version, Some(PathBuf::from(folder))),
            None => (rest, None),
        };
        Ok(Some(wanted(version.strip_prefix('@'), patches, Origin::Module)))
    }

    /// As `podferry component` takes them: `kubelet`, `containerd@v2.3.7`, or with a source, as behind `--component`.
    ///
    /// # Errors
    /// It is a path, or as [`Wanted::parse`].
    pub fn read(text: &str) -> Result<Wanted, ComponentError> {
        match text.split_once('=') {
            None => Ok(Wanted::named(text)),
            Some((name, value)) => Wanted::parse(name, value)?.ok_or_else(|| ComponentError::Form {
                given: text.to_owned(),
                why: "it is neither a module nor a release".to_owned(),
            }),
        }
    }

    /// For people and for names of cases: `containerd@v2.3.7`.
    pub fn label(&self) -> String {
        let file = match &self.origin {
            Origin::Release(release) => release.url.rsplit('/').next().map(|file| format!("@{file}")),
            _ => None,
        };
        let version = self.version.iter().map(|version| format!("@{version}"));
        let folder = self.patches.iter().map(|folder| format!("+{}", folder.display()));
        std::iter::once(self.name.clone()).chain(version).chain(file).chain(folder).collect()
    }
}

const MODULE: &str = "module";
const RELEASE: &str = "release";

/// What follows a word, if it is that word.
fn behind<'a>(value: &'a str, word: &str) -> Option<&'a str> {
    value.strip_prefix(word).filter(|rest| rest.is_empty() || rest.starts_with(['@', '+']))
}

/// Several versions of one component, each of which is to be tested, as `NAME=module@v2.1.9,module@v2.3.7`; what is neither a
/// module nor a release is one path, commas and all.
pub fn alternatives(component: &str) -> Vec<String> {
    let got = |value: &str| {
        let first = value.split(',').next().unwrap_or_default();
        [MODULE, RELEASE].iter().any(|word| behind(first, word).is_some())
    };
    let Some((name, value)) = component.split_once('=').filter(|(_, value)| got(value)) else {
        return vec![component.to_owned()];
    };
    let mut all: Vec<String> = Vec::new();
    for part in value.split(',') {
        // An address may have a comma in it.
        match all.last_mut().filter(|_| !got(part)) {
            Some(last) => *last += &format!(",{part}"),
            None => all.push(format!("{name}={part}")),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[rstest]
    #[case("module", "containerd")]
    #[case("module@v2.3.7", "containerd@v2.3.7")]
    #[case("module+patches/", "containerd+patches/")]
    #[case("module@v2.3.7+my/patches", "containerd@v2.3.7+my/patches")]
    #[case("release", "containerd")]
    #[case("release@v2.1.5", "containerd@v2.1.5")]
    fn a_source_is_read(#[case] value: &str, #[case] label: &str) {
        assert_eq!(Wanted::parse("containerd", value).unwrap().unwrap().label(), label);
    }

    #[rstest]
    #[case("./module")]
    #[case("/usr/bin/module")]
    #[case("modules")]
    #[case("module/containerd")]
    #[case("releases/containerd")]
    fn a_path_is_none(#[case] value: &str) {
        assert_eq!(Wanted::parse("containerd", value).unwrap(), None);
    }

    #[test]
    fn a_release_is_an_address_and_a_digest() {
        let text = format!("containerd=release@https://a.example/v2/c-2.tar.gz#sha256={HEX}&member=bin/containerd");
        let wanted = Wanted::read(&text).unwrap();
        assert_eq!(wanted.label(), "containerd@c-2.tar.gz");
        let Origin::Release(release) = wanted.origin else { panic!("{wanted:?}") };
        assert_eq!((release.url.as_str(), release.sha256.as_str()), ("https://a.example/v2/c-2.tar.gz", HEX));
        assert_eq!(release.member.as_deref(), Some("bin/containerd"));
    }

    #[rstest]
    #[case(
        "runc=release@https://a.example/runc",
        "it has no digest, and what comes from a network is taken by its digest alone"
    )]
    #[case(
        "runc=release@https://a.example/runc#sha256=abc",
        "its digest is not of 64 hexadecimal digits in small letters"
    )]
    #[case("runc=release@https://a.example/runc#md5=1", "`md5=1` is neither sha256=HEX nor member=PATH")]
    #[case("runc=release@file:///runc#sha256=", "its address begins neither with https:// nor with http://")]
    #[case("runc=release+patches/", "a release can't be patched: a module can")]
    #[case("runc=./runc", "it is neither a module nor a release")]
    fn what_is_wrong_with_a_release_is_told(#[case] text: &str, #[case] why: &str) {
        let error = Wanted::read(text).unwrap_err();
        assert_eq!(error.to_string(), format!("`{text}` can't be taken: {why}"));
        assert_eq!(error.fault(), crate::component::Fault::Usage);
        assert!(error.hint().unwrap().contains("release@URL#sha256=HEX"), "{:?}", error.hint());
    }

    #[test]
    fn versions_stand_side_by_side() {
        assert_eq!(
            alternatives("containerd=module@v2.1.9,module@v2.3.7"),
            ["containerd=module@v2.1.9", "containerd=module@v2.3.7"]
        );
        assert_eq!(
            alternatives("containerd=release@http://a/x,y#sha256=1,module"),
            ["containerd=release@http://a/x,y#sha256=1", "containerd=module"]
        );
        assert_eq!(alternatives("runc=/a,b/runc"), ["runc=/a,b/runc"]);
    }

    proptest! {
        #[test]
        fn nothing_that_is_written_is_lost(parts in proptest::collection::vec("(module|release)(@[a-z0-9.:/#=]{1,9})?", 1..5)) {
            let all = alternatives(&format!("x={}", parts.join(",")));
            let again: Vec<&str> = all.iter().map(|one| one.strip_prefix("x=").unwrap()).collect();
            prop_assert_eq!(again, parts);
        }
    }
}
