use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The root folder of a node image. Every path is taken inside it, links too: an image is full of absolute links
/// (`/var/run` -> `/run`), and one that is followed on the host would change the host.
pub(super) struct Contained {
    root: OwnedFd,
}

impl Contained {
    pub(super) fn open(root: &Path) -> io::Result<Contained> {
        let root = open(root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Contained { root })
    }

    /// Whether something is there, a dangling link being nothing.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.resolve(path, OFlag::O_PATH).is_ok()
    }

    /// Opens a file to read it.
    pub(super) fn open_file(&self, path: &str) -> io::Result<fs::File> {
        Ok(self.resolve(path, OFlag::O_RDONLY)?.into())
    }

    /// The bytes of a file.
    pub(super) fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut self.open_file(path)?, &mut bytes)?;
        Ok(bytes)
    }

    /// Makes a folder and those above it.
    pub(super) fn make_dir(&self, path: &str) -> io::Result<()> {
        match self.resolve(path, OFlag::O_PATH | OFlag::O_DIRECTORY) {
            Ok(_) => return Ok(()),
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Err(_) => {}
        }
        let (parent, name) = split(path);
        if !parent.is_empty() {
            self.make_dir(parent)?;
        }
        match fs::create_dir(self.place(parent, name)?.1) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
            _ => Ok(()),
        }
    }

    /// Puts a file there, in the place of a file or link of that name.
    pub(super) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> io::Result<()> {
        let (_held, place) = self.vacate(path)?;
        fs::write(place, content)
    }

    /// Puts a symbolic link there, in the place of a file or link of that name.
    pub(super) fn link(&self, path: &str, target: &str) -> io::Result<()> {
        let (_held, place) = self.vacate(path)?;
        std::os::unix::fs::symlink(target, place)
    }

    /// Removes a folder with all that it holds (of a link, only the link); gone already is no error.
    pub(super) fn remove_dir(&self, path: &str) -> io::Result<()> {
        let (parent, name) = split(path);
        let gone = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
        let place = self.place(parent, name);
        match place.and_then(|(_held, place)| fs::remove_dir_all(place)) {
            Err(e) if !gone(&e) => Err(e),
            _ => Ok(()),
        }
    }

    fn vacate(&self, path: &str) -> io::Result<(OwnedFd, PathBuf)> {
        let (parent, name) = split(path);
        let (held, place) = self.place(parent, name)?;
        match fs::remove_file(&place) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok((held, place)),
        }
    }

    /// A path on the host for a name in a folder of the root, good as long as the descriptor is held.
    fn place(&self, parent: &str, name: &str) -> io::Result<(OwnedFd, PathBuf)> {
        let held = self.resolve(parent, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        let place = by_fd(&held).join(name);
        Ok((held, place))
    }

    fn resolve(&self, path: &str, flags: OFlag) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
        loop {
            // EAGAIN: something was renamed meanwhile, and the kernel could not be sure that the path stays inside.
            match openat2(&self.root, path, how) {
                Err(Errno::EAGAIN) => {}
                other => return Ok(other?),
            }
        }
    }
}

fn by_fd(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_link_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir_all(root.join("run")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("file"), "host").unwrap();
        symlink(&outside, root.join("out")).unwrap();
        symlink(outside.join("file"), root.join("run/file")).unwrap();
        symlink("/run", root.join("var-run")).unwrap();

        let it = Contained::open(&root).unwrap();
        assert!(it.write("out/file", "x").is_err());
        assert!(it.write("../outside/file", "x").is_err());
        assert!(it.read("run/file").is_err());
        it.write("run/file", "node").unwrap();
        it.write("var-run/other", "node").unwrap();
        it.make_dir("var-run/a/b").unwrap();
        it.remove_dir("nothing/there").unwrap();
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"host");
        assert_eq!(fs::read(root.join("run/file")).unwrap(), b"node");
        assert_eq!(it.read("run/other").unwrap(), b"node");
        assert!(root.join("run/a/b").is_dir());
        assert!(it.exists("var-run/a") && !it.exists("out"));
        it.remove_dir("out").unwrap();
        assert!(outside.join("file").exists() && !root.join("out").is_symlink(), "only the link goes");
    }
}
