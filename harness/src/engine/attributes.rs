//! What a tar header has no field for: extended attributes, and times finer than a second. Both go into a PAX header before
//! the entry, as GNU tar, bsdtar and containerd write them.

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What the names of extended attributes begin with.
const XATTR: &str = "SCHILY.xattr.";

/// Whether an attribute is the container's own: those of the overlay describe the upper folder, and what a security module
/// has put on a file belongs to the node.
fn own(name: &str) -> bool {
    name.starts_with("user.") || name == "security.capability"
}

/// The members of the header for a file or folder.
pub(super) fn of(path: &Path, meta: &Metadata) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut members = Vec::new();
    if meta.mtime_nsec() != 0 && meta.mtime() >= 0 {
        members.push(("mtime".to_owned(), format!("{}.{:09}", meta.mtime(), meta.mtime_nsec()).into_bytes()));
    }
    // Neither of the two may be on a link, and asking for them would ask for those of what it points to.
    if meta.is_symlink() {
        return Ok(members);
    }
    for name in xattr::list(path)? {
        let Some(name) = name.to_str().filter(|name| own(name)) else { continue };
        if let Some(value) = xattr::get(path, name)? {
            members.push((format!("{XATTR}{name}"), value));
        }
    }
    Ok(members)
}

/// What an entry's header tells, to be set when its file is there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    xattrs: Vec<(String, Vec<u8>)>,
    mtime: Option<(i64, i64)>,
}

impl Attributes {
    /// Those of an entry.
    pub(super) fn read<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Self> {
        let mut found = Attributes::default();
        for member in entry.pax_extensions()?.into_iter().flatten() {
            let member = member?;
            match member.key() {
                Ok("mtime") => found.mtime = member.value().ok().and_then(time),
                Ok(key) => {
                    let name = key.strip_prefix(XATTR).filter(|name| own(name));
                    found.xattrs.extend(name.map(|name| (name.to_owned(), member.value_bytes().to_owned())));
                }
                Err(_) => {}
            }
        }
        Ok(found)
    }

    /// Sets them. A file system that has no extended attributes goes without, as an unpacked image would.
    pub(super) fn set(&self, path: &Path) -> io::Result<()> {
        for (name, value) in &self.xattrs {
            match xattr::set(path, name, value) {
                Err(e) if e.raw_os_error() == Some(Errno::EOPNOTSUPP as i32) => {}
                set => set?,
            }
        }
        self.set_time(path)
    }

    /// The time alone: for folders, into which files came since.
    pub(super) fn set_time(&self, path: &Path) -> io::Result<()> {
        let Some((seconds, nanoseconds)) = self.mtime else { return Ok(()) };
        let time = TimeSpec::new(seconds, nanoseconds);
        Ok(utimensat(AT_FDCWD, path, &TimeSpec::UTIME_OMIT, &time, UtimensatFlags::NoFollowSymlink)?)
    }
}

/// `1000000000.123456789`, with any number of digits.
fn time(text: &str) -> Option<(i64, i64)> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    Some((seconds.parse().ok()?, digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_any_number_of_digits() {
        assert_eq!(time("1000000000.123456789"), Some((1_000_000_000, 123_456_789)));
        assert_eq!(time("7.5"), Some((7, 500_000_000)));
        assert_eq!(time("7"), Some((7, 0)));
        assert_eq!(time("x"), None);
    }

    #[test]
    fn what_belongs_to_the_node_is_left_there() {
        assert!(own("user.a") && own("security.capability"));
        assert!(!own("trusted.overlay.opaque") && !own("security.selinux"));
    }
}
