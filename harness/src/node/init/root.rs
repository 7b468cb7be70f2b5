use super::super::wire::{SHARED_DIR, Setup};
use super::{Doing, cgroup};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod, umask};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

/// Where the new root is put together. Nothing that the harness names lies below `/sys`, so covering it (in this mount
/// namespace) hides nothing that is still needed.
const STAGE: &str = "/sys";

/// Makes the node's root and goes there. To be called in new namespaces; nothing of it is seen on the host, and all of
/// it ends with the mount namespace.
pub(super) fn build(setup: &Setup, mounts: Vec<OwnedFd>) -> Result<(), String> {
    let mut mounts = mounts.into_iter();
    let (shared, disk) = (mounts.next(), mounts.next());
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).doing("make all mounts private")?;
    // Opened here, since the host's paths are gone later; put in place there, so that links are followed in the node.
    let overrides = open_overrides(&setup.overrides)?;
    let binds = open_binds(&setup.binds)?;
    let root = overlay(&setup.rootfs)?;
    umask(Mode::empty());
    kernel_files(setup, &root)?;
    devices(&root.join("dev"))?;
    memory_backed(&root)?;
    for name in ["data", &SHARED_DIR[1..]] {
        fs::create_dir_all(root.join(name)).doing(format_args!("make /{name}"))?;
    }
    if disk.is_none() {
        tmpfs(&root.join("data"), &format!("mode=755,size={}", setup.data_size))?;
    }
    umask(Mode::from_bits_truncate(0o022));
    names(&setup.name, &root)?;
    enter(&root)?;
    if let Some(shared) = shared {
        attach(&shared, Path::new(SHARED_DIR))?;
    }
    if let Some(disk) = disk {
        attach(&disk, Path::new("/data"))?;
    }
    for (file, inside) in overrides {
        cover(file, inside)?;
    }
    for (file, inside) in binds {
        show(&file, inside)?;
    }
    Ok(())
}

fn tmpfs(at: &Path, options: &str) -> Result<(), String> {
    mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(options))
        .doing(format_args!("mount tmpfs ({options}) on {}", at.display()))
}

