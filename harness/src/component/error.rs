use super::spec::SpecError;
use crate::process::ExecError;
use crate::record::{Chain, ErrorClass, Failure};
use std::io;
use std::path::{Path, PathBuf};

/// Whose fault an error is; the exit code follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What the user wrote is wrong.
    Usage,
    /// The host lacks something that the user can install or allow.
    Host,
    /// The surroundings failed: network, disk, the package archive.
    Surroundings,
}

/// Why a node image or a component is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The description of the image is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The host lacks a program.
    #[error("this system lacks {what}: {why}")]
    Lacks {
        /// The program.
        what: String,
        /// Why podferry did not install it.
        why: String,
        /// What the user can do.
        remedy: String,
    },
    /// The image could not be made.
    #[error("can't make the node image {name}: {reason}{}", quoted(tail))]
    Build {
        /// The image.
        name: String,
        /// What went wrong, in one sentence.
        reason: String,
        /// The last lines of the bootstrap tool's output.
        tail: Vec<String>,
        /// What the user can do.
        remedy: String,
    },
    /// No component of this name is built from a module.
    #[error("podferry builds no component `{name}`")]
    Unknown {
        /// What was written.
        name: String,
        /// Those that are.
        all: Vec<String>,
    },
    /// It is built at one version alone, and this is another.
    #[error("podferry builds no {wanted}")]
    Version {
        /// What was asked for.
        wanted: String,
        /// What is built.
        shipped: String,
    },
    /// What was given is no version.
    #[error("`{version}` is no version of {name}")]
    NoVersion {
        /// The component.
        name: String,
        /// What was written.
        version: String,
    },
    /// What was written of a component to be got can't be taken.
    #[error("`{given}` can't be taken: {why}")]
    Form {
        /// What was written.
        given: String,
        /// What is wrong with it.
        why: String,
    },
    /// No release of this is listed.
    #[error("podferry knows no release of {wanted}")]
    NoRelease {
        /// `runc v1.3.4`.
        wanted: String,
        /// The versions that are.
        listed: Vec<String>,
    },
    /// A release could not be got.
    #[error("can't get {name} from {url}: {reason}")]
    Download {
        /// The component.
        name: String,
        /// The address.
        url: String,
        /// What went wrong.
        reason: String,
        /// What the user can do.
        remedy: String,
    },
    /// A component could not be built.
    #[error("can't build {name}: {reason}{}", quoted(tail))]
    Module {
        /// The component.
        name: String,
        /// What went wrong, in one sentence.
        reason: String,
        /// The last lines of what the program said that failed.
        tail: Vec<String>,
        /// What the user can do.
        remedy: String,
    },
    /// A program failed.
    #[error("{doing}")]
    Exec {
        /// What it was for.
        doing: String,
        /// The cause.
        #[source]
        source: ExecError,
    },
    /// A file or folder of the cache, or of the image, could not be used.
    #[error("{doing} {}", path.display())]
    Io {
        /// `can't read`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// How a release is named.
const AT: &str = "release@URL#sha256=HEX[&member=PATH]";

fn quoted(tail: &[String]) -> String {
    tail.iter().map(|line| format!("\n  | {line}")).collect()
}

impl ComponentError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            ComponentError::Spec(_)
            | ComponentError::Unknown { .. }
            | ComponentError::NoVersion { .. }
            | ComponentError::Form { .. }
            | ComponentError::NoRelease { .. }
            | ComponentError::Version { .. } => Fault::Usage,
            ComponentError::Lacks { .. } => Fault::Host,
            ComponentError::Build { .. }
            | ComponentError::Module { .. }
            | ComponentError::Download { .. }
            | ComponentError::Exec { .. }
            | ComponentError::Io { .. } => Fault::Surroundings,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ComponentError::Lacks { remedy, .. }
            | ComponentError::Build { remedy, .. }
            | ComponentError::Download { remedy, .. }
            | ComponentError::Module { remedy, .. } => Some(remedy.clone()),
            ComponentError::Version { shipped, .. } => Some(format!("it builds {shipped}")),
            ComponentError::NoVersion { name, .. } if name == "Kubernetes" => {
                Some("for example 1.36, which is the newest of that minor version, or 1.35.4".to_owned())
            }
            ComponentError::NoVersion { .. } => Some("for example v2.3.7".to_owned()),
            ComponentError::Form { .. } => {
                Some(format!("a source is {AT}, release[@VERSION] or module[@VERSION][+PATCHES]"))
            }
            ComponentError::NoRelease { listed, .. } if listed.is_empty() => Some(format!("name it: NAME={AT}")),
            ComponentError::NoRelease { listed, .. } => {
                Some(format!("it knows {}; any other is named by NAME={AT}", listed.join(", ")))
            }
            ComponentError::Unknown { all, .. } => Some(format!("one of {}", all.join(", "))),
            ComponentError::Spec(e) => e.hint(),
            ComponentError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("make room, or name another place by PODFERRY_CACHE".to_owned())
            }
            ComponentError::Exec { .. } | ComponentError::Io { .. } => None,
        }
    }

    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ComponentError + use<> {
        let path = path.to_owned();
        move |source| ComponentError::Io { doing, path, source }
    }
}

impl From<&ComponentError> for Failure {
    fn from(error: &ComponentError) -> Failure {
        let class = match error {
            ComponentError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => ErrorClass::NoSpace,
            _ => ErrorClass::Surroundings,
        };
        let log = match error {
            ComponentError::Build { tail, .. } | ComponentError::Module { tail, .. } => tail.clone(),
            _ => Vec::new(),
        };
        let message = match error {
            ComponentError::Build { name, reason, .. } => format!("can't make the node image {name}: {reason}"),
            ComponentError::Module { name, reason, .. } => format!("can't build {name}: {reason}"),
            _ => Chain(error).to_string(),
        };
        Failure { class, message, hint: error.hint(), log }
    }
}
