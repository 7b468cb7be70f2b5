//! Layers to a folder: the root of a container whose engine has no snapshotter.

use super::inspect::{OPAQUE, WHITEOUT, refusal};
use super::paths::{Found, Misplaced, settle};
use super::{Image, ImageError};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use tar::{Entry, EntryType};

/// Unpacks an image's layers into a folder that nobody else writes to meanwhile. Nothing is ever written outside it,
/// whatever the layers hold. Owners are kept if the caller is root; else all belongs to the caller.
pub fn unpack(image: &Image, dir: &Path) -> Result<(), ImageError> {
    fs::create_dir_all(dir).map_err(ImageError::io("make the folder", dir))?;
    let owners = nix::unistd::geteuid().is_root();
    for layer in &image.layers {
        let file = File::open(layer).map_err(ImageError::io("read", layer))?;
        let mut tar = tar::Archive::new(BufReader::with_capacity(256 << 10, file));
        tar.set_preserve_permissions(true);
        tar.set_preserve_ownerships(owners);
        tar.set_preserve_mtime(true);
        tar.set_unpack_xattrs(true);
        let mut unpacker = Unpacker { layer, dir, owners, fresh: HashSet::new() };
        for entry in tar.entries().map_err(ImageError::io("read", layer))? {
            unpacker.add(&mut entry.map_err(ImageError::io("read", layer))?)?;
        }
    }
    Ok(())
}

struct Unpacker<'a> {
    layer: &'a Path,
    dir: &'a Path,
    owners: bool,
    /// What this layer has made: a whiteout removes only what lower layers have, in whatever order entries come.
    fresh: HashSet<PathBuf>,
}

impl Unpacker<'_> {
    fn place(&self, entry: &Path) -> Result<PathBuf, ImageError> {
        let look = |path: &Path| {
            let path = self.dir.join(path);
            match fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_dir() => Ok(Found::Dir),
                Ok(meta) if meta.is_symlink() => Ok(Found::Link(fs::read_link(&path)?)),
                Ok(_) => Ok(Found::Other),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
                Err(e) => Err(e),
            }
        };
        settle(entry, look).map_err(|why| refusal(self.layer, entry, &why))
    }

    fn add<R: io::Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), ImageError> {
        let path = PathBuf::from(OsStr::from_bytes(&entry.path_bytes()));
        let place = self.place(&path)?;
        if place.as_os_str().is_empty() && !entry.header().entry_type().is_dir() {
            return Err(refusal(self.layer, &path, &Misplaced::Root));
        }
        let at = self.dir.join(&place);
        let name = place.file_name().and_then(OsStr::to_str).unwrap_or("");
        let parent = place.parent().unwrap_or(Path::new(""));
        let done = if name == OPAQUE {
            self.empty(parent)
        } else if let Some(gone) = name.strip_prefix(WHITEOUT) {
            self.white_out(parent, gone)
        } else if entry.header().entry_type() == EntryType::Link {
            let target = entry.link_name_bytes().map(|t| PathBuf::from(OsStr::from_bytes(&t))).unwrap_or_default();
            let from = self.dir.join(self.place(&target)?);
            self.make_way(&place, false).and_then(|()| fs::hard_link(from, &at))
        } else {
            self.write(entry, &place, &at)
        };
        done.map_err(ImageError::io("unpack", &at))?;
        self.fresh.insert(place);
        Ok(())
    }

    /// `.wh.`, `.wh..` and `.wh...` would name the folder itself or its parent: they name nothing to remove.
    fn white_out(&self, parent: &Path, name: &str) -> io::Result<()> {
        let place = parent.join(name);
        if matches!(name, "" | "." | "..") || self.fresh.contains(&place) {
            Ok(())
        } else {
            remove(&self.dir.join(place))
        }
    }

    fn empty(&self, place: &Path) -> io::Result<()> {
        let entries = match fs::read_dir(self.dir.join(place)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for entry in entries {
            let below = place.join(entry?.file_name());
            if !self.fresh.contains(&below) {
                remove(&self.dir.join(below))?;
            }
        }
        Ok(())
    }

    /// Makes the parents, and removes what is in the way; a folder stays where a folder is to be.
    fn make_way(&self, place: &Path, dir: bool) -> io::Result<()> {
        let at = self.dir.join(place);
        match fs::symlink_metadata(&at) {
            Ok(meta) if dir && meta.is_dir() => Ok(()),
            Ok(_) => remove(&at),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(self.dir.join(place.parent().unwrap_or(Path::new(""))))
            }
            Err(e) => Err(e),
        }
    }

    fn write<R: io::Read>(&self, entry: &mut Entry<'_, R>, place: &Path, at: &Path) -> io::Result<()> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let (uid, gid) = (entry.header().uid()?, entry.header().gid()?);
        let mode = entry.header().mode()? & 0o7777;
        self.make_way(place, kind.is_dir())?;
        match kind {
            EntryType::Directory => {
                if !at.is_dir() {
                    fs::create_dir(at)?;
                }
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                symlink(OsStr::from_bytes(&target), at)?;
            }
            EntryType::Fifo | EntryType::Char | EntryType::Block => {
                let number = |n: Option<u32>| u64::from(n.unwrap_or(0));
                let device = makedev(number(entry.header().device_major()?), number(entry.header().device_minor()?));
                let flag = match kind {
                    EntryType::Fifo => SFlag::S_IFIFO,
                    EntryType::Char => SFlag::S_IFCHR,
                    _ => SFlag::S_IFBLK,
                };
                mknod(at, flag, Mode::from_bits_truncate(mode), device)?;
            }
            // The tar crate keeps its owner, mode, time and attributes.
            _ => return entry.unpack(at).map(drop),
        }
        if self.owners {
            lchown(at, u32::try_from(uid).ok(), u32::try_from(gid).ok())?;
        }
        if kind == EntryType::Symlink { Ok(()) } else { fs::set_permissions(at, Permissions::from_mode(mode)) }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
pub(in crate::image) mod tests;
