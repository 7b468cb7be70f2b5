//! What CRIU's errors say of their cause, for every engine. Pure; the texts are those of criu 4.2.1.

use crate::record::ErrorClass as C;

/// Why a dump was refused: what the process has that CRIU does not carry.
const DUMP: &[(&[&str], C)] = &[];

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
