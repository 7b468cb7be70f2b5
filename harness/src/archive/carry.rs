use super::{ArchiveError, Form};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Copies a checkpoint, file or folder, to a place where nothing is yet, and gives the bytes copied. On an error nothing
/// is left there. Nothing is flushed to a disk: checkpoints live on memory-backed filesystems, and those that do not are
/// read back by their digest.
///
/// # Errors
/// [`ArchiveError::NoSpace`] when the target is full; otherwise what could not be read or written.
pub fn copy(from: &Path, to: &Path) -> Result<u64, ArchiveError> {
    match Form::of(from)? {
        Form::CriArchive | Form::PodmanArchive | Form::OciArchive => copy_file(from, to),
        Form::ImageFolder => {
            fs::create_dir(to).map_err(|e| ArchiveError::io("write", to, e))?;
            copy_folder(from, to).inspect_err(|_| {
                let _ = fs::remove_dir_all(to);
            })
        }
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<u64, ArchiveError> {
    let fail = |e| ArchiveError::io("read", from, e);
    let mut bytes = 0;
    for entry in fs::read_dir(from).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(fail)?;
        if kind.is_dir() {
            fs::create_dir(&target).map_err(|e| ArchiveError::io("write", &target, e))?;
            bytes += copy_folder(&source, &target)?;
        } else if kind.is_symlink() {
            // Copied as it is: what it points to is for `verify` to judge.
            let link = fs::read_link(&source).map_err(|e| ArchiveError::io("read", &source, e))?;
            std::os::unix::fs::symlink(link, &target).map_err(|e| ArchiveError::io("write", &target, e))?;
        } else if kind.is_file() {
            bytes += copy_file(&source, &target)?;
        } else {
            let name = source.file_name().map(|n| n.to_string_lossy().into_owned());
            return Err(ArchiveError::invalid(from, name.as_deref(), "it is neither a file, a folder nor a link"));
        }
    }
    Ok(bytes)
}

/// The kernel copies (`copy_file_range`, `sendfile` between filesystems): the bytes do not pass through the harness.
fn copy_file(from: &Path, to: &Path) -> Result<u64, ArchiveError> {
    let mut source = File::open(from).map_err(|e| ArchiveError::io("read", from, e))?;
    let mut target =
        OpenOptions::new().write(true).create_new(true).open(to).map_err(|e| ArchiveError::io("write", to, e))?;
    io::copy(&mut source, &mut target).map_err(|e| {
        let _ = fs::remove_file(to);
        ArchiveError::io("write", to, e)
    })
}
