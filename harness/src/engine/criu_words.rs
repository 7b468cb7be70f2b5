//! What CRIU's errors say of their cause, for every engine. Pure; the texts are those of criu 4.2.1.

use super::EngineError;
use crate::record::ErrorClass as C;

/// Why a dump was refused: what the process has that CRIU does not carry.
const DUMP: &[(&[&str], C)] = &[
    (&["Can't get rlimit"], C::NoPrivilege),
    (&["Connected TCP socket"], C::ConnectedTcp),
    (&["file locks are hold"], C::FileLocks),
    // CRIU's parasite sends the process's files to CRIU, and since Linux 6.7 the kernel lets no io_uring be sent: that is
    // the only file for which it says EINVAL. CRIU does not tell which one it was.
    (&["send_fds failed (-22)"], C::IoUring),
    (&["Can't dump that handle"], C::Inotify),
    (&["Can't dump ghost file"], C::DeletedFile),
    (&["External socket is used", "Can't dump half of stream unix connection"], C::ExternalSocket),
];

/// Why a restore failed: the images are not what a dump wrote. An image that is not there is read as an empty one.
const IMAGES: &[&str] = &[
    "Can't read async pr bytes",
    "Can't read pages data",
    "Unexpected EOF on",
    // "Read 2036 bytes while 2390 expected from".
    " bytes while ",
    "(empty-image)",
    "Magic doesn't match",
    "Can't read inventory",
    "Can't open file inventory.img",
    "Can't open file pages-",
    "Can't open file core-",
    "Images corrupted or too old criu was used for dump",
    "cg: No set",
    "mnt: No root found for tree",
    "descriptors.json: no such file or directory",
    // crun's words.
    "descriptors.json`: No such file or directory",
    "pages image is cut short",
];

/// A socket that was connected is to be bound to an address that is not there (soccr, criu 4.2.1).
pub(super) const ADDRESS_MISSING: &str = "Can't bind inet socket back: Cannot assign requested address";

/// The class of a dump's error, if a cause is named; `says` tells whether a text is in what was said.
pub(super) fn dump(says: &dyn Fn(&str) -> bool) -> Option<C> {
    DUMP.iter().find(|(texts, _)| texts.iter().any(|text| says(text))).map(|(_, class)| *class)
}

/// What a user can do about a thing that CRIU refused to dump. Each option must be set on both nodes.
pub(super) fn hint(class: C) -> Option<&'static str> {
    Some(match class {
        C::ConnectedTcp => "give CRIU `tcp-close`, or close the connections before the checkpoint",
        C::FileLocks => "give CRIU `file-locks`",
        C::IoUring => "no version of CRIU dumps an io_uring: turn it off in the program",
        C::Inotify => "give CRIU `force-irmap` and `irmap-scan-path FOLDER` with the folder of what is watched",
        C::DeletedFile => "give CRIU a larger `ghost-limit`",
        C::ExternalSocket => "close the connection before the checkpoint: CRIU cannot dump half of it",
        C::FilesDiffer => {
            "what the container had open must be there again, and as long: among the archive's changes of its root, or on a \
             volume that was copied after the source was frozen and that nothing writes to"
        }
        C::AddressMissing => "let the address move along (`address: moved`), or give CRIU `tcp-close`",
        _ => return None,
    })
}

/// A restore under a memory limit whose process was killed, told as what it is.
///
/// Nobody says it: CRIU sees the signal, runc removes the control group with its count of kills, and the kernel's log is
/// not the node's. But nobody else than the kernel kills a process that is being restored.
pub(super) fn killed_for_memory(limit: Option<u64>, mut error: EngineError) -> EngineError {
    if let Some(limit) = limit
        && error.class == C::RestoreFailed
        && error.log.iter().any(|line| line.contains("killed by signal 9"))
    {
        error.class = C::NoMemory;
        error.message += &format!(": its process was killed under its memory limit of {limit} bytes");
        error.hint = Some("give the copy a memory limit that its source's memory fits into".to_owned());
    }
    error
}

