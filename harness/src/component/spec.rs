use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const SHIPPED: &str = include_str!("../../../fixtures/node/sid.packages");

/// What a node image is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeImageSpec {
    /// Its name: the suite, or the file that describes it.
    pub name: String,
    /// The distribution's suite.
    pub suite: String,
    /// Where packages come from; empty: where the bootstrap tool takes that suite from by default.
    pub mirrors: Vec<String>,
    /// Packages, and apt patterns.
    pub packages: Vec<String>,
}

/// What is wrong with a description of a node image.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The file can't be read.
    #[error("can't read the node image's package list {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A line makes no sense.
    #[error("{file}:{line}: {what}")]
    Line {
        /// The file.
        file: String,
        /// Its line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Neither a suite's name nor a file.
    #[error("`{0}` is no name of a suite, and no file of that name is here")]
    Name(String),
    /// No suite is named.
    #[error("{0}: no line `suite = NAME`")]
    NoSuite(String),
}

impl SpecError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            SpecError::Line { .. } | SpecError::NoSuite(_) => {
                Some("lines are `suite = NAME`, `mirror = URL`, one package each, or a # comment".to_owned())
            }
            SpecError::Name(_) => {
                Some("name a suite (sid, trixie) or a file with `suite = NAME` and a package a line".to_owned())
            }
            SpecError::Read { .. } => None,
        }
    }
}

impl NodeImageSpec {
    /// The image that podferry uses by default: Debian sid.
    pub fn shipped() -> NodeImageSpec {
        NodeImageSpec::parse("fixtures/node/sid.packages", "sid", SHIPPED).expect("the shipped list is tested")
    }

    /// What `--node-image SUITE|FILE` names: a file with a list of its own (anything with a `/`, or that is a file),
    /// else a suite with the shipped packages.
    ///
    /// # Errors
    /// The file can't be read or has a bad line; or the suite's name is none.
    pub fn named(argument: &str) -> Result<NodeImageSpec, SpecError> {
        let path = Path::new(argument);
        if argument.contains('/') || path.is_file() {
            let read = |source| SpecError::Read { path: path.to_owned(), source };
            let text = fs::read_to_string(path).map_err(read)?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            return NodeImageSpec::parse(argument, &name, &text);
        }
        if !is_suite(argument) {
            return Err(SpecError::Name(argument.to_owned()));
        }
        Ok(NodeImageSpec { name: argument.to_owned(), suite: argument.to_owned(), ..NodeImageSpec::shipped() })
    }

    /// A list that comes with the program: it is tested.
    pub(crate) fn listed(file: &str, name: &str, text: &str) -> NodeImageSpec {
        NodeImageSpec::parse(file, name, text).expect("the shipped list is tested")
    }

    /// Reads a package list.
    fn parse(file: &str, name: &str, text: &str) -> Result<NodeImageSpec, SpecError> {
        let mut spec = NodeImageSpec { name: name.to_owned(), suite: String::new(), mirrors: vec![], packages: vec![] };
        for (i, line) in text.lines().enumerate() {
            let bad = |what: String| SpecError::Line { file: file.to_owned(), line: i + 1, what };
            let line = line.split('#').next().unwrap_or_default().trim();
            match line.split_once(" = ").map(|(k, v)| (k.trim(), v.trim())) {
                _ if line.is_empty() => {}
                Some(("suite", suite)) if is_suite(suite) => suite.clone_into(&mut spec.suite),
                Some(("suite", suite)) => return Err(bad(format!("`{suite}` is no name of a suite"))),
                Some(("mirror", url)) if is_mirror(url) => spec.mirrors.push(url.to_owned()),
                Some(("mirror", url)) => return Err(bad(format!("`{url}` is no http, https or file URL"))),
                Some((key, _)) => return Err(bad(format!("unknown setting `{key}`: one of suite, mirror"))),
                None if is_package(line) => spec.packages.push(line.to_owned()),
                None => return Err(bad(format!("`{line}` is no name of a package"))),
            }
        }
        if spec.suite.is_empty() {
            return Err(SpecError::NoSuite(file.to_owned()));
        }
        Ok(spec)
    }

