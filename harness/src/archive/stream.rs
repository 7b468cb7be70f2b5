//! Checkpoints as a stream of bytes, for a way that files do not go.

use super::{ArchiveError, Form};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

/// Sends a checkpoint: an archive as it is, a folder as a tar archive.
///
/// # Errors
/// [`ArchiveError::Link`] when nothing gets through; otherwise what could not be read.
pub fn send(from: &Path, mut to: impl Write) -> Result<(), ArchiveError> {
    let broken = |e| ArchiveError::of_link("send", from, e);
    match Form::of(from)? {
        Form::CriArchive | Form::PodmanArchive | Form::OciArchive => {
            let mut file = fs::File::open(from).map_err(|e| ArchiveError::io("read", from, e))?;
            io::copy(&mut file, &mut to).map_err(broken)?;
        }
        Form::ImageFolder => {
            let mut tar = tar::Builder::new(&mut to);
            tar.follow_symlinks(false);
            tar.append_dir_all(".", from).map_err(broken)?;
            tar.finish().map_err(broken)?;
        }
    }
    to.flush().map_err(broken)
}

/// Receives what [`send`] sent, to a place where nothing is yet, and gives the bytes that came. On an error nothing is
/// left there.
///
/// # Errors
/// [`ArchiveError::Link`] when nothing comes any more, [`ArchiveError::NoSpace`] when the target is full.
pub fn receive(from: impl Read, to: &Path, form: Form) -> Result<u64, ArchiveError> {
    let mut from = Counted { inner: from, bytes: 0 };
    let received = match form {
        Form::CriArchive | Form::PodmanArchive | Form::OciArchive => receive_file(&mut from, to),
        Form::ImageFolder => receive_folder(&mut from, to),
    };
    received.inspect_err(|_| {
        // The error counts. What cannot be removed is found by the leak check.
        let _ = if form.is_archive() { fs::remove_file(to) } else { fs::remove_dir_all(to) };
    })?;
    Ok(from.bytes)
}

fn receive_file(from: &mut impl Read, to: &Path) -> Result<(), ArchiveError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(to).map_err(|e| ArchiveError::io("write", to, e))?;
    let mut bytes = vec![0; 256 << 10];
    loop {
        // Read and written apart, to know which of the two fails.
        let got = match from.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(got) => got,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(ArchiveError::of_link("receive", to, e)),
        };
        file.write_all(&bytes[..got]).map_err(|e| ArchiveError::io("write", to, e))?;
    }
}

/// Not by the crate's own unpacking: that asks for the true path of the folder, and a node's root is seen on the host
/// through `/proc/PID/root`, which leads nowhere then.
fn receive_folder(from: &mut impl Read, to: &Path) -> Result<(), ArchiveError> {
    fs::create_dir(to).map_err(|e| ArchiveError::io("write", to, e))?;
    let broken = |e| ArchiveError::of_link("receive", to, e);
    let mut tar = tar::Archive::new(&mut *from);
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.into_owned();
        let target = to.join(plain(&name).ok_or_else(|| {
            let what = "it has a path that leads out of the checkpoint";
            ArchiveError::invalid(to, Some(&name.to_string_lossy()), what)
        })?);
        match entry.header().entry_type() {
            tar::EntryType::Directory => {
                fs::create_dir_all(&target).map_err(|e| ArchiveError::io("write", &target, e))?;
            }
            tar::EntryType::Regular => receive_file(&mut entry, &target)?,
            _ => {
                let name = name.to_string_lossy();
                return Err(ArchiveError::invalid(to, Some(&name), "it is neither a file nor a folder"));
            }
        }
    }
    // The sender pads its end; who stops reading early would reset the connection under it.
    io::copy(from, &mut io::sink()).map(drop).map_err(broken)
}

/// A path of names alone, without the `.` that it may begin with.
fn plain(path: &Path) -> Option<PathBuf> {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| matches!(part, Component::Normal(_)).then(|| part.as_os_str()))
        .collect()
}

struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(into)?;
        self.bytes += got as u64;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ErrorClass;

    #[test]
    fn files_and_folders_arrive_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a.tar"), [5; 100_000]).unwrap();
        fs::create_dir_all(path("folder/checkpoint")).unwrap();
        fs::write(path("folder/checkpoint/pages-1.img"), [6; 5000]).unwrap();
        fs::write(path("folder/meta.json"), "{}").unwrap();
        for (name, form) in [("a.tar", Form::CriArchive), ("folder", Form::ImageFolder)] {
            let mut bytes = Vec::new();
            send(&path(name), &mut bytes).unwrap();
            let to = path(&format!("{name}-arrived"));
            assert_eq!(receive(bytes.as_slice(), &to, form).unwrap(), bytes.len() as u64);
            assert_eq!(super::super::digest(&to).unwrap(), super::super::digest(&path(name)).unwrap());
        }
    }

    /// Comes to nothing after some bytes, as a socket does whose time is up.
    struct Stalls(usize);

    impl Read for Stalls {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let now = self.0.min(into.len());
            self.0 -= now;
            if now == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(now) }
        }
    }

    #[test]
    fn what_stalls_is_told_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for form in [Form::CriArchive, Form::ImageFolder] {
            let to = dir.path().join("to");
            let error = receive(Stalls(300), &to, form).unwrap_err();
            assert_eq!(error.class(), ErrorClass::LinkBroken, "{error}");
            assert!(!to.exists());
        }
    }
}