/// The class of a restore's error, likewise.
pub(super) fn restore(says: &dyn Fn(&str) -> bool) -> Option<C> {
    IMAGES.iter().any(|text| says(text)).then_some(C::InvalidArchive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// Verbatim from criu 4.2.1, each of a checkpoint that lacked an image or had it cut.
    #[rstest]
    #[case("Error (criu/protobuf.c:72): Unexpected EOF on (empty-image)")]
    #[case(
        "Error (criu/protobuf.c:93): Read 2036 bytes while 2390 expected from /x/core-1.img: No such file or directory"
    )]
    #[case("pie: 1: Error (criu/pie/restorer.c:1907): Can't read pages data (-9)")]
    #[case("Error (criu/cgroup.c:1333): cg: No set 2 found")]
    #[case("Error (criu/pstree.c:891): Images corrupted or too old criu was used for dump.")]
    #[case("Error (criu/mount.c:390): mnt: No root found for tree")]
    #[case("open /shared/checkpoints/x/checkpoint/descriptors.json: no such file or directory")]
    fn images_that_are_not_whole_are_told(#[case] line: &str) {
        assert_eq!(restore(&|text| line.contains(text)), Some(C::InvalidArchive));
    }

    /// Verbatim from criu 4.2.1 on Linux 6.18.
    #[rstest]
    #[case(
        "Error (criu/sk-inet.c:200): inet: Connected TCP socket, consider using --tcp-established option.",
        C::ConnectedTcp
    )]
    #[case(
        "Error (criu/file-lock.c:110): Some file locks are hold by dumping tasks! You can try --file-locks to dump them.",
        C::FileLocks
    )]
    #[case("pie: 1: Error (criu/pie/parasite.c:588): send_fds failed (-22)", C::IoUring)]
    #[case("Error (criu/fsnotify.c:284): fsnotify: \tCan't dump that handle", C::Inotify)]
    #[case(
        "Error (criu/files-reg.c:1031): Can't dump ghost file /deleted of 3145728 size, increase limit",
        C::DeletedFile
    )]
    #[case("Error (criu/sk-unix.c): External socket is used. Consider using --ext-unix-sk option.", C::ExternalSocket)]
    fn what_a_process_has_is_told(#[case] line: &str, #[case] class: C) {
        assert_eq!(dump(&|text| line.contains(text)), Some(class));
        assert!(hint(class).is_some());
    }

    #[rstest]
    #[case(Some(1 << 24), "Error (criu/cr-restore.c:1269): 350 killed by signal 9: Killed", C::NoMemory)]
    #[case(None, "Error (criu/cr-restore.c:1269): 350 killed by signal 9: Killed", C::RestoreFailed)]
    #[case(Some(1 << 24), "Error (criu/cr-restore.c:1281): 120 stopped by signal 11: Segmentation fault", C::RestoreFailed)]
    fn a_kill_under_a_limit_is_for_memory(#[case] limit: Option<u64>, #[case] line: &str, #[case] class: C) {
        let mut error = EngineError::new(C::RestoreFailed, "x");
        error.log.push(line.to_owned());
        assert_eq!(killed_for_memory(limit, error).class, class);
    }

    /// What CRIU says beside any failure names no cause.
    #[rstest]
    #[case("Error (criu/cr-restore.c:2331): Restoring FAILED.")]
    #[case("Error (criu/cgroup.c:2055): cg: cgroupd: recv req error: No such file or directory")]
    #[case("Error (criu/cr-restore.c:1281): 120 stopped by signal 11: Segmentation fault")]
    fn a_failure_alone_names_no_cause(#[case] line: &str) {
        assert_eq!(restore(&|text| line.contains(text)), None);
        assert_eq!(dump(&|text| line.contains(text)), None);
    }
}
