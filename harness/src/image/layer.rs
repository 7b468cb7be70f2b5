//! One layer, made from parts: the same parts give the same bytes, whatever their order and age.

use super::ImageError;
use super::store::{Blob, Store};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use tar::{EntryType, Header};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Dir(u32),
    File(PathBuf, u32),
    Text(Vec<u8>, u32),
    Link(PathBuf),
}

/// The parts of a layer, by their path in it. What is added later replaces what is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    nodes: BTreeMap<PathBuf, Node>,
}

/// More links on the way to one file than any sane root has.
const MOST_LINKS: usize = 40;

impl Layer {
    fn put(&mut self, inside: &Path, node: Node) {
        let path = inside.strip_prefix("/").unwrap_or(inside);
        for parent in path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
            self.nodes.entry(parent.to_owned()).or_insert(Node::Dir(0o755));
        }
        self.nodes.insert(path.to_owned(), node);
    }

    /// A folder.
    pub(crate) fn dir(&mut self, inside: &str, mode: u32) {
        self.put(Path::new(inside), Node::Dir(mode));
    }

    /// A file with this text.
    pub(crate) fn text(&mut self, inside: &str, text: &str, mode: u32) {
        self.put(Path::new(inside), Node::Text(text.as_bytes().to_vec(), mode));
    }

    /// A symbolic link.
    pub(crate) fn link(&mut self, inside: &str, target: &str) {
        self.put(Path::new(inside), Node::Link(target.into()));
    }

    /// A file of the host.
    pub(crate) fn host_file(&mut self, inside: &str, host: &Path, mode: u32) {
        self.put(Path::new(inside), Node::File(host.to_owned(), mode));
    }

    /// Adds a file or folder of a root, with every link on the way to it: a merged `/usr` looks the same in the image.
    /// `Ok(false)`: the root has no such file.
    pub(crate) fn take_from(&mut self, root: &Path, inside: &str) -> Result<bool, ImageError> {
        let mut path = clean(Path::new("/"), Path::new(inside));
        for _ in 0..MOST_LINKS {
            match self.walk(root, &path)? {
                Step::Missing => return Ok(false),
                Step::Link(next) => path = next,
                Step::File(mode) => {
                    self.put(&path, Node::File(root.join(relative(&path)), mode));
                    return Ok(true);
                }
                Step::Dir => return self.tree(root, &path).map(|()| true),
            }
        }
        Err(ImageError::Invalid { archive: root.to_owned(), what: format!("`{inside}` is a loop of links") })
    }

    /// Goes down to `path`, up to the first link.
    fn walk(&mut self, root: &Path, path: &Path) -> Result<Step, ImageError> {
        let parts: Vec<Component<'_>> = path.components().filter(|c| matches!(c, Component::Normal(_))).collect();
        let mut at = PathBuf::from("/");
        for (i, part) in parts.iter().enumerate() {
            let parent = at.clone();
            at.push(part);
            let host = root.join(relative(&at));
            let meta = match fs::symlink_metadata(&host) {
                Ok(meta) => meta,
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    return Ok(Step::Missing);
                }
                Err(e) => return Err(ImageError::io("read", &host)(e)),
            };
            let mode = meta.permissions().mode() & 0o7777;
            if meta.is_symlink() {
                let target = fs::read_link(&host).map_err(ImageError::io("read", &host))?;
                let rest: PathBuf = parts[i + 1..].iter().collect();
                let next = clean(&clean(&parent, &target), &rest);
                self.put(&at, Node::Link(target));
                return Ok(Step::Link(next));
            }
            if meta.is_dir() {
                self.put(&at, Node::Dir(mode));
            } else if i + 1 == parts.len() && meta.is_file() {
                return Ok(Step::File(mode));
            } else {
                return Ok(Step::Missing);
            }
        }
        Ok(Step::Dir)
    }

    fn tree(&mut self, root: &Path, dir: &Path) -> Result<(), ImageError> {
        let host = root.join(relative(dir));
        for entry in fs::read_dir(&host).map_err(ImageError::io("read", &host))? {
            let entry = entry.map_err(ImageError::io("read", &host))?;
            let (at, from) = (dir.join(entry.file_name()), entry.path());
            let meta = fs::symlink_metadata(&from).map_err(ImageError::io("read", &from))?;
            let mode = meta.permissions().mode() & 0o7777;
            if meta.is_symlink() {
                self.put(&at, Node::Link(fs::read_link(&from).map_err(ImageError::io("read", &from))?));
            } else if meta.is_dir() {
                self.put(&at, Node::Dir(mode));
                self.tree(root, &at)?;
            } else if meta.is_file() {
                self.put(&at, Node::File(from, mode));
            }
        }
        Ok(())
    }

    /// Writes the layer as a blob.
    pub(super) fn write(&self, store: &Store) -> Result<Blob, ImageError> {
        self.write_tar(store.writer()?)?.commit()
    }

    /// Writes the layer as a tar file.
    pub(crate) fn write_file(&self, path: &Path) -> Result<(), ImageError> {
        let file = File::create(path).map_err(ImageError::io("write", path))?;
        let out = self.write_tar(io::BufWriter::with_capacity(1 << 20, file))?;
        out.into_inner().map(drop).map_err(|e| ImageError::io("write", path)(e.into_error()))
    }

    fn write_tar<W: io::Write>(&self, out: W) -> Result<W, ImageError> {
        let mut tar = tar::Builder::new(out);
        let failed = |path: &Path| ImageError::io("add to a layer", Path::new("/").join(path));
        for (path, node) in &self.nodes {
            let mut header = Header::new_gnu();
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            let write = match node {
                Node::Dir(mode) => {
                    header.set_entry_type(EntryType::Directory);
                    header.set_mode(*mode);
                    header.set_size(0);
                    tar.append_data(&mut header, path.join(""), io::empty())
                }
                Node::Link(target) => {
                    header.set_entry_type(EntryType::Symlink);
                    header.set_mode(0o777);
                    header.set_size(0);
                    tar.append_link(&mut header, path, target)
                }
                Node::Text(bytes, mode) => {
                    header.set_mode(*mode);
                    header.set_size(bytes.len() as u64);
                    tar.append_data(&mut header, path, bytes.as_slice())
                }
                Node::File(host, mode) => {
                    let file = File::open(host).map_err(ImageError::io("read", host))?;
                    header.set_mode(*mode);
                    header.set_size(file.metadata().map_err(ImageError::io("read", host))?.len());
                    tar.append_data(&mut header, path, file)
                }
            };
            write.map_err(failed(path))?;
        }
        tar.into_inner().map_err(failed(Path::new("")))
    }
}

enum Step {
    Missing,
    Link(PathBuf),
    File(u32),
    Dir,
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Joins as a process whose root is `/` sees it: `..` never leads above the root.
fn clean(base: &Path, path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in base.join(path).components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests;
