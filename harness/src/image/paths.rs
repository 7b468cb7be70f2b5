//! Where an entry of an archive lands. One rule for what is only read and for what is written.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// What is at a path below a root.
pub(super) enum Found {
    Nothing,
    Dir,
    Link(PathBuf),
    Other,
}

/// Why an entry may not be there.
#[derive(Debug, thiserror::Error)]
pub(super) enum Misplaced {
    #[error("is an absolute path")]
    Absolute,
    #[error("leads out of the root by `..`")]
    Climbs,
    #[error("goes through the link `{}` -> `{}`, which leaves the root", link.display(), target.display())]
    ThroughLink { link: PathBuf, target: PathBuf },
    #[error("goes through a loop of links")]
    Loop,
    #[error("lies below `{}`, which is no folder", .0.display())]
    BelowFile(PathBuf),
    #[error("names the root itself and is no folder")]
    Root,
    #[error("can't be placed: {0}")]
    Io(#[from] io::Error),
}

impl Misplaced {
    /// Whether the entry would land outside, as against being merely impossible.
    pub(super) fn escapes(&self) -> bool {
        matches!(self, Misplaced::Absolute | Misplaced::Climbs | Misplaced::ThroughLink { .. })
    }
}

const MOST_LINKS: usize = 40;

/// The parts of a path that names something below a root, with no `.` in it; empty for the root itself.
fn parts(path: &Path) -> Result<Vec<OsString>, Misplaced> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_owned()),
            Component::CurDir => {}
            Component::ParentDir => return Err(Misplaced::Climbs),
            Component::RootDir | Component::Prefix(_) => return Err(Misplaced::Absolute),
        }
    }
    Ok(parts)
}

/// The place of an entry below the root, as a path without links in its parents; empty for the root itself. Relative
/// links that stay inside are followed, as a container would; one that leaves is an error, also where a careful
/// unpacker would catch it at the root: no honest layer has an entry behind such a link.
pub(super) fn settle(entry: &Path, look: impl Fn(&Path) -> io::Result<Found>) -> Result<PathBuf, Misplaced> {
    let mut todo: VecDeque<OsString> = parts(entry)?.into();
    let mut out = PathBuf::new();
    let mut followed: Vec<(PathBuf, PathBuf)> = Vec::new();
    while let Some(part) = todo.pop_front() {
        if part == ".." {
            if !out.pop() {
                let (link, target) = followed.pop().unwrap_or_default();
                return Err(Misplaced::ThroughLink { link, target });
            }
            continue;
        }
        let next = out.join(part);
        if todo.is_empty() {
            return Ok(next);
        }
        match look(&next)? {
            Found::Nothing | Found::Dir => out = next,
            Found::Other => return Err(Misplaced::BelowFile(next)),
            Found::Link(target) if target.is_absolute() => return Err(Misplaced::ThroughLink { link: next, target }),
            Found::Link(target) => {
                if followed.len() == MOST_LINKS {
                    return Err(Misplaced::Loop);
                }
                for part in target.components().rev().filter(|p| *p != Component::CurDir) {
                    todo.push_front(part.as_os_str().to_owned());
                }
                followed.push((next, target));
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{Found, settle};
    use std::path::Path;

    fn at(entry: &str) -> Result<String, String> {
        let look = |path: &Path| {
            Ok(match path.to_str().unwrap() {
                "usr" | "usr/lib" => Found::Dir,
                "lib" => Found::Link("usr/lib".into()),
                "usr/up" => Found::Link("../usr/./lib".into()),
                "out" => Found::Link("../../etc".into()),
                "etc" => Found::Link("/etc".into()),
                "self" => Found::Link("self".into()),
                "file" => Found::Other,
                _ => Found::Nothing,
            })
        };
        settle(Path::new(entry), look).map(|p| p.display().to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn honest_entries() {
        assert_eq!(at("./usr/lib/x").unwrap(), "usr/lib/x");
        assert_eq!(at("lib/x").unwrap(), "usr/lib/x");
        assert_eq!(at("usr/up/x").unwrap(), "usr/lib/x");
        assert_eq!(at("etc").unwrap(), "etc", "the link itself may be replaced");
        assert_eq!(at("./").unwrap(), "");
        assert_eq!(at("new/deep/x").unwrap(), "new/deep/x");
    }

    #[test]
    fn escaping_entries() {
        assert_eq!(at("../x").unwrap_err(), "leads out of the root by `..`");
        assert_eq!(at("usr/../../x").unwrap_err(), "leads out of the root by `..`");
        assert_eq!(at("/etc/passwd").unwrap_err(), "is an absolute path");
        assert_eq!(at("etc/passwd").unwrap_err(), "goes through the link `etc` -> `/etc`, which leaves the root");
        assert_eq!(at("out/x").unwrap_err(), "goes through the link `out` -> `../../etc`, which leaves the root");
        assert_eq!(at("self/x").unwrap_err(), "goes through a loop of links");
        assert_eq!(at("file/x").unwrap_err(), "lies below `file`, which is no folder");
    }
}
