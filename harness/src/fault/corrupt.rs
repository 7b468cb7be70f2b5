use super::{Fault, blocking};
use crate::record::Failure;
use async_trait::async_trait;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that are overwritten.
const LENGTH: usize = 64;

/// A checkpoint with wrong bytes in its middle: of the archive, or of the largest file of a folder.
pub(super) struct Corrupt {
    checkpoint: PathBuf,
    /// What stood there, and where.
    was: Arc<Mutex<Option<Was>>>,
}

/// The file, the offset, the bytes.
type Was = (PathBuf, u64, Vec<u8>);

impl Corrupt {
    pub(super) fn new(checkpoint: PathBuf) -> Self {
        Corrupt { checkpoint, was: Arc::default() }
    }
}

/// The file itself, or the largest below a folder.
fn largest(path: &Path) -> io::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let mut found: Option<(u64, PathBuf)> = None;
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            if meta.is_dir() {
                folders.push(entry.path());
            } else if meta.is_file() && found.as_ref().is_none_or(|(size, _)| meta.len() > *size) {
                found = Some((meta.len(), entry.path()));
            }
        }
    }
    found.map(|(_, path)| path).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no file in it"))
}

#[async_trait]
impl Fault for Corrupt {
    async fn strike(&self) -> Result<(), Failure> {
        let (checkpoint, was) = (self.checkpoint.clone(), Arc::clone(&self.was));
        blocking("overwrite a checkpoint".to_owned(), move || {
            let path = largest(&checkpoint)?;
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            let at = file.metadata()?.len().saturating_sub(LENGTH as u64) / 2;
            let mut bytes = vec![0; LENGTH];
            file.read_exact_at(&mut bytes, at)?;
            *was.lock().unwrap_or_else(PoisonError::into_inner) = Some((path, at, bytes.clone()));
            // Each byte is another one then, whatever it was.
            bytes.iter_mut().for_each(|b| *b ^= 0xa5);
            file.write_all_at(&bytes, at)
        })
        .await
    }

    async fn mend(&self) -> Result<(), Failure> {
        let taken = self.was.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((path, at, bytes)) = taken else { return Ok(()) };
        blocking("put the bytes of a checkpoint back".to_owned(), move || {
            match OpenOptions::new().write(true).open(path) {
                // It was removed meanwhile.
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
                file => file?.write_all_at(&bytes, at),
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_another_file_while_it_lasts() {
        let dir = tempfile::tempdir().unwrap();
        let (small, large) = (dir.path().join("small"), dir.path().join("sub/large"));
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(&small, [7; 100]).unwrap();
        fs::write(&large, [9; 10_000]).unwrap();
        let fault = Corrupt::new(dir.path().to_owned());
        fault.mend().await.unwrap();
        fault.strike().await.unwrap();
        let wrong = fs::read(&large).unwrap();
        assert_eq!((wrong.len(), wrong.iter().filter(|b| **b != 9).count()), (10_000, LENGTH));
        assert_eq!(fs::read(&small).unwrap(), [7; 100]);
        fault.mend().await.unwrap();
        fault.mend().await.unwrap();
        assert_eq!(fs::read(&large).unwrap(), [9; 10_000]);
    }
}
