//! The classes of errors, for `podferry explain` and for did-you-mean.

use crate::record::ErrorClass as C;

/// All classes, in the order of `record`.
pub(super) const ALL: [C; 33] = [
    C::InvalidArchive,
    C::EscapingEntry,
    C::DigestMismatch,
    C::BaseImageMissing,
    C::InvalidImage,
    C::CriuMissing,
    C::DumpFailed,
    C::RestoreFailed,
    C::ConnectedTcp,
    C::FileLocks,
    C::IoUring,
    C::Inotify,
    C::DeletedFile,
    C::ExternalSocket,
    C::NoPrivilege,
    C::NameTaken,
    C::PortTaken,
    C::AddressMissing,
    C::MountMissing,
    C::FilesDiffer,
    C::NoSpace,
    C::NoMemory,
    C::LinkBroken,
    C::PagesLost,
    C::NotRunning,
    C::UnknownContainer,
    C::Unsupported,
    C::DaemonGone,
    C::Timeout,
    C::GivenUp,
    C::WorkloadUnreachable,
    C::Surroundings,
    C::Other,
];

/// What a class means and what helps.
pub(super) fn text(class: C) -> &'static str {
    match class {
        C::InvalidArchive => {
            "The checkpoint archive or image set is unreadable, cut short, or lacks an entry that every \
            checkpoint has. The harness looks before it hands an archive to an engine; `verify: false` skips that."
        }
        C::EscapingEntry => {
            "An entry of the archive has a path (absolute, with `..`, or through a link) that would be \
            unpacked outside of its folder. Such an archive is never unpacked."
        }
        C::DigestMismatch => "What arrived on the target is not what the source sent: its sha256 differs.",
        C::BaseImageMissing => {
            "A restore needs the image that the checkpointed container was made from, and the target \
            cannot get it."
        }
        C::InvalidImage => "A container image (OCI or docker archive) could not be read or unpacked.",
        C::CriuMissing => {
            "The node has no `criu`, or one that is too old for the runtime. `podferry doctor` shows which."
        }
        C::DumpFailed => {
            "CRIU refused or failed to dump. The lines of its log that matter stand beside the error; the \
            whole log is in the run's folder."
        }
        C::RestoreFailed => {
            "CRIU refused or failed to restore. The lines of its log that matter stand beside the error; \
            the whole log is in the run's folder."
        }
        C::ConnectedTcp => {
            "CRIU does not dump a process with an established TCP connection unless told to \
            (`--tcp-established`), or to close them (`--tcp-close`): `criu: {tcp: keep}` or `close` in a scenario."
        }
        C::FileLocks => {
            "CRIU does not dump a process that holds file locks unless told to (`--file-locks`: `criu: {fileLocks: true}` in a scenario, which is the default)."
        }
        C::IoUring => {
            "CRIU cannot dump a process that has an io_uring, and there is no option that helps. Programs that use one \
            if they can (databases, language runtimes) often have a setting that turns it off."
        }
        C::Inotify => {
            "CRIU finds a watched file (inotify) again by a handle that an overlay filesystem does not give. Told \
            where to look (`--force-irmap` with `--irmap-scan-path`: `criu: {irmap: FOLDER}` in a scenario) it finds it \
            by its inode."
        }
        C::DeletedFile => {
            "CRIU carries a deleted file that is held open in its images, up to a limit: 1 MiB unless told \
            otherwise (`--ghost-limit`: `criu: {ghostLimit: 8Mi}` in a scenario)."
        }
        C::ExternalSocket => {
            "A unix socket of the process is connected to a process outside of the container. CRIU cannot dump half \
            of a connection: it has to be closed before the checkpoint, and made anew after the restore."
        }
        C::NoPrivilege => {
            "CRIU lacks a capability. A process of another user than root can be dumped only with `CAP_SYS_RESOURCE`, which \
            root in some containers and machines does not have. `podferry doctor` says so."
        }
        C::NameTaken => "A container of that name exists already on the node.",
        C::PortTaken => "A port that the restored process listens on is in use where it is to live.",
        C::AddressMissing => {
            "An established connection was dumped (`criu: {tcp: keep}`) and is to be restored where its address is not. Let \
            the address move along (`address: moved`), or have connections closed (`tcp: close`)."
        }
        C::MountMissing => "A mount that the container had when it was checkpointed is not there for the restore.",
        C::FilesDiffer => {
            "A file that the process had open lies outside of what a checkpoint carries (on a volume), and where it is \
            restored it is missing or of another size. CRIU compares sizes: copy the volume after the freeze and before \
            the restore."
        }
        C::NoSpace => "No space is left on the device that the checkpoint, the archive or the container's files go to.",
        C::NoMemory => {
            "No memory was left: the kernel refused it to a process of the node, or killed one for it. Archives and images \
            that lie in a node's file systems count too."
        }
        C::LinkBroken => {
            "The network between the nodes let nothing through for some seconds while a checkpoint was carried. What had \
            arrived is removed, and nothing is restored from it."
        }
        C::PagesLost => {
            "A process was restored by post-copy, and memory that was to come after it never came: its source, the page \
            server, the daemon that fetches, or the link between them was lost. The process is ended, for the kernel would \
            give it zeros. Nothing keeps what it acknowledged: that is post-copy's price."
        }
        C::NotRunning => "The container is there and does not run, so it cannot be checkpointed.",
        C::UnknownContainer => "There is no container of that name.",
        C::Unsupported => {
            "The engine cannot do this, and said so only after its version and probes had suggested that \
            it could."
        }
        C::DaemonGone => "The engine's daemon (containerd) went away or cannot be reached by its socket.",
        C::Timeout => "A step took longer than its `timeout`.",
        C::GivenUp => {
            "A call that was made without the harness's guard (`guard: false`) was given up as a naive client gives up: \
            its deadline passed, or it was dropped. What that leaves behind is what such a scenario is about."
        }
        C::WorkloadUnreachable => "The workload did not answer, or answered nonsense.",
        C::Surroundings => {
            "The surroundings failed, not the software under test: no node, no network, no room on the \
            host. The case counts as errored, not as failed."
        }
        C::Other => "None of the known classes. The message is all that there is.",
    }
}
