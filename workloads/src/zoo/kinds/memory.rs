//! Memory, and what the kernel shares with it.

use crate::kernel::{io_uring, is_io_uring};
use crate::zoo::kind::{Area, Kind, Label, absent, bytes, lost, same};
use crate::zoo::sys::memory::{Map, Sibling};
use crate::zoo::sys::{aio_ended, aio_ring, userfaultfd};
use crate::{PAGE, Pages, Verdict};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

const fn label(name: &'static str, about: &'static str) -> Label {
    Label::new(name, Area::Memory, about)
}

/// Memory on the heap, dirtied each time that it is looked at.
pub(super) struct Heap(Pages);

impl Kind for Heap {
    const LABEL: Label =
        label("heap", "8 MiB on the heap, of which every word is checked").zdtm("mem-touch maps00 transition/maps007");

    fn hold() -> io::Result<Self> {
        Ok(Heap(Pages::new(u64::from(std::process::id()), (8 << 20) / (PAGE * 8))))
    }

    fn verify(&mut self) -> io::Result<String> {
        let verdict = self.0.check();
        self.0.dirty(300);
        match verdict {
            Verdict::Intact(digest) => Ok(format!("digest {digest:016x} after {} changes", self.0.dirtied() - 300)),
            broken => lost(broken.to_string()),
        }
    }
}

/// Memory that another process maps too.
pub(super) struct Shared {
    sibling: Sibling,
    turn: u8,
}

const SHARED: usize = 64 << 10;

impl Kind for Shared {
    const LABEL: Label =
        label("shared-memory", "anonymous memory that two processes map: each sees what the other writes")
            .zdtm("maps01 maps02 shm-mp cow00 cow01 mprotect00")
            .outside(&["maps.shared"]);

    fn hold() -> io::Result<Self> {
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let map = Map::new(SHARED, libc::PROT_READ | libc::PROT_WRITE, flags, None)?;
        map.write(0, &bytes(1, SHARED));
        Ok(Shared { sibling: Sibling::fork(map)?, turn: bytes(1, 1)[0] })
    }

    fn verify(&mut self) -> io::Result<String> {
        // The other adds one to the first byte: only memory that is shared still shows it here.
        self.sibling.turn()?;
        self.turn = self.turn.wrapping_add(1);
        let now = self.sibling.map.read();
        same("what the other process has written", &self.turn, &now[0])?;
        same("the rest of the memory", &true, &(now[1..] == bytes(1, SHARED)[1..]))?;
        Ok(format!("64 KiB, the first byte is {}", self.turn))
    }
}

/// A file in memory, sealed, mapped, with a position.
pub(super) struct Memfd(File);

impl Kind for Memfd {
    const LABEL: Label = label("memfd", "a file in memory with its content, size and seals")
        .zdtm("memfd00 memfd01 memfd02 memfd03 memfd04 memfd05")
        .outside(&["fd."]);

    fn hold() -> io::Result<Self> {
        let mut file = File::from(memfd_create("zoo", MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC)?);
        file.write_all(&bytes(2, 100_000))?;
        fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW))?;
        Ok(Memfd(file))
    }

    fn verify(&mut self) -> io::Result<String> {
        let mut now = vec![0; 100_000];
        self.0.read_exact_at(&mut now, 0)?;
        same("its content", &true, &(now == bytes(2, 100_000)))?;
        let seals = SealFlag::from_bits_truncate(fcntl(&self.0, FcntlArg::F_GET_SEALS)?);
        same("its seals", &(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW), &seals)?;
        same("that it cannot grow", &true, &self.0.set_len(200_000).is_err())?;
        Ok("100,000 bytes, sealed against shrinking and growing".to_owned())
    }
}

/// Pages of the kernel's pool of huge ones.
pub(super) struct Huge(Map);

const HUGE: usize = 2 << 20;

impl Kind for Huge {
    const LABEL: Label = label("huge-pages", "a page of 2 MiB of the kernel's pool")
        .zdtm("maps09 maps10 memfd02-hugetlb shm-hugetlb")
        .outside(&["maps.huge"]);

    fn hold() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_HUGETLB;
        let map = Map::new(HUGE, libc::PROT_READ | libc::PROT_WRITE, flags, None)
            .map_err(|e| absent(format!("the host has no huge page to spare (vm.nr_hugepages): {e}")))?;
        map.write(0, &bytes(3, HUGE));
        Ok(Huge(map))
    }

    fn verify(&mut self) -> io::Result<String> {
        same("its content", &true, &(self.0.read() == bytes(3, HUGE)))?;
        let flags = vm_flags(&self.0)?;
        same("that it is a huge page", &true, &flags.contains(&"ht".to_owned()))?;
        Ok("2 MiB".to_owned())
    }
}

