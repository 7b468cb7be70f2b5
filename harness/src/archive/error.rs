use crate::record::{ErrorClass, Failure};
use std::io;
use std::path::{Path, PathBuf};

/// Why a checkpoint could not be read, carried or damaged, or what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is cut, lacks something, or is not what it should be.
    #[error("checkpoint {}{}: {what}", .archive.display(), .entry.as_ref().map(|e| format!(", entry `{e}`")).unwrap_or_default())]
    Invalid {
        /// The archive or folder.
        archive: PathBuf,
        /// The entry, if it is about one.
        entry: Option<String>,
        /// What is wrong.
        what: String,
    },
    /// An entry, or a link, leads out of the folder that the checkpoint is unpacked to.
    #[error("checkpoint {}, entry `{entry}`: {what}, and would land outside the folder that it is unpacked to", .archive.display())]
    Escaping {
        /// The archive or folder.
        archive: PathBuf,
        /// The entry.
        entry: String,
        /// How it leads out.
        what: String,
    },
    /// There is no such checkpoint.
    #[error("checkpoint {}: there is no such file or folder", .archive.display())]
    Absent {
        /// Where it should be.
        archive: PathBuf,
    },
    /// The entry that was named is not in it.
    #[error("checkpoint {}: it has no entry `{entry}`", .archive.display())]
    NoEntry {
        /// The archive or folder.
        archive: PathBuf,
        /// The entry that was asked for.
        entry: String,
    },
    /// No space is left where it is written.
    #[error("can't write {}: no space left on the device", .path.display())]
    NoSpace {
        /// The file.
        path: PathBuf,
    },
    /// Nothing comes or goes over the network any more.
    #[error("can't {doing} {}: the link is broken: {source}", .path.display())]
    Link {
        /// `send`, `receive`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Reading or writing failed otherwise.
    #[error("can't {doing} {}: {source}", .path.display())]
    Io {
        /// `read`, `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl ArchiveError {
    pub(super) fn invalid(archive: &Path, entry: Option<&str>, what: impl Into<String>) -> Self {
        ArchiveError::Invalid { archive: archive.to_owned(), entry: entry.map(str::to_owned), what: what.into() }
    }

    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                ArchiveError::NoSpace { path: path.to_owned() }
            }
            _ => ArchiveError::Io { doing, path: path.to_owned(), source },
        }
    }

    /// What failed between two nodes: their link, unless it is something else's well-known error.
    pub(crate) fn of_link(doing: &'static str, path: &Path, source: io::Error) -> Self {
        use io::ErrorKind as K;
        match source.kind() {
            K::StorageFull | K::QuotaExceeded => ArchiveError::NoSpace { path: path.to_owned() },
            K::NotFound | K::PermissionDenied => ArchiveError::Io { doing, path: path.to_owned(), source },
            _ => ArchiveError::Link { doing, path: path.to_owned(), source },
        }
    }

    /// What kind of failure it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            ArchiveError::Invalid { .. } | ArchiveError::Absent { .. } | ArchiveError::NoEntry { .. } => {
                ErrorClass::InvalidArchive
            }
            ArchiveError::Escaping { .. } => ErrorClass::EscapingEntry,
            ArchiveError::NoSpace { .. } => ErrorClass::NoSpace,
            ArchiveError::Link { .. } => ErrorClass::LinkBroken,
            ArchiveError::Io { .. } => ErrorClass::Surroundings,
        }
    }
}

impl From<ArchiveError> for Failure {
    fn from(e: ArchiveError) -> Self {
        Failure { class: e.class(), message: e.to_string(), hint: None, log: Vec::new() }
    }
}
