//! The target's side.

use super::Sent;
use super::frame::{HEAD, Head, Kind, path};
use crate::archive::ArchiveError;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// Writes what a [`super::Capture`] sends into a folder, where nothing is yet, as it comes. On an error nothing is left.
///
/// # Errors
/// [`ArchiveError::Link`] when nothing comes any more before the end was said, [`ArchiveError::NoSpace`] when there is no
/// room, [`ArchiveError::Invalid`] when what came is not what was sent.
pub fn extract(from: &mut TcpStream, to: &Path) -> Result<Sent, ArchiveError> {
    fs::create_dir(to).map_err(|e| ArchiveError::io("write", to, e))?;
    let extracted = Extract { to, hash: Xxh3::new(), bytes: 0, open: HashMap::new() }.run(from);
    extracted.inspect_err(|_| {
        // The error counts. What cannot be removed is found by the leak check.
        let _ = fs::remove_dir_all(to);
    })
}

struct Extract<'a> {
    to: &'a Path,
    hash: Xxh3,
    bytes: u64,
    open: HashMap<u32, (PathBuf, File)>,
}

impl Extract<'_> {
    fn run(mut self, from: &mut TcpStream) -> Result<Sent, ArchiveError> {
        let to = self.to;
        let link = |e| ArchiveError::of_link("receive", to, e);
        let mut bytes = Vec::new();
        loop {
            let mut head = [0; HEAD];
            from.read_exact(&mut head).map_err(link)?;
            let Some(Head { kind, file, length }) = Head::of(head) else {
                return Err(ArchiveError::invalid(to, None, "what came is no frame of it"));
            };
            bytes.resize(length as usize, 0);
            from.read_exact(&mut bytes).map_err(link)?;
            if kind == Kind::End {
                let sent = self.end(&bytes)?;
                from.write_all(&sent.digest.to_be_bytes()).map_err(link)?;
                return Ok(sent);
            }
            self.hash.update(&head);
            self.hash.update(&bytes);
            self.bytes += (HEAD + bytes.len()) as u64;
            self.take(kind, file, &bytes)?;
        }
    }

    fn take(&mut self, kind: Kind, file: u32, bytes: &[u8]) -> Result<(), ArchiveError> {
        let unknown = || ArchiveError::invalid(self.to, None, format!("file {file} was not begun"));
        match kind {
            Kind::Open => {
                let opened = self.create(bytes)?;
                self.open.insert(file, opened);
            }
            Kind::Data => {
                let (path, file) = self.open.get_mut(&file).ok_or_else(unknown)?;
                file.write_all(bytes).map_err(|e| ArchiveError::io("write", path, e))?;
            }
            Kind::Close => drop(self.open.remove(&file).ok_or_else(unknown)?),
            Kind::Still | Kind::End => {}
        }
        Ok(())
    }

    fn create(&self, name: &[u8]) -> Result<(PathBuf, File), ArchiveError> {
        let Some(below) = path(name) else {
            let name = String::from_utf8_lossy(name);
            return Err(ArchiveError::invalid(self.to, Some(&name), "it has a path that leads out of the checkpoint"));
        };
        let path = self.to.join(&below);
        let failed = |e| ArchiveError::io("write", &path, e);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
        Ok((path, file))
    }

    fn end(&self, said: &[u8]) -> Result<Sent, ArchiveError> {
        let sent = Sent { bytes: self.bytes, digest: self.hash.digest128() };
        if said != sent.digest.to_be_bytes() {
            return Err(ArchiveError::invalid(self.to, None, "what arrived is not what was sent"));
        }
        if let Some((path, _)) = self.open.values().next() {
            let name = path.to_string_lossy();
            return Err(ArchiveError::invalid(self.to, Some(&name), "its end did not come"));
        }
        Ok(sent)
    }
}
