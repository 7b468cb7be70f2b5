use super::{ArchiveError, Form};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
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

/// Whether a file is on FUSE, where the kernel's own copying makes a request of every page (6.18).
fn by_request(file: &File) -> bool {
    /// `FUSE_SUPER_MAGIC`.
    const FUSE: i64 = 0x6573_5546;
    rustix::fs::fstatfs(file).is_ok_and(|of| of.f_type == FUSE)
}

fn in_large_pieces(source: &mut File, target: &mut File) -> io::Result<u64> {
    let (mut piece, mut copied) = (vec![0; 1 << 20], 0);
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(copied),
            Ok(n) => {
                target.write_all(&piece[..n])?;
                copied += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// The kernel copies (`copy_file_range`, `sendfile` between filesystems): the bytes do not pass through the harness.
fn copy_file(from: &Path, to: &Path) -> Result<u64, ArchiveError> {
    let mut source = File::open(from).map_err(|e| ArchiveError::io("read", from, e))?;
    let mut target =
        OpenOptions::new().write(true).create_new(true).open(to).map_err(|e| ArchiveError::io("write", to, e))?;
    let copied = match by_request(&source) || by_request(&target) {
        true => in_large_pieces(&mut source, &mut target),
        false => io::copy(&mut source, &mut target),
    };
    copied.map_err(|e| {
        let _ = fs::remove_file(to);
        ArchiveError::io("write", to, e)
    })
}
