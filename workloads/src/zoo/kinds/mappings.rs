//! Mappings of files, and what may be done with them.

use crate::zoo::kind::{Area, Kind, Label, bytes, home, same};
use crate::zoo::sys::memory::Map;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

const PAGE: usize = 4096;
const LENGTH: usize = 8 * PAGE;
const BOTH: i32 = libc::PROT_READ | libc::PROT_WRITE;

const fn label(name: &'static str, about: &'static str) -> Label {
    Label::new(name, Area::Memory, about)
}

/// A file of the kind's own, with content.
pub(super) fn file(name: &str, content: &[u8]) -> io::Result<File> {
    fs::create_dir_all(home())?;
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(home().join(name))?;
    file.write_all(content)?;
    Ok(file)
}

/// A private mapping of a file, with one page changed.
pub(super) struct Private(Map);

fn changed() -> Vec<u8> {
    let mut content = bytes(10, LENGTH);
    content[PAGE..2 * PAGE].fill(0x5a);
    content
}

impl Kind for Private {
    const LABEL: Label = label("file-private", "a private mapping of a file, with one page changed")
        .zdtm("maps00 maps04 maps06 maps_file_prot cow00")
        .outside(&["maps./"]);

    fn hold() -> io::Result<Self> {
        let file = file("private", &bytes(10, LENGTH))?;
        let map = Map::new(LENGTH, BOTH, libc::MAP_PRIVATE, Some(&file))?;
        map.write(PAGE, &[0x5a; PAGE]);
        Ok(Private(map))
    }

    fn verify(&mut self) -> io::Result<String> {
        same("the mapping", &true, &(self.0.read() == changed()))?;
        same("the file", &true, &(fs::read(home().join("private"))? == bytes(10, LENGTH)))?;
        Ok("8 pages, one of its own".to_owned())
    }
}

/// A shared mapping of a file.
pub(super) struct SharedFile {
    map: Map,
    file: File,
    turn: u8,
}

impl Kind for SharedFile {
    const LABEL: Label = label("file-shared", "a shared mapping of a file: what is written to one is in the other")
        .zdtm("maps05 mtime_mmap file_shared")
        .outside(&["maps./"]);

    fn hold() -> io::Result<Self> {
        let file = file("shared", &bytes(11, LENGTH))?;
        let map = Map::new(LENGTH, BOTH, libc::MAP_SHARED, Some(&file))?;
        Ok(SharedFile { map, file, turn: 11 })
    }

    fn verify(&mut self) -> io::Result<String> {
        same("the mapping", &true, &(self.map.read() == bytes(self.turn, LENGTH)))?;
        self.turn = self.turn.wrapping_add(1);
        self.map.write(0, &bytes(self.turn, LENGTH));
        let mut read = vec![0; LENGTH];
        self.file.read_exact_at(&mut read, 0)?;
        same("that the file has what was written to the mapping", &true, &(read == bytes(self.turn, LENGTH)))?;
        Ok("8 pages".to_owned())
    }
}

/// A shared mapping of a file that is deleted.
pub(super) struct Deleted(Map);

impl Kind for Deleted {
    const LABEL: Label = label("deleted-mapping", "a shared mapping of a deleted file that no descriptor holds")
        .zdtm("unlink_mmap00 unlink_mmap01 unlink_mmap02 ghost_on_rofs")
        .outside(&["maps./"]);

    fn hold() -> io::Result<Self> {
        let file = file("deleted-mapping", &bytes(12, LENGTH))?;
        let map = Map::new(LENGTH, BOTH, libc::MAP_SHARED, Some(&file))?;
        fs::remove_file(home().join("deleted-mapping"))?;
        Ok(Deleted(map))
    }

    fn verify(&mut self) -> io::Result<String> {
        same("the mapping", &true, &(self.0.read() == bytes(12, LENGTH)))?;
        Ok("8 pages".to_owned())
    }
}

/// Pages that may be read, written, run, or nothing.
pub(super) struct Protections {
    map: Map,
    was: Vec<String>,
}

impl Protections {
    /// Rights of the mapping's parts, in order.
    fn now(map: &Map) -> io::Result<Vec<String>> {
        let end = map.address() + LENGTH;
        let part = |line: &str| {
            let (range, rest) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            let (from, to) = (usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?);
            let (from, to) = (from.max(map.address()), to.min(end));
            (from < to).then(|| format!("{} of {}", (to - from) / PAGE, rest.get(..4).unwrap_or_default()))
        };
        Ok(fs::read_to_string("/proc/self/maps")?.lines().filter_map(part).collect())
    }
}

impl Kind for Protections {
    const LABEL: Label = label("protections", "pages that may be read alone, run, or not be touched")
        .zdtm("mprotect00 maps08 grow_map grow_map02 grow_map03 shadow_stack pkeys");

    fn hold() -> io::Result<Self> {
        let map = Map::anonymous(LENGTH)?;
        map.write(0, &bytes(13, LENGTH));
        map.protect(0, PAGE, libc::PROT_READ)?;
        map.protect(2 * PAGE, PAGE, libc::PROT_READ | libc::PROT_EXEC)?;
        map.protect(4 * PAGE, PAGE, libc::PROT_NONE)?;
        let was = Self::now(&map)?;
        same("the number of parts", &true, &(was.len() >= 6))?;
        Ok(Protections { map, was })
    }

    fn verify(&mut self) -> io::Result<String> {
        same("the rights", &self.was, &Self::now(&self.map)?)?;
        // What must not be touched has content too.
        self.map.protect(4 * PAGE, PAGE, libc::PROT_READ)?;
        let content = self.map.read();
        self.map.protect(4 * PAGE, PAGE, libc::PROT_NONE)?;
        same("the content", &true, &(content == bytes(13, LENGTH)))?;
        Ok(self.was.join(", "))
    }
}