/// Flags of a mapping, by the kernel's two letters (`smaps`).
fn vm_flags(map: &Map) -> io::Result<Vec<String>> {
    let text = fs::read_to_string("/proc/self/smaps")?;
    let from = format!("{:x}-", map.address());
    let mut lines = text.lines().skip_while(|l| !l.starts_with(&from));
    let flags =
        lines.find_map(|l| l.strip_prefix("VmFlags:")).ok_or_else(|| io::Error::other("the mapping is gone"))?;
    Ok(flags.split_whitespace().map(str::to_owned).collect())
}

/// Memory that the kernel was given advice about.
pub(super) struct Advised(Map);

impl Kind for Advised {
    const LABEL: Label = label("madvise", "advice for memory: not in a core, not for children, mergeable")
        .zdtm("maps03 madvise thp_madvise");

    fn hold() -> io::Result<Self> {
        let map = Map::anonymous(1 << 20)?;
        map.write(0, &bytes(4, 1 << 20));
        map.advise(libc::MADV_DONTDUMP)?;
        map.advise(libc::MADV_DONTFORK)?;
        Ok(Advised(map))
    }

    fn verify(&mut self) -> io::Result<String> {
        same("its content", &true, &(self.0.read() == bytes(4, 1 << 20)))?;
        let flags = vm_flags(&self.0)?;
        let missing: Vec<_> = ["dc", "dd"].into_iter().filter(|f| !flags.iter().any(|g| g == f)).collect();
        same("flags that are missing", &Vec::<&str>::new(), &missing)?;
        Ok("flags dc and dd".to_owned())
    }
}

/// Memory that stays in memory.
pub(super) struct Locked(Map);

impl Kind for Locked {
    const LABEL: Label =
        label("mlock", "memory that may not be swapped out").zdtm("mlock_setuid maps02").outside(&["status.VmLck"]);

    fn hold() -> io::Result<Self> {
        let map = Map::anonymous(32 << 10)?;
        map.write(0, &bytes(5, 32 << 10));
        map.lock().map_err(|e| absent(format!("no memory may be locked here: {e}")))?;
        Ok(Locked(map))
    }

    fn verify(&mut self) -> io::Result<String> {
        same("its content", &true, &(self.0.read() == bytes(5, 32 << 10)))?;
        same("that it is locked", &true, &vm_flags(&self.0)?.contains(&"lo".to_owned()))?;
        Ok("32 KiB".to_owned())
    }
}

/// A descriptor by which page faults are handled.
pub(super) struct Userfault(OwnedFd);

impl Kind for Userfault {
    const LABEL: Label = label("userfaultfd", "a descriptor by which a program handles its own page faults")
        .zdtm("uffd-events")
        .alone("CRIU does not know such descriptors");

    fn hold() -> io::Result<Self> {
        let fd = userfaultfd().map_err(|e| absent(format!("the kernel gives none: {e}")))?;
        Ok(Userfault(fd))
    }

    fn verify(&mut self) -> io::Result<String> {
        let is = fs::read_link(format!("/proc/self/fd/{}", self.0.as_raw_fd()))?.display().to_string();
        same("the descriptor", &"anon_inode:[userfaultfd]".to_owned(), &is)?;
        Ok(is)
    }
}

/// A ring of the kernel's old asynchronous I/O.
pub(super) struct AioRing(u64);

impl Kind for AioRing {
    const LABEL: Label =
        label("aio-ring", "a ring of the kernel's old asynchronous I/O").zdtm("aio00 aio01 socket_aio");

    fn hold() -> io::Result<Self> {
        Ok(AioRing(aio_ring(16).map_err(|e| absent(format!("the kernel gives none: {e}")))?))
    }

    fn verify(&mut self) -> io::Result<String> {
        same("operations that have ended", &0, &aio_ended(self.0)?)?;
        Ok(format!("ring {:x} answers", self.0))
    }
}

/// An io_uring.
pub(super) struct IoUring(OwnedFd);

impl Kind for IoUring {
    const LABEL: Label = label("io-uring", "an io_uring").alone("CRIU does not know io_uring");

    fn hold() -> io::Result<Self> {
        Ok(IoUring(io_uring().map_err(|e| absent(format!("the kernel gives none: {e}")))?))
    }

    fn verify(&mut self) -> io::Result<String> {
        is_io_uring(&self.0)?;
        Ok("the descriptor is one".to_owned())
    }
}
