use crate::process::ExecError;
use crate::record::{Chain, ErrorClass, Failure};
use std::io;
use std::path::{Path, PathBuf};

/// Why an image could not be made, taken in or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file could not be read or written.
    #[error("can't {what} {}", path.display())]
    Io {
        /// `read`, `write`, ...
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// An archive is no image, or a broken one.
    #[error("{}: {what}", archive.display())]
    Invalid {
        /// The archive.
        archive: PathBuf,
        /// What is wrong with it; names the entry.
        what: String,
    },
    /// An entry of an archive would land outside the folder that it is unpacked to.
    #[error("{}: entry `{entry}` {why}", archive.display())]
    Escaping {
        /// The archive, or the layer.
        archive: PathBuf,
        /// The entry's path.
        entry: String,
        /// What is wrong with it.
        why: String,
    },
    /// Content is not what its digest says.
    #[error("{}: `{entry}` should have the digest {expected} and has {found}", archive.display())]
    Digest {
        /// The archive, or the blob.
        archive: PathBuf,
        /// Which content.
        entry: String,
        /// What was said.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The node image lacks a file that a workload's image is made from.
    #[error("the node image has no {file}, which the image {repository} is made from")]
    NotInNode {
        /// The file, as a path in the node.
        file: String,
        /// The image.
        repository: String,
    },
    /// A static program of podferry's own was not built.
    #[error("no workload binary {}", path.display())]
    NoBinary {
        /// Where it should be.
        path: PathBuf,
    },
    /// A program of podferry's own needs a loader, which its image does not hold.
    #[error("workload binary {} is not static", path.display())]
    NotStatic {
        /// Where it is.
        path: PathBuf,
    },
    /// The libraries that a program needs could not be found out.
    #[error("can't tell which libraries {program} needs")]
    Libraries {
        /// The program, as a path in the node.
        program: String,
        /// The cause.
        #[source]
        source: ExecError,
    },
    /// The store has no such image.
    #[error("no image {reference} in the store {}", store.display())]
    Unknown {
        /// What was asked for.
        reference: String,
        /// The store's folder.
        store: PathBuf,
    },
}

impl ImageError {
    /// Makes an error of a file; for `map_err`.
    pub(crate) fn io(what: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| ImageError::Io { what, path, source }
    }

    /// The error's kind, for reports and for scenarios that expect it.
    pub fn class(&self) -> ErrorClass {
        match self {
            ImageError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => ErrorClass::NoSpace,
            ImageError::Io { .. } | ImageError::NotInNode { .. } => ErrorClass::Surroundings,
            ImageError::NoBinary { .. } | ImageError::NotStatic { .. } => ErrorClass::Surroundings,
            ImageError::Libraries { .. } => ErrorClass::Surroundings,
            ImageError::Invalid { .. } | ImageError::Unknown { .. } => ErrorClass::InvalidImage,
            ImageError::Escaping { .. } => ErrorClass::EscapingEntry,
            ImageError::Digest { .. } => ErrorClass::DigestMismatch,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ImageError::NoBinary { .. } | ImageError::NotStatic { .. } => Some(
                "`cargo xtask e2e` builds the workloads; or name the folder that holds them in PODFERRY_WORKLOADS"
                    .to_owned(),
            ),
            ImageError::NotInNode { .. } => {
                Some("add the package that holds it to the node image's manifest under fixtures/".to_owned())
            }
            _ => None,
        }
    }
}

impl From<ImageError> for Failure {
    fn from(e: ImageError) -> Self {
        Failure { class: e.class(), message: Chain(&e).to_string(), hint: e.hint(), log: Vec::new() }
    }
}
