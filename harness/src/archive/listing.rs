//! One view on both forms: the files of a checkpoint by name, each with its size and the place of its bytes.

use super::{ArchiveError, oci};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

/// How a checkpoint is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An uncompressed tar file, as `CheckpointContainer` of CRI writes it (containerd 2.1).
    CriArchive,
    /// An uncompressed tar file, as `podman container checkpoint --export` writes it (podman 5.8), and CRI-O (1.34), which has
    /// its code from there.
    PodmanArchive,
    /// A folder of images with the same inner names.
    ImageFolder,
    /// A checkpoint image as `ctr images export` writes it (containerd 2.1): an OCI layout in an uncompressed tar file.
    OciArchive,
}

impl Form {
    /// Whether it is one file.
    pub fn is_archive(self) -> bool {
        self != Form::ImageFolder
    }

    /// The form of what lies at a path. Who wrote an archive is not asked: a [`Form::CriArchive`] stands for any.
    ///
    /// # Errors
    /// Nothing is there, or it is neither a file nor a folder.
    pub fn of(path: &Path) -> Result<Form, ArchiveError> {
        match fs::metadata(path) {
            Ok(m) if m.is_file() => {
                let mut head = [0; 16];
                let read = File::open(path).and_then(|file| file.read_at(&mut head, 0));
                read.map_err(|e| ArchiveError::io("read", path, e))?;
                Ok(if oci::begins_so(&head) { Form::OciArchive } else { Form::CriArchive })
            }
            Ok(m) if m.is_dir() => Ok(Form::ImageFolder),
            Ok(_) => Err(ArchiveError::invalid(path, None, "it is neither a file nor a folder")),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(ArchiveError::Absent { archive: path.to_owned() }),
            Err(e) => Err(ArchiveError::io("read", path, e)),
        }
    }
}

/// A file of a checkpoint.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Its name, without `./` in front.
    pub(super) name: String,
    /// Its length in bytes.
    pub(super) size: u64,
    /// In a tar file: where its headers begin (with extension headers), where its bytes begin, where it ends with its
    /// padding. In a folder all are 0.
    pub(super) header: u64,
    pub(super) data: u64,
    pub(super) end: u64,
    /// Where the bytes begin of the entry that it is within, if the archive holds another.
    pub(super) within: Option<u64>,
}

/// What is in a checkpoint.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) path: PathBuf,
    pub(super) form: Form,
    /// Files in the order of the archive; of a folder sorted by name.
    pub(super) items: Vec<Item>,
    /// Links with their targets, unchecked: `verify` judges them.
    pub(super) links: Vec<(String, PathBuf, LinkKind)>,
    /// Names of entries that are neither files, folders nor links.
    pub(super) strange: Vec<String>,
    /// Where the last entry of a tar file ends.
    pub(super) end: u64,
    file: Option<File>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkKind {
    /// Its target is relative to the folder that the link is in.
    Symbolic,
    /// Its target is relative to the archive's root.
    Hard,
}

impl Listing {
    pub(super) fn read(path: &Path, form: Form) -> Result<Listing, ArchiveError> {
        if Form::of(path)?.is_archive() != form.is_archive() {
            let what = match form.is_archive() {
                true => "it is a folder where an archive is wanted",
                false => "it is a file where a folder of images is wanted",
            };
            return Err(ArchiveError::invalid(path, None, what));
        }
        let mut listing = Listing::empty(path, form);
        match form {
            Form::CriArchive | Form::PodmanArchive => listing.read_tar()?,
            Form::ImageFolder => listing.read_folder(Path::new(""))?,
            Form::OciArchive => {
                listing.read_tar()?;
                oci::look_inside(&mut listing)?;
            }
        }
        Ok(listing)
    }

    /// The entries of a tar file alone, whatever it is.
    pub(super) fn outside(path: &Path) -> Result<Listing, ArchiveError> {
        let mut listing = Listing::empty(path, Form::of(path)?);
        if listing.form == Form::ImageFolder {
            return Err(ArchiveError::invalid(path, None, "it is a folder where an archive is wanted"));
        }
        listing.read_tar()?;
        Ok(listing)
    }

    fn empty(path: &Path, form: Form) -> Listing {
        Listing {
            path: path.to_owned(),
            form,
            items: Vec::new(),
            links: Vec::new(),
            strange: Vec::new(),
            end: 0,
            file: None,
        }
    }

    fn read_tar(&mut self) -> Result<(), ArchiveError> {
        let file = File::open(&self.path).map_err(|e| ArchiveError::io("read", &self.path, e))?;
        let length = file.metadata().map_err(|e| ArchiveError::io("read", &self.path, e))?.len();
        self.end = self.read_entries(&file, 0..length, "", None)?;
        self.file = Some(file);
        Ok(())
    }

    /// Adds the entries of a tar file that is an entry itself, with something before their names.
    pub(super) fn read_within(&mut self, item: &Item, before: &str) -> Result<(), ArchiveError> {
        let file = self.open(item)?;
        self.read_entries(&file, item.data..item.data + item.size, before, Some(item.data)).map(drop)
    }

