//! An archive of the user's, as named parts.

use super::store::Hasher;
use super::{ImageError, Store};
use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Take};
use std::path::{Component, Path, PathBuf};

enum Part {
    File {
        offset: u64,
        size: u64,
    },
    /// `docker save` writes a layer that two images share once, and a link to it.
    Link(String),
}

/// An archive whose entries can be read in any order.
pub(super) struct Bundle {
    path: PathBuf,
    file: File,
    parts: BTreeMap<String, Part>,
}

impl Bundle {
    /// Looks through the archive; decompresses it aside first if it is compressed as a whole.
    pub(super) fn open(store: &Store, path: &Path) -> Result<Self, ImageError> {
        let file = plain(store, path)?;
        let length = file.metadata().map_err(ImageError::io("read", path))?.len();
        let mut bundle = Bundle { path: path.to_owned(), file, parts: BTreeMap::new() };
        if length == 0 {
            return Err(bundle.invalid("is empty".to_owned()));
        }
        let file = bundle.file.try_clone().map_err(ImageError::io("read", path))?;
        let mut tar = tar::Archive::new(BufReader::new(file));
        for entry in tar.entries_with_seek().map_err(|e| bundle.not_tar(&e))? {
            let entry = entry.map_err(|e| bundle.not_tar(&e))?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let Some(plain) = inside(Path::new(&name)) else {
                return Err(bundle.escaping(&name, "leads out of the archive"));
            };
            let kind = entry.header().entry_type();
            if kind.is_file() || kind.is_contiguous() {
                let (offset, size) = (entry.raw_file_position(), entry.size());
                if offset.saturating_add(size) > length {
                    return Err(bundle.invalid(format!("is cut within `{name}`")));
                }
                bundle.parts.insert(plain, Part::File { offset, size });
            } else if let Some(target) = entry.link_name_bytes() {
                let target = String::from_utf8_lossy(&target).into_owned();
                let base = if kind.is_symlink() { Path::new(&plain).parent() } else { None };
                let Some(real) = inside(&base.unwrap_or(Path::new("")).join(&target)) else {
                    return Err(
                        bundle.escaping(&name, &format!("is a link to `{target}`, which leads out of the archive"))
                    );
                };
                bundle.parts.insert(plain, Part::Link(real));
            }
        }
        Ok(bundle)
    }

    fn not_tar(&self, e: &io::Error) -> ImageError {
        // The tar crate quotes what it could not read, whatever bytes those are.
        let said: String = e.to_string().chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
        self.invalid(format!("is no whole tar archive: {said}"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn invalid(&self, what: String) -> ImageError {
        ImageError::Invalid { archive: self.path.clone(), what }
    }

    fn escaping(&self, entry: &str, why: &str) -> ImageError {
        ImageError::Escaping { archive: self.path.clone(), entry: entry.to_owned(), why: why.to_owned() }
    }

    pub(super) fn mismatch(&self, entry: &str, expected: &str, found: &str) -> ImageError {
        let (entry, expected, found) = (entry.to_owned(), expected.to_owned(), found.to_owned());
        ImageError::Digest { archive: self.path.clone(), entry, expected, found }
    }

    pub(super) fn has(&self, entry: &str) -> bool {
        self.parts.contains_key(entry)
    }

    /// The content of an entry, as a stream.
    pub(super) fn stream(&mut self, entry: &str) -> Result<Take<&mut File>, ImageError> {
        let mut name = inside(Path::new(entry)).ok_or_else(|| self.escaping(entry, "leads out of the archive"))?;
        for _ in 0..8 {
            match self.parts.get(&name) {
                Some(Part::Link(target)) => name = target.clone(),
                Some(Part::File { offset, size }) => {
                    self.file.seek(SeekFrom::Start(*offset)).map_err(ImageError::io("read", &self.path))?;
                    return Ok((&mut self.file).take(*size));
                }
                None => return Err(self.invalid(format!("lacks `{entry}`"))),
            }
        }
        Err(self.invalid(format!("`{entry}` is a loop of links")))
    }

    /// The content of a small entry.
    pub(super) fn read(&mut self, entry: &str, limit: u64) -> Result<Vec<u8>, ImageError> {
        let stream = self.stream(entry)?;
        if stream.limit() > limit {
            let what = format!("`{entry}` has {} bytes, which no manifest or configuration has", stream.limit());
            return Err(self.invalid(what));
        }
        let mut bytes = Vec::new();
        let mut stream = stream;
        stream.read_to_end(&mut bytes).map_err(ImageError::io("read", &self.path))?;
        Ok(bytes)
    }

    /// Reads JSON.
    pub(super) fn parse<T: serde::de::DeserializeOwned>(&self, entry: &str, bytes: &[u8]) -> Result<T, ImageError> {
        serde_json::from_slice(bytes).map_err(|e| self.invalid(format!("`{entry}` makes no sense: {e}")))
    }
}

/// The archive as a plain tar: itself, or its content in a file that has no name.
fn plain(store: &Store, path: &Path) -> Result<File, ImageError> {
    let mut file = File::open(path).map_err(ImageError::io("read", path))?;
    let mut magic = Vec::new();
    (&mut file).take(4).read_to_end(&mut magic).map_err(ImageError::io("read", path))?;
    file.rewind().map_err(ImageError::io("read", path))?;
    let mut from: Box<dyn Read> = match magic.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::new(file).map_err(ImageError::io("decompress", path))?),
        _ => return Ok(file),
    };
    let mut out = tempfile::tempfile_in(store.dir().join("tmp")).map_err(ImageError::io("decompress", path))?;
    io::copy(&mut from, &mut out).and_then(|_| out.rewind()).map_err(|e| match e.kind() {
        io::ErrorKind::StorageFull => ImageError::io("decompress", path)(e),
        _ => ImageError::Invalid { archive: path.to_owned(), what: format!("can't be decompressed: {e}") },
    })?;
    Ok(out)
}

/// A path below the archive's root in its plain form; `None` for one that leads out.
fn inside(path: &Path) -> Option<String> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    out.to_str().map(str::to_owned)
}

/// Hashes what is read through it.
pub(super) struct Hashing<R> {
    from: R,
    hash: Hasher,
}

impl<R> Hashing<R> {
    pub(super) fn new(from: R) -> Self {
        Hashing { from, hash: Hasher::default() }
    }

    pub(super) fn digest(self) -> String {
        self.hash.digest()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.hash.update(&buffer[..n]);
        Ok(n)
    }
}
