use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt;

/// What kind of thing went wrong, so that a scenario can expect it and a report can count it. Texts of engines change
/// from version to version; classes do not. A closed set: an engine maps what it cannot place to `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// The archive or image set is unreadable, cut, or lacks an entry.
    InvalidArchive,
    /// An entry of an archive would land outside the folder it is unpacked to.
    EscapingEntry,
    /// The digest of what arrived is not the digest of what was sent.
    DigestMismatch,
    /// The image that the container was made from is not to be had on the target.
    BaseImageMissing,
    /// A container image could not be read or unpacked.
    InvalidImage,
    /// The `criu` program is absent or too old.
    CriuMissing,
    /// CRIU refused or failed to dump.
    DumpFailed,
    /// CRIU refused or failed to restore.
    RestoreFailed,
    /// CRIU refused because of an established TCP connection.
    ConnectedTcp,
    /// CRIU refused because of file locks.
    FileLocks,
    /// CRIU refused because of an io_uring.
    IoUring,
    /// CRIU refused because of a watched file (inotify) that it cannot find again.
    Inotify,
    /// CRIU refused because of a deleted file that is held open and is larger than its limit.
    DeletedFile,
    /// CRIU refused because of a socket whose other end is outside of the container.
    ExternalSocket,
    /// CRIU lacks a capability that this dump or restore takes.
    NoPrivilege,
    /// A container of that name exists.
    NameTaken,
    /// A port that the restored process listens on is taken.
    PortTaken,
    /// A connection was to be restored at an address that the copy does not have.
    AddressMissing,
    /// A mount of the checkpointed container is not there on restore.
    MountMissing,
    /// A file that the restored process had open is not there, or is of another size.
    FilesDiffer,
    /// No space left on the device.
    NoSpace,
    /// No memory left: the kernel refused it, or killed a process for it.
    NoMemory,
    /// The network between two nodes let nothing through.
    LinkBroken,
    /// Memory of a restored process that was to come after it never came: the process is lost with it.
    PagesLost,
    /// The container is not running.
    NotRunning,
    /// No such container.
    UnknownContainer,
    /// The engine cannot do this; seen only after its capabilities said that it could.
    Unsupported,
    /// The engine's daemon went away or cannot be reached.
    DaemonGone,
    /// A step took longer than it was given.
    Timeout,
    /// An unguarded call was given up by its client: its deadline passed, or it was dropped.
    GivenUp,
    /// The workload did not answer, or answered nonsense.
    WorkloadUnreachable,
    /// The surroundings failed: no node, no network, no room on the host.
    Surroundings,
    /// None of the above.
    Other,
}

impl ErrorClass {
    /// The class as users write it.
    pub fn name(self) -> &'static str {
        use ErrorClass as C;
        match self {
            C::InvalidArchive => "invalid-archive",
            C::EscapingEntry => "escaping-entry",
            C::DigestMismatch => "digest-mismatch",
            C::BaseImageMissing => "base-image-missing",
            C::InvalidImage => "invalid-image",
            C::CriuMissing => "criu-missing",
            C::DumpFailed => "dump-failed",
            C::RestoreFailed => "restore-failed",
            C::ConnectedTcp => "connected-tcp",
            C::FileLocks => "file-locks",
            C::IoUring => "io-uring",
            C::Inotify => "inotify",
            C::DeletedFile => "deleted-file",
            C::ExternalSocket => "external-socket",
            C::NoPrivilege => "no-privilege",
            C::NameTaken => "name-taken",
            C::PortTaken => "port-taken",
            C::AddressMissing => "address-missing",
            C::MountMissing => "mount-missing",
            C::FilesDiffer => "files-differ",
            C::NoSpace => "no-space",
            C::NoMemory => "no-memory",
            C::LinkBroken => "link-broken",
            C::PagesLost => "pages-lost",
            C::NotRunning => "not-running",
            C::UnknownContainer => "unknown-container",
            C::Unsupported => "unsupported",
            C::DaemonGone => "daemon-gone",
            C::Timeout => "timeout",
            C::GivenUp => "given-up",
            C::WorkloadUnreachable => "workload-unreachable",
            C::Surroundings => "surroundings",
            C::Other => "other",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error as it is recorded: what a step met, with what helps to understand it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Failure {
    /// The kind of failure.
    pub class: ErrorClass,
    /// The chain of causes, outermost first, joined by `: `. Names the thing it happened to.
    pub message: String,
    /// What the user can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The lines of CRIU's (or another tool's) log that matter, saved before the runtime deletes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl Failure {
    /// A failure of a class.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Failure { class, message: message.into(), hint: None, log: Vec::new() }
    }

    /// A failure that says nothing of the stack under test.
    pub fn surroundings(message: impl Into<String>) -> Self {
        Failure::new(ErrorClass::Surroundings, message)
    }
}

/// An error and its causes as one text, outermost first, joined by `: `.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