    /// Adds the entries of the tar file that lies there; gives where the last one ends.
    fn read_entries(
        &mut self,
        file: &File,
        at: Range<u64>,
        before: &str,
        within: Option<u64>,
    ) -> Result<u64, ArchiveError> {
        let path = self.path.clone();
        let broken = |what: String| ArchiveError::invalid(&path, None, what);
        let length = at.end - at.start;
        let mut tar = tar::Archive::new(Window { file, start: at.start, length, at: 0 });
        let entries = tar.entries_with_seek().map_err(|e| broken(plain(&e)))?;
        let mut header = at.start;
        for entry in entries {
            let entry = entry.map_err(|e| {
                broken(format!("it is no readable tar file after {} entries: {}", self.items.len(), plain(&e)))
            })?;
            let name = format!("{before}{}", entry_name(&entry.path_bytes()));
            let size = entry.header().entry_size().map_err(|e| broken(format!("entry `{name}`: {e}")))?;
            let data = at.start + entry.raw_file_position();
            // Saturating: a header can claim any size up to 2^64.
            let end = data.saturating_add(size.div_ceil(512).saturating_mul(512));
            if data.saturating_add(size) > at.end {
                let have = at.end.saturating_sub(data);
                let what = format!("it is cut: {have} of {size} bytes are there");
                return Err(ArchiveError::invalid(&path, Some(&name), what));
            }
            match entry.header().entry_type() {
                tar::EntryType::Regular | tar::EntryType::Continuous => {
                    self.items.push(Item { name, size, header, data, end, within });
                }
                tar::EntryType::Directory => self.check_folder_name(name)?,
                kind @ (tar::EntryType::Symlink | tar::EntryType::Link) => {
                    let target = entry.link_name().ok().flatten().map(|t| t.into_owned()).unwrap_or_default();
                    let hard = kind == tar::EntryType::Link;
                    self.links.push((name, target, if hard { LinkKind::Hard } else { LinkKind::Symbolic }));
                }
                _ => self.strange.push(name),
            }
            header = end;
        }
        Ok(header)
    }

    /// A folder entry is kept only if its name is bad: it can escape as well as a file can.
    fn check_folder_name(&self, name: String) -> Result<(), ArchiveError> {
        match leads_out(Path::new(&name)) {
            Some(what) => {
                Err(ArchiveError::Escaping { archive: self.path.clone(), entry: name, what: what.to_owned() })
            }
            None => Ok(()),
        }
    }

    fn read_folder(&mut self, below: &Path) -> Result<(), ArchiveError> {
        let folder = self.path.join(below);
        let fail = |e| ArchiveError::io("read", &folder, e);
        let mut entries = fs::read_dir(&folder).map_err(fail)?.collect::<Result<Vec<_>, _>>().map_err(fail)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let relative = below.join(entry.file_name());
            let name = relative.to_string_lossy().into_owned();
            let meta = entry.metadata().map_err(fail)?;
            if meta.is_dir() {
                self.read_folder(&relative)?;
            } else if meta.is_file() {
                self.items.push(Item { name, size: meta.len(), header: 0, data: 0, end: 0, within: None });
            } else if meta.is_symlink() {
                let target = fs::read_link(entry.path()).map_err(fail)?;
                self.links.push((name, target, LinkKind::Symbolic));
            } else {
                self.strange.push(name);
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|i| i.name == name)
    }

    /// The file that holds an item's bytes.
    pub(super) fn open(&self, item: &Item) -> Result<File, ArchiveError> {
        let path = if self.form.is_archive() { self.path.clone() } else { self.path.join(&item.name) };
        match &self.file {
            Some(file) => file.try_clone(),
            None => File::open(&path),
        }
        .map_err(|e| ArchiveError::io("read", &path, e))
    }

    /// All bytes of a small item.
    pub(super) fn bytes(&self, item: &Item, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        if item.size > limit {
            let what = format!("it has {} bytes, more than {limit} are not believable for it", item.size);
            return Err(ArchiveError::invalid(&self.path, Some(&item.name), what));
        }
        let mut bytes = vec![0; usize::try_from(item.size).unwrap_or(usize::MAX)];
        self.open(item)?
            .read_exact_at(&mut bytes, item.data)
            .map_err(|e| ArchiveError::io("read", &self.path.join(&item.name), e))?;
        Ok(bytes)
    }
}

/// A part of a file, with a position of its own: several can read one file.
pub(super) struct Window<'a> {
    pub(super) file: &'a File,
    pub(super) start: u64,
    pub(super) length: u64,
    pub(super) at: u64,
}

impl Read for Window<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let most = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = self.file.read_at(&mut into[..most], self.start + self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::Current(n) => self.at.checked_add_signed(n),
            SeekFrom::End(n) => self.length.checked_add_signed(n),
        };
        // A position past the end of what a file can have would overflow when the start is added.
        self.at = at.filter(|a| *a <= i64::MAX as u64 - self.start).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// What the tar reader says, without the bytes of the broken header that it repeats.
pub(super) fn plain(e: &io::Error) -> String {
    let text = e.to_string();
    let kept = text.split(" when getting ").next().unwrap_or_default();
    kept.split(": ").next().unwrap_or_default().to_owned()
}

fn entry_name(bytes: &[u8]) -> String {
    let name = String::from_utf8_lossy(bytes);
    let name = name.strip_prefix("./").unwrap_or(&name);
    name.to_owned()
}

/// How a path leads out of the folder that it is relative to, if it does.
pub(super) fn leads_out(path: &Path) -> Option<&'static str> {
    let mut depth = 0_i64;
    for part in path.components() {
        match part {
            Component::RootDir | Component::Prefix(_) => return Some("its path is absolute"),
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
        }
        if depth < 0 {
            return Some("its path goes up with `..`");
        }
    }
    None
}
