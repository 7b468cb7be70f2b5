//! Open files that have no name any more.

use super::mappings::file;
use crate::zoo::kind::{Area, Kind, Label, bytes, home, lost, same};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

const fn label(name: &'static str, about: &'static str) -> Label {
    Label::new(name, Area::Files, about).outside(&["fd."])
}

fn deleted(name: &str, seed: u8, length: usize) -> io::Result<File> {
    let file = file(name, &bytes(seed, length))?;
    fs::remove_file(home().join(name))?;
    Ok(file)
}

fn intact(file: &File, seed: u8, length: usize) -> io::Result<String> {
    let mut now = vec![0; length];
    file.read_exact_at(&mut now, 0)?;
    same("its content", &true, &(now == bytes(seed, length)))?;
    same("its names", &0, &file.metadata()?.nlink())?;
    Ok(format!("{length} bytes, no name"))
}

/// A small one.
pub(super) struct Small(File);

impl Kind for Small {
    const LABEL: Label = label("deleted-small", "an open file of 64 KiB that was deleted")
        .zdtm("unlink_fstat00 unlink_fstat01 unlink_fstat03 unlink_regular00 ghost_holes00 ghost_multi_hole00");

    fn hold() -> io::Result<Self> {
        Ok(Small(deleted("deleted-small", 30, 64 << 10)?))
    }

    fn verify(&mut self) -> io::Result<String> {
        intact(&self.0, 30, 64 << 10)
    }
}

/// One above CRIU's limit.
pub(super) struct Large(File);

impl Kind for Large {
    const LABEL: Label = label("deleted-large", "an open file of 3 MiB that was deleted")
        .zdtm("unlink_largefile")
        .alone("CRIU carries deleted files of up to 1 MiB unless told otherwise");

    fn hold() -> io::Result<Self> {
        Ok(Large(deleted("deleted-large", 31, 3 << 20)?))
    }

    fn verify(&mut self) -> io::Result<String> {
        intact(&self.0, 31, 3 << 20)
    }
}

/// One whose name was deleted while it has another one.
pub(super) struct OtherName(File);

impl Kind for OtherName {
    const LABEL: Label = label("deleted-one-name", "an open file whose name was deleted and that has another one")
        .zdtm("unlink_fstat02 unlink_fstat04 link10 mntns_link_remap mntns_link_ghost")
        .alone("CRIU makes it a name for a while only with --link-remap");

    fn hold() -> io::Result<Self> {
        let file = file("first-name", &bytes(32, 1000))?;
        let _ = fs::remove_file(home().join("second-name"));
        fs::hard_link(home().join("first-name"), home().join("second-name"))?;
        fs::remove_file(home().join("first-name"))?;
        Ok(OtherName(file))
    }

    fn verify(&mut self) -> io::Result<String> {
        let mut now = vec![0; 1000];
        self.0.read_exact_at(&mut now, 0)?;
        same("its content", &true, &(now == bytes(32, 1000)))?;
        let (open, named) = (self.0.metadata()?, fs::metadata(home().join("second-name"))?);
        same("that both are one file", &open.ino(), &named.ino())?;
        same("its names", &1, &open.nlink())?;
        Ok("1000 bytes, one name of two".to_owned())
    }
}

/// A folder.
pub(super) struct Directory(File);

impl Kind for Directory {
    const LABEL: Label = label("deleted-folder", "an open folder that was deleted").zdtm("rmdir_open cwd01 cwd02");

    fn hold() -> io::Result<Self> {
        let folder = home().join("deleted-folder");
        fs::create_dir_all(&folder)?;
        let open = File::open(&folder)?;
        fs::remove_dir(&folder)?;
        Ok(Directory(open))
    }

    fn verify(&mut self) -> io::Result<String> {
        let meta = self.0.metadata()?;
        match meta.is_dir() && meta.nlink() == 0 {
            true => Ok("a folder without a name".to_owned()),
            false => lost(format!("a folder: {}, names: {}", meta.is_dir(), meta.nlink())),
        }
    }
}
