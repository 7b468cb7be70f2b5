//! The root filesystem of a container: layers unpacked one over the other, and the changes on top of them written out
//! as one more. Whiteouts are those of OCI layers (`.wh.NAME`, `.wh..wh..opq`); in an overlay's upper folder they are
//! character devices 0:0 and the attribute `trusted.overlay.opaque`.

use super::attributes::{self, Attributes};
use nix::sys::stat::{Mode, SFlag, major, makedev, minor, mknod};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// Applies a layer to a folder. Names are kept from leading out of it, by `..` as well as by links that are there: an
/// absolute link means the folder itself, as it does to the container.
///
/// The folder may be one in a node, named through `/proc/PID/root`. No path may be made canonical then: that link reads
/// `/`, and the result would name a folder of the host's.
///
/// Ownership, modes, times and the container's own extended attributes are kept.
pub(super) fn apply(layer: impl Read, root: &Path) -> io::Result<()> {
    let mut tar = tar::Archive::new(layer);
    tar.set_preserve_permissions(true);
    tar.set_preserve_ownerships(true);
    tar.set_overwrite(true);
    // Times and modes of folders last: a file that comes into them changes them.
    let mut folders = Vec::new();
    for entry in tar.entries()? {
        let mut entry = entry?;
        let name = clean(&entry.path()?)?;
        let Some(file_name) = name.file_name() else { continue };
        let parent = resolve(root, name.parent().unwrap_or(Path::new("")))?;
        let target = parent.join(file_name);
        if file_name == OPAQUE {
            for child in fs::read_dir(&parent)? {
                remove(&child?.path())?;
            }
            continue;
        }
        if let Some(gone) = file_name.as_bytes().strip_prefix(WHITEOUT) {
            remove(&parent.join(OsStr::from_bytes(gone)))?;
            continue;
        }
        let kind = entry.header().entry_type();
        let attributes = Attributes::read(&mut entry)?;
        make_way(&target, kind.is_dir())?;
        match kind {
            tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => make_special(&entry, &target, kind)?,
            tar::EntryType::Link => {
                let first = clean(&entry.link_name()?.unwrap_or_default())?;
                let folder = resolve(root, first.parent().unwrap_or(Path::new("")))?;
                fs::hard_link(folder.join(first.file_name().unwrap_or_default()), &target)?;
            }
            _ => drop(entry.unpack(&target)?),
        }
        if !kind.is_hard_link() {
            attributes.set(&target)?;
        }
        if kind.is_dir() {
            folders.push((target, entry.header().mtime()?, attributes));
        }
    }
    for (folder, mtime, attributes) in folders.into_iter().rev() {
        // Later entries may have removed it again.
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(mtime);
        let _ = File::open(&folder).and_then(|f| f.set_modified(time)).and_then(|()| attributes.set_time(&folder));
    }
    Ok(())
}

fn clean(name: &Path) -> io::Result<PathBuf> {
    let mut clean = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                let text = format!("entry `{}` leads out of the folder that it is unpacked to", name.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
    }
    Ok(clean)
}

/// The folder that a name means inside the root, by a path without links; made if it is not there.
fn resolve(root: &Path, name: &Path) -> io::Result<PathBuf> {
    let mut todo: Vec<std::ffi::OsString> = name.components().rev().map(|c| c.as_os_str().to_owned()).collect();
    let mut real = PathBuf::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            // At the root this does nothing, as in a container.
            real.pop();
            continue;
        }
        let at = root.join(&real).join(&part);
        match fs::symlink_metadata(&at) {
            Ok(meta) if meta.is_symlink() => {
                links += 1;
                if links > 40 {
                    let text = format!("entry below `{}`: too many links", name.display());
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                let target = fs::read_link(&at)?;
                if target.is_absolute() {
                    real = PathBuf::new();
                }
                let parts = target.components().filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir));
                todo.extend(parts.map(|c| c.as_os_str().to_owned()).rev());
            }
            Ok(_) => real.push(part),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&at)?;
                real.push(part);
            }
            Err(e) => return Err(e),
        }
    }
    Ok(root.join(real))
}

