//! Mappings.

use super::checked;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;

/// A mapping of whole pages, unmapped when it is dropped.
pub(crate) struct Map {
    at: *mut u8,
    length: usize,
}

impl Map {
    /// Maps so many bytes.
    pub(crate) fn new(length: usize, protection: i32, flags: i32, file: Option<&File>) -> io::Result<Self> {
        let fd = file.map_or(-1, AsRawFd::as_raw_fd);
        // SAFETY: the kernel chooses the place, so nothing that is there is mapped over.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, fd, 0) };
        match at == libc::MAP_FAILED {
            true => Err(io::Error::last_os_error()),
            false => Ok(Map { at: at.cast(), length }),
        }
    }

    /// Private memory that can be read and written.
    pub(crate) fn anonymous(length: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        Map::new(length, libc::PROT_READ | libc::PROT_WRITE, flags, None)
    }

    /// Where it is.
    pub(crate) fn address(&self) -> usize {
        self.at as usize
    }

    /// Copies what is there. It must be readable.
    pub(crate) fn read(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length];
        // SAFETY: the mapping has this length and lives; who maps without PROT_READ does not call this.
        unsafe { std::ptr::copy_nonoverlapping(self.at, bytes.as_mut_ptr(), self.length) };
        bytes
    }

    /// Writes bytes at an offset. It must be writable.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.length, "a write beyond the mapping");
        // SAFETY: within the mapping; who maps without PROT_WRITE does not call this. Others who see the memory (other
        // processes) take no references into it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.at.add(offset), bytes.len()) };
    }

    /// madvise(2).
    pub(crate) fn advise(&self, advice: i32) -> io::Result<()> {
        // SAFETY: the range is the mapping's, and the advices that callers give drop no contents.
        checked(unsafe { libc::madvise(self.at.cast(), self.length, advice) }).map(drop)
    }

    /// mprotect(2) of a part.
    pub(crate) fn protect(&self, offset: usize, length: usize, protection: i32) -> io::Result<()> {
        assert!(offset + length <= self.length, "a part beyond the mapping");
        // SAFETY: within the mapping.
        checked(unsafe { libc::mprotect(self.at.add(offset).cast(), length, protection) }).map(drop)
    }

    /// mlock(2).
    pub(crate) fn lock(&self) -> io::Result<()> {
        // SAFETY: the range is the mapping's.
        checked(unsafe { libc::mlock(self.at.cast(), self.length) }).map(drop)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nobody has a reference into it.
        unsafe { libc::munmap(self.at.cast(), self.length) };
    }
}

/// A segment of System V, attached.
pub(crate) struct Segment {
    pub(crate) id: i32,
    at: *mut u8,
    length: usize,
}

impl Segment {
    /// Makes one under a key.
    pub(crate) fn new(key: i32, length: usize) -> io::Result<Self> {
        // SAFETY: takes numbers alone.
        let id = checked(unsafe { libc::shmget(key, length, libc::IPC_CREAT | libc::IPC_EXCL | 0o640) })?;
        let id = i32::try_from(id).map_err(io::Error::other)?;
        // SAFETY: the kernel chooses the place.
        let at = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        match at as isize == -1 {
            true => Err(io::Error::last_os_error()),
            false => Ok(Segment { id, at: at.cast(), length }),
        }
    }

    /// The id that a key has now.
    pub(crate) fn find(key: i32) -> io::Result<i32> {
        // SAFETY: takes numbers alone.
        let id = checked(unsafe { libc::shmget(key, 0, 0) })?;
        i32::try_from(id).map_err(io::Error::other)
    }

    /// Copies what is there.
    pub(crate) fn read(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length];
        // SAFETY: the segment is attached with this length.
        unsafe { std::ptr::copy_nonoverlapping(self.at, bytes.as_mut_ptr(), self.length) };
        bytes
    }

    /// Writes from its begin.
    pub(crate) fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.length, "a write beyond the segment");
        // SAFETY: within the segment, which is writable.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.at, bytes.len()) };
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: it is attached here; nobody has a reference into it.
        unsafe {
            libc::shmdt(self.at.cast());
            libc::shmctl(self.id, libc::IPC_RMID, std::ptr::null_mut());
        }
    }
}

/// A process that shares a mapping: made by a fork, since a program that is started anew has no mapping of its parent's.
pub(crate) struct Sibling {
    pub(crate) map: Map,
    pid: i32,
    ask: PipeWriter,
    answer: PipeReader,
}

impl Sibling {
    /// Forks it. This process must have one thread.
    pub(crate) fn fork(map: Map) -> io::Result<Self> {
        let ((questions, ask), (answer, answers)) = (io::pipe()?, io::pipe()?);
        let close = [ask.as_raw_fd(), answer.as_raw_fd()];
        // SAFETY: with one thread no lock is held by another; the child does system calls alone and never returns.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            0 => serve(map.at, questions.as_raw_fd(), answers.as_raw_fd(), close),
            pid => Ok(Sibling { map, pid, ask, answer }),
        }
    }

    /// Has it add one to the first byte.
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        self.ask.write_all(b"x")?;
        self.answer.read_exact(&mut [0])
    }
}

/// The child: a byte in, one more in memory, a byte out; until its parent is gone.
fn serve(at: *mut u8, questions: i32, answers: i32, close: [i32; 2]) -> ! {
    let mut byte = 0_u8;
    // SAFETY: system calls on descriptors that are ours; the mapping is inherited and never unmapped here.
    unsafe {
        for fd in close {
            libc::close(fd);
        }
        while libc::read(questions, (&raw mut byte).cast(), 1) == 1 {
            at.write_volatile(at.read_volatile().wrapping_add(1));
            if libc::write(answers, (&raw const byte).cast(), 1) != 1 {
                break;
            }
        }
        libc::_exit(0)
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        // SAFETY: the child is ours and was not waited for.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, std::ptr::null_mut(), 0);
        }
    }
}
