//! What CRIU's errors say of their cause, for every engine. Pure; the texts are those of criu 4.2.1.

use crate::record::ErrorClass as C;

/// Why a dump was refused: what the process has that CRIU does not carry.
const DUMP: &[(&[&str], C)] = &[(&["Can't get rlimit"], C::NoPrivilege)];

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
    "pages image is cut short",
];

/// The class of a dump's error, if a cause is named; `says` tells whether a text is in what was said.
pub(super) fn dump(says: &dyn Fn(&str) -> bool) -> Option<C> {
    DUMP.iter().find(|(texts, _)| texts.iter().any(|text| says(text))).map(|(_, class)| *class)
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
