//! From what containerd, runc and CRIU say to a class of error. Pure; the texts are those of containerd 2.1.9, runc
//! 1.3.6 and criu 4.2.1. All but "not found" comes as gRPC `UNKNOWN`, so text is all there is.

use crate::engine::criu_words;
use crate::record::ErrorClass as C;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum During {
    /// Making a sandbox, pulling an image, starting from an image.
    Start,
    /// Freezing, thawing, looking.
    Control,
    /// A checkpoint.
    Checkpoint,
    /// Either call of a restore.
    Restore,
}

impl During {
    /// A hint, with what a daemon that went in the middle of it leaves behind.
    pub(in crate::engine) fn add_to(self, hint: &str, class: C) -> String {
        let more = match (class, self) {
            (C::DaemonGone, During::Checkpoint) => "; the container that was being checkpointed may be frozen",
            (C::DaemonGone, During::Restore) => "; the runtime may have gone on with the restore without it",
            _ => "",
        };
        format!("{hint}{more}")
    }
}

/// The class of an error, from the engine's message and the lines of CRIU's log. The first rule that matches wins:
/// causes stand before the general failures that they make.
pub(in crate::engine) fn classify(during: During, message: &str, criu: &[String]) -> C {
    let says = |text: &str| message.contains(text) || criu.iter().any(|line| line.contains(text));
    let any = |texts: &[&str]| texts.iter().any(|text| says(text));

    if any(GONE) {
        C::DaemonGone
    } else if any(&["no space left on device", "No space left on device"]) {
        C::NoSpace
    } else if any(CRIU) {
        C::CriuMissing
    } else if any(&["Connected TCP socket"]) {
        C::ConnectedTcp
    } else if any(&["file locks are hold"]) {
        C::FileLocks
    } else if any(crate::engine::criu_log::MOUNT_MISSING) {
        C::MountMissing
    } else if during == During::Restore && any(crate::engine::criu_log::FILES_DIFFER) {
        C::FilesDiffer
    } else if any(&["is reserved for", "failed to reserve container name", "failed to reserve sandbox name"]) {
        C::NameTaken
    } else if any(&["disabled by configuration", "unknown method CheckpointContainer", "not implemented"]) {
        C::Unsupported
    } else {
        match during {
            During::Start => start(&any),
            During::Control => control(&any),
            During::Checkpoint => criu_words::dump(&says).unwrap_or_else(|| checkpoint(&any)),
            During::Restore => restore(&any, criu_words::restore(&says)),
        }
    }
}

const GONE: &[&str] = &[
    "transport error",
    "connection error",
    "error reading a body from connection",
    "tcp connect error",
    "containerd.sock: connect: connection refused",
    "containerd is not running",
    "h2 protocol error",
    "operation was canceled",
    "Connection reset by peer",
    "Connection refused (os error 111)",
    // What Go's clients say of a server that ends in the middle of a call: `ctr` in an import, the kubelet in anything. A registry
    // that does so is told otherwise.
    "error reading from server",
    "failed to send write: EOF",
    "containerd.sock: write: broken pipe",
];

/// The second is what runc 1.3.6 says of a CRIU that calls itself 2.6: `CRIU version 20600 must be 30000 or higher`.
const CRIU: &[&str] = &[
    "CRIU binary not found or too old",
    "CRIU version ",
    "exec: \"criu\"",
    "criu binary not found",
    // crun's.
    "could not load `libcriu",
    "libcriu is too old",
    "failed CRIU version check",
    "CRIU: failed checking version",
];

const BASE_IMAGE: &[&str] = &[
    "failed to pull checkpoint base image",
    "failed to get checkpoint base image",
    "during checkpoint import: not found",
];

fn start(any: &dyn Fn(&[&str]) -> bool) -> C {
    if any(&["failed to pull and unpack image", "failed to resolve reference", "failed to resolve image"]) {
        C::InvalidImage
    } else if any(&["an error occurred when try to find container", "not found"]) {
        C::UnknownContainer
    } else {
        C::Other
    }
}

fn control(any: &dyn Fn(&[&str]) -> bool) -> C {
    if any(&["not found"]) {
        C::UnknownContainer
    } else if any(&["not running", "process already finished", "cannot pause", "cannot resume"]) {
        C::NotRunning
    } else {
        C::Other
    }
}