fn overlay(lower: &Path) -> Result<PathBuf, String> {
    let stage = Path::new(STAGE);
    tmpfs(stage, "mode=755")?;
    let [upper, work, root] = ["upper", "work", "root"].map(|name| stage.join(name));
    for dir in [&upper, &work, &root] {
        fs::create_dir(dir).doing(format_args!("make {}", dir.display()))?;
    }
    let lower = lower.to_str().ok_or_else(|| format!("the node image's path {} is not UTF-8", lower.display()))?;
    let escaped: String =
        lower.chars().flat_map(|c| [Some('\\').filter(|_| r"\:,".contains(c)), Some(c)]).flatten().collect();
    let options = format!("lowerdir={escaped},upperdir={},workdir={}", upper.display(), work.display());
    mount(Some("overlay"), &root, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .doing(format_args!("mount overlay ({options})"))?;
    Ok(root)
}

fn kernel_files(setup: &Setup, root: &Path) -> Result<(), String> {
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    for (kind, at) in [("proc", "proc"), ("sysfs", "sys")] {
        let at = root.join(at);
        fs::create_dir_all(&at).doing(format_args!("make {}", at.display()))?;
        mount(Some(kind), &at, Some(kind), quiet, None::<&str>).doing(format_args!("mount {kind}"))?;
    }
    cgroup::mount_all(&setup.cgroups.mounts, &root.join("sys/fs/cgroup"))
}

/// Present on every kernel: name, major, minor.
const DEVICES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Taken over if the host has them.
const HOST_DEVICES: [&str; 3] = ["fuse", "kmsg", "net/tun"];

const LINKS: [(&str, &str); 5] = [
    ("pts/ptmx", "ptmx"),
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];

fn devices(dev: &Path) -> Result<(), String> {
    fs::create_dir_all(dev).doing("make /dev")?;
    tmpfs(dev, "mode=755,size=64k")?;
    for name in ["pts", "shm", "mqueue", "net"] {
        fs::create_dir(dev.join(name)).doing(format_args!("make /dev/{name}"))?;
    }
    let everybody = Mode::from_bits_truncate(0o666);
    for (name, major, minor) in DEVICES {
        mknod(&dev.join(name), SFlag::S_IFCHR, everybody, makedev(major, minor))
            .doing(format_args!("make /dev/{name}"))?;
    }
    for name in HOST_DEVICES {
        let Ok(found) = fs::metadata(Path::new("/dev").join(name)) else { continue };
        if found.file_type().is_char_device() {
            mknod(&dev.join(name), SFlag::S_IFCHR, Mode::from_bits_truncate(found.mode()), found.rdev())
                .doing(format_args!("make /dev/{name}"))?;
        }
    }
    for (target, name) in LINKS {
        symlink(target, dev.join(name)).doing(format_args!("link /dev/{name}"))?;
    }
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(Some("devpts"), &dev.join("pts"), Some("devpts"), quiet, Some("newinstance,ptmxmode=0666,mode=620,gid=5"))
        .doing("mount devpts")?;
    mount(Some("mqueue"), &dev.join("mqueue"), Some("mqueue"), quiet, None::<&str>).doing("mount mqueue")?;
    tmpfs(&dev.join("shm"), "mode=1777")
}

fn memory_backed(root: &Path) -> Result<(), String> {
    for (name, mode) in [("run", "mode=755"), ("tmp", "mode=1777")] {
        let at = root.join(name);
        fs::create_dir_all(&at).doing(format_args!("make {}", at.display()))?;
        tmpfs(&at, mode)?;
    }
    Ok(())
}

/// `localhost` must have an address without asking anyone, and only one: some programs (busybox) try the first alone, and
/// what the harness serves to a node listens on 127.0.0.1. Asking for another name must fail at once: no name server can be
/// reached from a node, and Go programs wait 10 s for one.
fn names(name: &str, root: &Path) -> Result<(), String> {
    let hosts = format!("127.0.0.1\tlocalhost\n127.0.1.1\t{name}\n");
    for (file, text) in
        [("hosts", hosts.as_str()), ("hostname", &format!("{name}\n")), ("resolv.conf", "# no name server\n")]
    {
        let path = root.join("etc").join(file);
        // It may be a link to somewhere.
        let _ = fs::remove_file(&path);
        fs::write(&path, text).doing(format_args!("write /etc/{file}"))?;
    }
    Ok(())
}

/// pivot_root, not chroot: CRIU refuses to work below a root that is no mount point.
fn enter(root: &Path) -> Result<(), String> {
    std::env::set_current_dir(root).doing("enter the new root")?;
    // With both names alike the old root lies on top of the new one, and no folder is needed to put it.
    nix::unistd::pivot_root(".", ".").doing("pivot_root")?;
    umount2(".", MntFlags::MNT_DETACH).doing("unmount the old root")?;
    std::env::set_current_dir("/").doing("enter the new root")
}

fn open_overrides(overrides: &[(PathBuf, PathBuf)]) -> Result<Vec<(File, &Path)>, String> {
    let open = |(file, inside): &'_ (PathBuf, PathBuf)| {
        File::open(file).doing(format_args!("open {} for {}", file.display(), inside.display()))
    };
    overrides.iter().map(|both| Ok((open(both)?, both.1.as_path()))).collect()
}

fn open_binds(binds: &[(PathBuf, PathBuf)]) -> Result<Vec<(OwnedFd, &Path)>, String> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let open = |(file, inside): &'_ (PathBuf, PathBuf)| {
        let opened = open_tree(rustix::fs::CWD, file, flags);
        opened.doing(format_args!("open {} for {}", file.display(), inside.display()))
    };
    binds.iter().map(|both| Ok((open(both)?, both.1.as_path()))).collect()
}

/// Shows a file of the host in the node.
fn show(file: &OwnedFd, inside: &Path) -> Result<(), String> {
    if let Some(dir) = inside.parent() {
        fs::create_dir_all(dir).doing(format_args!("make {}", dir.display()))?;
    }
    File::create(inside).doing(format_args!("make {}", inside.display()))?;
    attach(file, inside)?;
    let (none, read_only) = (None::<&str>, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY);
    mount(none, inside, none, read_only, none).doing(format_args!("make {} read-only", inside.display()))
}

/// Puts a program of the host in the place of one of the node. A copy, not a bind mount: runc 1.3 runs the init of each
/// container from an overlay over the folder that it lies in itself, and what is mounted on a file of it is not seen
/// there: that init would be the node image's.
fn cover(mut file: File, inside: &Path) -> Result<(), String> {
    // The place may be a link to another; what it leads to is what runs.
    let at = fs::canonicalize(inside).unwrap_or_else(|_| inside.to_owned());
    if let Some(dir) = at.parent() {
        fs::create_dir_all(dir).doing(format_args!("make {}", dir.display()))?;
    }
    let _ = fs::remove_file(&at);
    let mut copy = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(&at)
        .doing(format_args!("make {}", at.display()))?;
    io::copy(&mut file, &mut copy).map(drop).doing(format_args!("write {}", at.display()))
}

fn attach(tree: &OwnedFd, at: &Path) -> Result<(), String> {
    // Without the second flag a link at the target's end would not be followed.
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
    move_mount(tree, "", rustix::fs::CWD, at, flags).doing(format_args!("mount on {}", at.display()))
}
