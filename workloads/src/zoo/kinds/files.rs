//! Open files.

use super::mappings::file;
use crate::zoo::idle::Idle;
use crate::zoo::kind::{Area, Kind, Label, absent, bytes, home, same};
use crate::zoo::sys;
use nix::dir::Dir;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::dup;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};

const fn label(name: &'static str, about: &'static str) -> Label {
    Label::new(name, Area::Files, about)
}

/// A file at a position, which a second descriptor shares and a third does not.
pub(super) struct Offset {
    first: File,
    second: File,
    other: File,
    at: u64,
}

impl Kind for Offset {
    const LABEL: Label =
        label("file-offset", "a file's position, shared with a second descriptor and not with a third")
            .zdtm("write_read00 write_read01 write_read02 write_read10 file_shared fdt_shared fd_offset")
            .outside(&["fd."]);

    fn hold() -> io::Result<Self> {
        let mut first = file("offset", &bytes(20, 10_000))?;
        let second = File::from(dup(&first)?);
        let mut other = File::open(home().join("offset"))?;
        first.seek(SeekFrom::Start(1234))?;
        other.seek(SeekFrom::Start(77))?;
        Ok(Offset { first, second, other, at: 1234 })
    }

    fn verify(&mut self) -> io::Result<String> {
        same("the second descriptor's position", &self.at, &self.second.stream_position()?)?;
        let mut part = [0; 10];
        self.first.read_exact(&mut part)?;
        let from = usize::try_from(self.at).map_err(io::Error::other)?;
        same("what is read there", &bytes(20, 10_000)[from..from + 10].to_vec(), &part.to_vec())?;
        self.at += 10;
        same("the position that both have", &self.at, &self.second.stream_position()?)?;
        same("the third descriptor's position", &77, &self.other.stream_position()?)?;
        Ok(format!("at {}, the third at 77", self.at))
    }
}

/// A file that is only added to.
pub(super) struct Append {
    file: File,
    lines: usize,
}

impl Kind for Append {
    const LABEL: Label = label("file-append", "a file opened for adding at its end, by whoever writes")
        .zdtm("file_append")
        .outside(&["fd."]);

    fn hold() -> io::Result<Self> {
        drop(file("append", b"")?);
        let file = OpenOptions::new().append(true).open(home().join("append"))?;
        Ok(Append { file, lines: 0 })
    }

    fn verify(&mut self) -> io::Result<String> {
        self.file.seek(SeekFrom::Start(0))?;
        writeln!(self.file, "line")?;
        self.lines += 1;
        same("the file", &"line\n".repeat(self.lines), &fs::read_to_string(home().join("append"))?)?;
        Ok(format!("{} lines, one behind the other", self.lines))
    }
}

/// Descriptors with numbers and flags of their own.
pub(super) struct Numbers {
    high: OwnedFd,
    kept: File,
}

impl Kind for Numbers {
    const LABEL: Label =
        label("descriptor-numbers", "a high descriptor number, and what is closed when a program is started")
            .zdtm("fd fd01 file_attr fdt_shared clone_fs rlimit_file")
            .outside(&["fd."]);

    fn hold() -> io::Result<Self> {
        let kept = file("numbers", b"x")?;
        let high = high(&kept)?;
        fcntl(&kept, FcntlArg::F_SETFD(FdFlag::empty()))?;
        fcntl(&kept, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Numbers { high, kept })
    }

    fn verify(&mut self) -> io::Result<String> {
        same("its number", &187, &self.high.as_raw_fd())?;
        let flags = |fd: &dyn std::os::fd::AsFd| -> io::Result<(FdFlag, bool)> {
            let own = FdFlag::from_bits_truncate(fcntl(fd.as_fd(), FcntlArg::F_GETFD)?);
            let of_file = OFlag::from_bits_truncate(fcntl(fd.as_fd(), FcntlArg::F_GETFL)?);
            Ok((own, of_file.contains(OFlag::O_NONBLOCK)))
        };
        same("the flags of the high one", &(FdFlag::FD_CLOEXEC, true), &flags(&self.high)?)?;
        same("the flags of the other", &(FdFlag::empty(), true), &flags(&self.kept)?)?;
        Ok("187, closed on exec".to_owned())
    }
}

fn high(of: &File) -> io::Result<OwnedFd> {
    let fd = sys::duplicate_as(of, 187)?;
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(fd)
}

/// An open folder in the middle of being listed, and one opened for its path alone.
pub(super) struct Folder {
    path_only: OwnedFd,
    listed: Dir,
}

impl Kind for Folder {
    const LABEL: Label = label("open-folder", "an open folder, and one opened for its path alone")
        .zdtm("write_read02 rmdir_open cwd00 sockets00 opath_file")
        .outside(&["fd."]);

