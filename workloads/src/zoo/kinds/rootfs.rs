//! Files of the root file system, whether a process has them open or not.

use crate::zoo::kind::{Area, Kind, Label, absent, bytes, home, lost, same};
use crate::zoo::sys::{set_xattr, xattr};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

const fn label(name: &'static str, about: &'static str) -> Label {
    Label::new(name, Area::RootFs, about)
}

/// Two files that the image has.
const CHANGED: &str = "of-image";
const REMOVED: &str = "of-image-too";

/// Where a kind has its own.
fn own(name: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(home())?;
    Ok(home().join(name))
}

/// A file of the image that was changed.
pub(super) struct Changed;

impl Kind for Changed {
    const LABEL: Label = label("rootfs-changed", "a file of the image with another content and another mode")
        .outside(&["file.of-image"]);

    fn hold() -> io::Result<Self> {
        let path = home().join(CHANGED);
        let mut file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(|e| absent(format!("the image has no {}: {e}", path.display())))?;
        file.write_all(b"changed\n")?;
        fs::set_permissions(&path, Permissions::from_mode(0o604))?;
        Ok(Changed)
    }

    fn verify(&mut self) -> io::Result<String> {
        let path = home().join(CHANGED);
        same("its content", &"of the image\nchanged\n".to_owned(), &fs::read_to_string(&path)?)?;
        same("its mode", &0o604, &(fs::metadata(&path)?.mode() & 0o7777))?;
        Ok("content and mode".to_owned())
    }
}

/// A new file with an owner and a mode.
pub(super) struct Created;

impl Kind for Created {
    const LABEL: Label =
        label("rootfs-created", "a new file with an owner and a mode with setuid bits").outside(&["file.created"]);

    fn hold() -> io::Result<Self> {
        let path = own("created")?;
        fs::write(&path, bytes(80, 9000))?;
        chown(&path, Some(1234), Some(4321))?;
        fs::set_permissions(&path, Permissions::from_mode(0o6751))?;
        Created.verify()?;
        Ok(Created)
    }

    fn verify(&mut self) -> io::Result<String> {
        let path = own("created")?;
        let meta = fs::metadata(&path)?;
        same("owner, group and mode", &(1234, 4321, 0o6751), &(meta.uid(), meta.gid(), meta.mode() & 0o7777))?;
        same("its content", &true, &(fs::read(&path)? == bytes(80, 9000)))?;
        Ok("1234:4321, mode 6751".to_owned())
    }
}

/// A file of the image that was deleted.
pub(super) struct Removed;

impl Kind for Removed {
    const LABEL: Label = label("rootfs-deleted", "a file of the image that is deleted").outside(&["file.of-image-too"]);

    fn hold() -> io::Result<Self> {
        let path = home().join(REMOVED);
        fs::remove_file(&path).map_err(|e| absent(format!("the image has no {}: {e}", path.display())))?;
        Ok(Removed)
    }

    fn verify(&mut self) -> io::Result<String> {
        if home().join(REMOVED).exists() { lost("it is there again") } else { Ok("it is gone".to_owned()) }
    }
}

/// Extended attributes.
pub(super) struct Xattrs;

impl Kind for Xattrs {
    const LABEL: Label = label("rootfs-xattrs", "extended attributes of a file").outside(&["file.xattrs"]);

    fn hold() -> io::Result<Self> {
        let path = own("xattrs")?;
        fs::write(&path, "x")?;
        set_xattr(&path, "user.podferry", b"value").map_err(|e| absent(format!("the file system takes none: {e}")))?;
        Ok(Xattrs)
    }

    fn verify(&mut self) -> io::Result<String> {
        same("user.podferry", &b"value".to_vec(), &xattr(&own("xattrs")?, "user.podferry")?)?;
        Ok("user.podferry".to_owned())
    }
}

/// Two names of a file.
pub(super) struct HardLinks;

impl Kind for HardLinks {
    const LABEL: Label =
        label("rootfs-hard-links", "two names of one file").zdtm("link10").outside(&["file.name-one", "file.name-two"]);

    fn hold() -> io::Result<Self> {
        let (one, two) = (own("name-one")?, own("name-two")?);
        let _ = fs::remove_file(&two);
        fs::write(&one, "both")?;
        fs::hard_link(&one, &two)?;
        Ok(HardLinks)
    }

    fn verify(&mut self) -> io::Result<String> {
        let (one, two) = (fs::metadata(own("name-one")?)?, fs::metadata(own("name-two")?)?);
        same("that both are one file", &one.ino(), &two.ino())?;
        same("its names", &2, &one.nlink())?;
        same("its content", &"both".to_owned(), &fs::read_to_string(own("name-two")?)?)?;
        Ok("two names".to_owned())
    }
}

/// Symbolic links.
pub(super) struct Symlinks;