fn checkpoint(any: &dyn Fn(&[&str]) -> bool) -> C {
    // The last is said in the moment between a task's end and CRI's notice of it.
    if any(&[
        "only CONTAINER_RUNNING containers can be checkpointed",
        "container not running",
        "failed to get task for container",
        // Seen of containerd 2.1.9 in the moment between a task's end and its CONTAINER_EXITED. Of a container that it
        // does not know it speaks otherwise.
        "failed: task ",
        "failed: not found",
        "failed: container not created: not found",
        // The shim's own words for each state that a process can be in by then.
        "cannot pause a stopped ",
        "cannot pause a deleted ",
        "cannot pause task in created state",
        "cannot checkpoint a stopped ",
        "cannot checkpoint a deleted ",
    ]) {
        C::NotRunning
    } else if any(&["criu failed: type DUMP", "criu failed: type FEATURE_CHECK"]) || any(SECOND) {
        C::DumpFailed
    } else if any(&["an error occurred when trying to find container", "not found"]) {
        C::UnknownContainer
    } else if any(&["failed: ", "checkpointing container", "runc did not terminate successfully"]) {
        C::DumpFailed
    } else {
        C::Other
    }
}

/// Two checkpoints of one container at once (containerd 2.1.9): they pause it, name an image (by the second) and use a
/// folder, each as if it were alone.
const SECOND: &[&str] = &["cannot pause a paused container", "image \"containerd.io/checkpoint/", "/ctrd-checkpoint"];

fn restore(any: &dyn Fn(&[&str]) -> bool, images: Option<C>) -> C {
    if any(BASE_IMAGE) {
        C::BaseImageMissing
    } else if any(&[crate::engine::criu_words::ADDRESS_MISSING]) {
        C::AddressMissing
    } else if any(PORT) {
        C::PortTaken
    } else if any(ARCHIVE) {
        C::InvalidArchive
    } else if let Some(class) = images {
        class
    } else if any(&["failed to pull and unpack image", "failed to resolve reference", "failed to resolve image"]) {
        C::InvalidImage
    } else if any(&["failed: type RESTORE", "OCI runtime restore failed", "failed to restore", "status 64"]) {
        C::RestoreFailed
    } else if any(&["an error occurred when try to find container", "not found"]) {
        C::UnknownContainer
    } else {
        C::Other
    }
}

/// A listener that cannot be opened again.
const PORT: &[&str] = &["Address already in use", "Can't bind inet socket", "Can't bind inet6 socket"];

/// containerd cannot read the archive.
const ARCHIVE: &[&str] = &[
    "unpacking of checkpoint archive",
    "unpacking of rootfs-diff archive",
    "failed to read \"spec.dump\"",
    "failed to read \"config.dump\"",
    "failed to read \"status.dump\"",
    "failed to open checkpoint archive",
    "failed to check if this is a checkpoint image",
    "invalid tar header",
    ": is a directory",
    // The words of `ctr images import`.
    "failed to ingest",
    "unrecognized image format",
    // What it imports has the digest that it is found to have; what was meant is not there then.
    "content digest ",
];

/// What a user can do about it, by what was under way.
pub(in crate::engine) fn hint_during(during: During, class: C) -> Option<String> {
    hint(class).map(|hint| during.add_to(hint, class))
}

/// What a user can do about it.
pub(in crate::engine) fn hint(class: C) -> Option<&'static str> {
    Some(match class {
        C::BaseImageMissing => {
            "containerd 2.1 asks the registry for the base image by digest at every restore: the target's registry must \
             serve the very image that the container was made from"
        }
        C::NoPrivilege => "run the workload as user 0, or podferry where root has CAP_SYS_RESOURCE",
        C::CriuMissing => "put criu 3.16 or later into the node, on containerd's PATH",
        C::DaemonGone => "containerd.log of the node says why",
        C::NoSpace => "a CRI checkpoint holds up to four copies of the container's memory for a while",
        C::MountMissing => "a restore must be given every bind mount of the checkpointed container, by container path",
        other => return criu_words::hint(other),
    })
}

#[cfg(test)]
#[path = "classify/tests.rs"]
mod tests;