    /// A name for this description (16 hex digits), under which the cache notes what it came to last. `builder` is the
    /// version of the code that makes images.
    pub(super) fn key(&self, builder: u32) -> String {
        let mut packages = self.packages.clone();
        packages.sort();
        packages.dedup();
        short_digest(&(builder, std::env::consts::ARCH, &self.suite, &self.mirrors, &packages))
    }
}

/// The first 16 hex digits of the sha256 of a value's JSON.
pub(crate) fn short_digest(value: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(value).expect("plain values are JSON");
    let digest = Sha256::digest(bytes);
    digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

fn is_suite(s: &str) -> bool {
    let first = s.chars().next();
    first.is_some_and(|c| c.is_ascii_lowercase()) && s.chars().all(|c| c.is_ascii_alphanumeric() || "-./".contains(c))
}

fn is_mirror(s: &str) -> bool {
    let plain = s.chars().all(|c| c.is_ascii_graphic());
    plain && ["http://", "https://", "file:/", "copy:/"].iter().any(|scheme| s.starts_with(scheme))
}

/// A package's name (Debian policy 5.6.7), also with `=version` or `/suite`; or an apt pattern. No comma or white space:
/// they would make two of one.
fn is_package(s: &str) -> bool {
    let first = s.chars().next();
    first.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '?')
        && s.chars().all(|c| c.is_ascii_alphanumeric() || "+-.:=~/?()".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shipped_list_has_the_whole_stack() {
        let spec = NodeImageSpec::shipped();
        assert_eq!((spec.name.as_str(), spec.suite.as_str()), ("sid", "sid"));
        for package in [
            "containerd",
            "runc",
            "crun",
            "criu",
            "libcriu2",
            "podman",
            "docker.io",
            "redis-server",
            "?essential",
            "mount",
        ] {
            assert!(spec.packages.iter().any(|p| p == package), "{package}");
        }
    }

    #[test]
    fn another_suite_has_the_shipped_packages_and_another_key() {
        let trixie = NodeImageSpec::named("trixie").unwrap();
        assert_eq!(trixie.packages, NodeImageSpec::shipped().packages);
        assert_ne!(trixie.key(1), NodeImageSpec::shipped().key(1));
        assert_ne!(trixie.key(1), trixie.key(2));
    }

    #[test]
    fn the_order_of_packages_and_the_name_do_not_make_another_image() {
        let a = NodeImageSpec::parse("f", "a", "suite = sid\nrunc\ncriu\n").unwrap();
        let b = NodeImageSpec::parse("f", "b", "criu # dumps\n\nsuite = sid\nrunc\nruncrunc\n").unwrap();
        let c = NodeImageSpec { packages: vec!["criu".into(), "runc".into(), "runc".into()], ..b.clone() };
        assert_eq!(a.key(1), c.key(1));
        assert_ne!(a.key(1), b.key(1));
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = |text: &str| NodeImageSpec::parse("my.packages", "my", text).unwrap_err().to_string();
        assert_eq!(error("suite = sid\nrunc crun\n"), "my.packages:2: `runc crun` is no name of a package");
        assert_eq!(error("suit = sid\n"), "my.packages:1: unknown setting `suit`: one of suite, mirror");
        assert_eq!(error("suite = sid main\n"), "my.packages:1: `sid main` is no name of a suite");
        assert_eq!(error("runc\n"), "my.packages: no line `suite = NAME`");
        assert_eq!(
            NodeImageSpec::named("Sid!").unwrap_err().to_string(),
            "`Sid!` is no name of a suite, and no file of that name is here"
        );
        assert!(NodeImageSpec::named("./nothing.packages").unwrap_err().to_string().contains("./nothing.packages"));
    }

    proptest! {
        #[test]
        fn nothing_read_from_a_list_can_be_an_option_or_a_second_package(text in "(suite = sid\n)?([ -~]{0,12}\n){0,4}") {
            if let Ok(spec) = NodeImageSpec::parse("f", "f", &text) {
                for word in spec.packages.iter().chain([&spec.suite]) {
                    prop_assert!(!word.starts_with('-') && !word.contains([',', ' ', '\'']), "{word}");
                }
            }
        }
    }
}