impl Kind for Symlinks {
    const LABEL: Label = label("rootfs-symlinks", "symbolic links, one of them to nowhere")
        .zdtm("symlink symlink01")
        .outside(&["file.to-"]);

    fn hold() -> io::Result<Self> {
        for (name, to) in [("to-somewhere", "/etc"), ("to-nowhere", "no/where")] {
            let _ = fs::remove_file(own(name)?);
            symlink(to, own(name)?)?;
        }
        Ok(Symlinks)
    }

    fn verify(&mut self) -> io::Result<String> {
        same("the first", &PathBuf::from("/etc"), &fs::read_link(own("to-somewhere")?)?)?;
        same("the second", &PathBuf::from("no/where"), &fs::read_link(own("to-nowhere")?)?)?;
        Ok("two links".to_owned())
    }
}

/// Folders: a new one, and one of the image that was emptied and made anew.
pub(super) struct Folders;

impl Kind for Folders {
    const LABEL: Label =
        label("rootfs-folders", "a new folder with a mode, and one of the image that was removed and made anew, empty")
            .outside(&["file.new-folder", "file.image-folder"]);

    fn hold() -> io::Result<Self> {
        let (new, of_image) = (own("new-folder")?, own("image-folder")?);
        let _ = fs::remove_dir_all(&new);
        DirBuilder::new().mode(0o1750).create(&new)?;
        fs::set_permissions(&new, Permissions::from_mode(0o1750))?;
        fs::remove_dir_all(&of_image).map_err(|e| absent(format!("the image has no {}: {e}", of_image.display())))?;
        fs::create_dir(&of_image)?;
        fs::write(of_image.join("fresh"), "x")?;
        Ok(Folders)
    }

    fn verify(&mut self) -> io::Result<String> {
        let meta = fs::metadata(own("new-folder")?)?;
        same("the new one's mode", &0o1750, &(meta.mode() & 0o7777))?;
        let names: io::Result<Vec<_>> = fs::read_dir(own("image-folder")?)?.map(|e| Ok(e?.file_name())).collect();
        same("what is in the other", &vec!["fresh".into()], &names?)?;
        Ok("a new one, and one made anew".to_owned())
    }
}

/// Files that are none.
pub(super) struct Special;

impl Kind for Special {
    const LABEL: Label = label("rootfs-special", "a device and a named pipe that nobody has open")
        .outside(&["file.device", "file.pipe"]);

    fn hold() -> io::Result<Self> {
        let (device, pipe) = (own("device")?, own("pipe")?);
        for path in [&device, &pipe] {
            let _ = fs::remove_file(path);
        }
        mkfifo(&pipe, Mode::from_bits_truncate(0o622))?;
        mknod(&device, SFlag::S_IFCHR, Mode::from_bits_truncate(0o600), makedev(1, 3))
            .map_err(|e| absent(format!("it may make no devices: {e}")))?;
        Ok(Special)
    }

    fn verify(&mut self) -> io::Result<String> {
        let device = fs::metadata(own("device")?)?;
        same("the device", &(true, makedev(1, 3)), &(device.file_type().is_char_device(), device.rdev()))?;
        same("that the pipe is one", &true, &fs::metadata(own("pipe")?)?.file_type().is_fifo())?;
        Ok("device 1:3, a pipe".to_owned())
    }
}

/// When a file was changed.
pub(super) struct Times;

fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789)
}

impl Kind for Times {
    const LABEL: Label = label("rootfs-times", "when a file was last changed, to the nanosecond");

    fn hold() -> io::Result<Self> {
        let path = own("times")?;
        fs::write(&path, "x")?;
        OpenOptions::new().write(true).open(&path)?.set_modified(long_ago())?;
        Ok(Times)
    }

    fn verify(&mut self) -> io::Result<String> {
        same("when it was changed", &long_ago(), &fs::metadata(own("times")?)?.modified()?)?;
        Ok("2001-09-09 01:46:40.123456789".to_owned())
    }
}

/// A file on a file system in memory that nobody has open.
pub(super) struct Tmpfs;

fn in_memory() -> PathBuf {
    format!("/dev/shm/podferry-closed-{}", std::process::id()).into()
}

impl Kind for Tmpfs {
    const LABEL: Label = label("tmpfs-file", "a closed file in /dev/shm")
        .zdtm("tempfs tempfs_ro tempfs_subns tempfs_overmounted mnt_enablefs");

    fn hold() -> io::Result<Self> {
        fs::write(in_memory(), bytes(81, 7000)).map_err(|e| absent(format!("the container has no /dev/shm: {e}")))?;
        Ok(Tmpfs)
    }

    fn verify(&mut self) -> io::Result<String> {
        same("its content", &true, &(fs::read(in_memory())? == bytes(81, 7000)))?;
        Ok("7000 bytes".to_owned())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = fs::remove_file(in_memory());
    }
}
