//! Looking through the layers of a foreign image before anything is made of them.

use super::ImageError;
use super::paths::{Found, Misplaced, settle};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::BufReader;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use tar::EntryType;

/// Begins the name of an entry that removes what a lower layer has.
pub(super) const WHITEOUT: &str = ".wh.";
/// The entry that empties its folder of what lower layers have.
pub(super) const OPAQUE: &str = ".wh..wh..opq";

enum Kind {
    Dir,
    Link(PathBuf),
    Other,
}

/// What the layers so far make of a root.
#[derive(Default)]
pub(super) struct Tree {
    nodes: BTreeMap<PathBuf, Kind>,
}

impl Tree {
    fn place(&self, entry: &Path) -> Result<PathBuf, Misplaced> {
        settle(entry, |path| {
            Ok(match self.nodes.get(path) {
                None => Found::Nothing,
                Some(Kind::Dir) => Found::Dir,
                Some(Kind::Link(target)) => Found::Link(target.clone()),
                Some(Kind::Other) => Found::Other,
            })
        })
    }

    fn remove_below(&mut self, dir: &Path) {
        self.nodes.retain(|path, _| path == dir || !path.starts_with(dir));
    }

    /// Goes through a layer, an uncompressed tar, and refuses what no honest image holds.
    pub(super) fn add_layer(&mut self, archive: &Path, layer: &Path) -> Result<(), ImageError> {
        let invalid = |what: String| ImageError::Invalid { archive: archive.to_owned(), what };
        let broken = |e: std::io::Error| invalid(format!("a layer is no whole tar: {e}"));
        let file = File::open(layer).map_err(ImageError::io("read", layer))?;
        let length = file.metadata().map_err(ImageError::io("read", layer))?.len();
        let mut tar = tar::Archive::new(BufReader::new(file));
        for entry in tar.entries_with_seek().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let path = PathBuf::from(OsStr::from_bytes(&entry.path_bytes()));
            let refuse = |path: &Path, why: Misplaced| refusal(archive, path, &why);
            if entry.raw_file_position().saturating_add(entry.size()) > length {
                return Err(invalid(format!("a layer is cut within `{}`", path.display())));
            }
            let place = self.place(&path).map_err(|e| refuse(&path, e))?;
            let target = entry.link_name_bytes().map(|t| PathBuf::from(OsStr::from_bytes(&t)));
            let kind = match entry.header().entry_type() {
                EntryType::Directory => Kind::Dir,
                EntryType::Symlink => Kind::Link(target.unwrap_or_default()),
                EntryType::Link => {
                    let to = target.unwrap_or_default();
                    let real = self.place(&to).map_err(|e| refuse(&to, e))?;
                    if !self.nodes.contains_key(&real) {
                        let why =
                            format!("`{}` is a hard link to `{}`, which is not there", path.display(), to.display());
                        return Err(invalid(why));
                    }
                    Kind::Other
                }
                EntryType::XGlobalHeader => continue,
                _ => Kind::Other,
            };
            if place.as_os_str().is_empty() && !matches!(kind, Kind::Dir) {
                return Err(refuse(&path, Misplaced::Root));
            }
            self.put(place, kind);
        }
        Ok(())
    }

    fn put(&mut self, place: PathBuf, kind: Kind) {
        let name = place.file_name().and_then(OsStr::to_str).unwrap_or("");
        let parent = place.parent().unwrap_or(Path::new("")).to_owned();
        if name == OPAQUE {
            self.remove_below(&parent);
        } else if let Some(gone) = name.strip_prefix(WHITEOUT) {
            if matches!(gone, "" | "." | "..") {
                return;
            }
            let gone = parent.join(gone);
            self.remove_below(&gone);
            self.nodes.remove(&gone);
        } else if !place.as_os_str().is_empty() {
            if !matches!(kind, Kind::Dir) {
                self.remove_below(&place);
            }
            for above in parent.ancestors().filter(|a| !a.as_os_str().is_empty()) {
                self.nodes.entry(above.to_owned()).or_insert(Kind::Dir);
            }
            self.nodes.insert(place, kind);
        }
    }
}

/// The error of an entry that may not be where it is.
pub(super) fn refusal(archive: &Path, entry: &Path, why: &Misplaced) -> ImageError {
    let (archive, entry) = (archive.to_owned(), entry.display().to_string());
    if why.escapes() {
        ImageError::Escaping { archive, entry, why: why.to_string() }
    } else {
        ImageError::Invalid { archive, what: format!("entry `{entry}` {why}") }
    }
}
