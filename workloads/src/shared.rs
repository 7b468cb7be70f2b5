#![expect(unsafe_code, reason = "std cannot map a file")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// The size of the file.
const BYTES: usize = 4096;

/// Two words in a file that two processes have mapped: one gives numbers, the other takes them.
#[derive(Debug)]
pub struct SharedWords(NonNull<AtomicU64>);

// SAFETY: the mapping lives as long as the process, and is reached by atomics alone.
unsafe impl Send for SharedWords {}
// SAFETY: likewise.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// Maps the file, which is made of zeros if it is not there.
    pub fn map(path: &str) -> io::Result<SharedWords> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.set_len(BYTES as u64)?;
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping of a file that is so long; it outlives the descriptor.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), BYTES, prot, flags, file.as_raw_fd(), 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(at.cast()).map(SharedWords).ok_or_else(|| io::Error::other("the mapping is at zero"))
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        // SAFETY: both words lie in the mapping, which is aligned to a page and never goes.
        unsafe { self.0.add(index).as_ref() }
    }

    /// The number given last.
    pub fn given(&self) -> u64 {
        self.word(0).load(Ordering::SeqCst)
    }

    /// Gives a number.
    pub fn give(&self, number: u64) {
        self.word(0).store(number, Ordering::SeqCst);
    }

    /// The number taken last.
    pub fn taken(&self) -> u64 {
        self.word(1).load(Ordering::SeqCst)
    }

    /// Takes a number.
    pub fn take(&self, number: u64) {
        self.word(1).store(number, Ordering::SeqCst);
    }
}