fn remove(path: &Path) -> io::Result<()> {
    let done = match fs::symlink_metadata(path) {
        Ok(m) if m.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match done {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// What stands in the way of an entry of another kind goes.
fn make_way(target: &Path, folder: bool) -> io::Result<()> {
    match fs::symlink_metadata(target) {
        Ok(there) if there.is_dir() && folder => Ok(()),
        Ok(_) => remove(target),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

fn make_special<R: Read>(entry: &tar::Entry<'_, R>, target: &Path, kind: tar::EntryType) -> io::Result<()> {
    let header = entry.header();
    let flag = match kind {
        tar::EntryType::Char => SFlag::S_IFCHR,
        tar::EntryType::Block => SFlag::S_IFBLK,
        _ => SFlag::S_IFIFO,
    };
    let device =
        makedev(header.device_major()?.unwrap_or_default().into(), header.device_minor()?.unwrap_or_default().into());
    mknod(target, flag, Mode::from_bits_truncate(header.mode()?), device)?;
    let id = |n: u64| u32::try_from(n).ok();
    std::os::unix::fs::lchown(target, id(header.uid()?), id(header.gid()?))
}

/// Writes an overlay's upper folder out as a layer. Sockets are left out: CRIU makes them anew when it binds them.
pub(super) fn write_diff(upper: &Path, out: &Path) -> io::Result<()> {
    write_diff_to(upper, fs::OpenOptions::new().write(true).create_new(true).open(out)?)
}

/// The same, to where it goes on at once.
pub(super) fn write_diff_to(upper: &Path, out: impl Write) -> io::Result<()> {
    let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 20, out));
    tar.follow_symlinks(false);
    tar.sparse(false);
    let mut links = HashMap::new();
    write_folder(&mut tar, upper, Path::new(""), &mut links)?;
    tar.into_inner()?.flush()
}

fn write_folder<W: Write>(
    tar: &mut tar::Builder<W>,
    upper: &Path,
    below: &Path,
    links: &mut HashMap<(u64, u64), PathBuf>,
) -> io::Result<()> {
    let folder = upper.join(below);
    let mut entries = fs::read_dir(&folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), below.join(entry.file_name()));
        let meta = entry.metadata()?;
        let kind = meta.file_type();
        if kind.is_char_device() && meta.rdev() == 0 {
            let mut whiteout = WHITEOUT.to_vec();
            whiteout.extend(entry.file_name().as_bytes());
            append_empty(tar, &below.join(OsStr::from_bytes(&whiteout)))?;
        } else if kind.is_dir() {
            append_attributes(tar, &path, &meta)?;
            tar.append_path_with_name(&path, &name)?;
            if xattr::get(&path, "trusted.overlay.opaque")?.as_deref() == Some(b"y") {
                append_empty(tar, &name.join(OPAQUE))?;
            }
            write_folder(tar, upper, &name, links)?;
        } else if !kind.is_socket() {
            append_file(tar, &path, name, &meta, links)?;
        }
    }
    Ok(())
}

fn append_file<W: Write>(
    tar: &mut tar::Builder<W>,
    path: &Path,
    name: PathBuf,
    meta: &Metadata,
    links: &mut HashMap<(u64, u64), PathBuf>,
) -> io::Result<()> {
    if meta.is_file() && meta.nlink() > 1 {
        if let Some(first) = links.get(&(meta.dev(), meta.ino())) {
            let mut header = tar::Header::new_gnu();
            header.set_metadata(meta);
            header.set_entry_type(tar::EntryType::Link);
            header.set_size(0);
            return tar.append_link(&mut header, &name, first);
        }
        links.insert((meta.dev(), meta.ino()), name.clone());
    }
    append_attributes(tar, path, meta)?;
    let kind = meta.file_type();
    if kind.is_file() || kind.is_symlink() {
        tar.append_path_with_name(path, &name)
    } else {
        append_special(tar, &name, meta)
    }
}

fn append_attributes<W: Write>(tar: &mut tar::Builder<W>, path: &Path, meta: &Metadata) -> io::Result<()> {
    let members = attributes::of(path, meta)?;
    match members.is_empty() {
        true => Ok(()),
        false => tar.append_pax_extensions(members.iter().map(|(name, value)| (name.as_str(), value.as_slice()))),
    }
}

/// A device or a named pipe. `tar` would give such an entry the path of the file, not the name that it is given
/// (tar 0.4.46), and refuses to, since that path is absolute.
fn append_special<W: Write>(tar: &mut tar::Builder<W>, name: &Path, meta: &Metadata) -> io::Result<()> {
    let kind = meta.file_type();
    let mut header = tar::Header::new_gnu();
    header.set_metadata(meta);
    header.set_size(0);
    header.set_entry_type(if kind.is_fifo() {
        tar::EntryType::Fifo
    } else if kind.is_block_device() {
        tar::EntryType::Block
    } else {
        tar::EntryType::Char
    });
    let number = |n: u64| u32::try_from(n).map_err(io::Error::other);
    header.set_device_major(number(major(meta.rdev()))?)?;
    header.set_device_minor(number(minor(meta.rdev()))?)?;
    tar.append_data(&mut header, name, io::empty())
}

fn append_empty<W: Write>(tar: &mut tar::Builder<W>, name: &Path) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Regular);
    tar.append_data(&mut header, name, io::empty())
}