    fn hold() -> io::Result<Self> {
        let folder = home().join("folder");
        fs::create_dir_all(&folder)?;
        for name in ["one", "two"] {
            fs::write(folder.join(name), name)?;
        }
        let path_only = nix::fcntl::open(&folder, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?;
        Ok(Folder { path_only, listed: Dir::open(&folder, OFlag::O_RDONLY, Mode::empty())? })
    }

    fn verify(&mut self) -> io::Result<String> {
        let mut names = Vec::new();
        for entry in self.listed.iter() {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        same("what is in it", &[".", "..", "one", "two"].map(str::to_owned).to_vec(), &names)?;
        let one = nix::fcntl::openat(&self.path_only, "one", OFlag::O_RDONLY, Mode::empty())?;
        let mut text = String::new();
        File::from(one).read_to_string(&mut text)?;
        same("a file below the path", &"one".to_owned(), &text)?;
        Ok("two entries".to_owned())
    }
}

/// A pipe whose owner gets a signal.
pub(super) struct Owner {
    pipe: File,
    _writer: io::PipeWriter,
}

impl Kind for Owner {
    const LABEL: Label = label("signal-owner", "who gets the signals of a descriptor, and which")
        .zdtm("file_fown")
        .alone("CRIU is known to need more than a container's rights for it");

    fn hold() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let pipe = File::from(OwnedFd::from(reader));
        sys::set_owner(&pipe, std::process::id().cast_signed(), libc::SIGUSR1)?;
        Ok(Owner { pipe, _writer: writer })
    }

    fn verify(&mut self) -> io::Result<String> {
        let wanted = (i64::from(std::process::id()), i64::from(libc::SIGUSR1));
        same("owner and signal", &wanted, &sys::owner(&self.pipe)?)?;
        Ok(format!("{} gets signal {}", wanted.0, wanted.1))
    }
}

/// Devices that every container has.
pub(super) struct Devices {
    null: File,
    zero: File,
    random: File,
}

impl Kind for Devices {
    const LABEL: Label = label("devices", "open devices: null, zero, urandom").zdtm("deleted_dev").outside(&["fd."]);

    fn hold() -> io::Result<Self> {
        Ok(Devices {
            null: OpenOptions::new().write(true).open("/dev/null")?,
            zero: File::open("/dev/zero")?,
            random: File::open("/dev/urandom")?,
        })
    }

    fn verify(&mut self) -> io::Result<String> {
        self.null.write_all(b"x")?;
        let (mut zeros, mut random) = ([1; 16], [0; 16]);
        self.zero.read_exact(&mut zeros)?;
        self.random.read_exact(&mut random)?;
        same("what /dev/zero gives", &[0; 16], &zeros)?;
        same("that /dev/urandom gives zeros", &false, &(random == [0; 16]))?;
        Ok("all three work".to_owned())
    }
}

/// Files of `/proc`.
pub(super) struct ProcFile {
    own: File,
    childs: File,
    child: Idle,
}

impl Kind for ProcFile {
    const LABEL: Label = label("proc-file", "open files of /proc: of the process itself and of its child")
        .zdtm("proc-self child_opened_proc remap_dead_pid eventfs00")
        .outside(&["fd."]);

    fn hold() -> io::Result<Self> {
        let child = Idle::start(0, || Ok(()))?;
        let childs = File::open(format!("/proc/{}/status", child.pid()))?;
        Ok(ProcFile { own: File::open("/proc/self/status")?, childs, child })
    }

    fn verify(&mut self) -> io::Result<String> {
        for (file, pid) in [(&mut self.own, std::process::id()), (&mut self.childs, self.child.pid())] {
            file.seek(SeekFrom::Start(0))?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            same("whose file it is", &true, &text.contains(&format!("\nPid:\t{pid}\n")))?;
        }
        Ok(format!("of itself and of {}", self.child.pid()))
    }
}

/// A descriptor of a child.
pub(super) struct PidFd {
    fd: OwnedFd,
    child: Idle,
}

impl Kind for PidFd {
    const LABEL: Label = label("pidfd", "a descriptor of a child process")
        .zdtm("pidfd_self pidfd_child pidfd_of_thread pidfd_dead pidfd_diffdead fd_from_pidfd pidfd_kill");

    fn hold() -> io::Result<Self> {
        let child = Idle::start(0, || Ok(()))?;
        let fd = sys::pidfd(child.pid()).map_err(|e| absent(format!("the kernel gives none: {e}")))?;
        Ok(PidFd { fd, child })
    }

    fn verify(&mut self) -> io::Result<String> {
        sys::pidfd_signal(&self.fd, 0)?;
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", self.fd.as_raw_fd()))?;
        let pid = info.lines().find_map(|l| l.strip_prefix("Pid:\t")).unwrap_or_default().to_owned();
        same("whose it is", &self.child.pid().to_string(), &pid)?;
        Ok(format!("of {pid}"))
    }
}
