//! Semaphores and messages of System V.

use super::checked;
use std::io;

/// A set of semaphores, removed when it is dropped.
pub(crate) struct Semaphores(i32);

impl Semaphores {
    /// Makes a set under a key with these values.
    pub(crate) fn new(key: i32, values: &[i32]) -> io::Result<Self> {
        let count = i32::try_from(values.len()).map_err(io::Error::other)?;
        // SAFETY: takes numbers alone.
        let id = checked(unsafe { libc::semget(key, count, libc::IPC_CREAT | libc::IPC_EXCL | 0o640) })?;
        let set = Semaphores(i32::try_from(id).map_err(io::Error::other)?);
        for (number, value) in (0..).zip(values) {
            // SAFETY: SETVAL takes a number as its fourth argument.
            checked(unsafe { libc::semctl(set.0, number, libc::SETVAL, *value) })?;
        }
        Ok(set)
    }

    /// Its value.
    pub(crate) fn value(&self, number: i32) -> io::Result<i64> {
        // SAFETY: GETVAL takes no fourth argument.
        checked(unsafe { libc::semctl(self.0, number, libc::GETVAL) })
    }

    /// Adds to a semaphore, to be undone at the process's end if `undo`.
    pub(crate) fn add(&self, number: u16, by: i16, undo: bool) -> io::Result<()> {
        let undo = if undo { 0x1000 } else { 0 };
        let mut change = libc::sembuf { sem_num: number, sem_op: by, sem_flg: undo | 0o4000 };
        // SAFETY: one change, which outlives the call. (SEM_UNDO is 0x1000, IPC_NOWAIT 04000.)
        checked(unsafe { libc::semop(self.0, &raw mut change, 1) }).map(drop)
    }
}

impl Drop for Semaphores {
    fn drop(&mut self) {
        // SAFETY: IPC_RMID takes no fourth argument.
        unsafe { libc::semctl(self.0, 0, libc::IPC_RMID) };
    }
}

/// A queue of messages, removed when it is dropped.
pub(crate) struct Queue(i32);

/// A message of 32 bytes, as the kernel has them: its type, then its text.
#[repr(C)]
struct Message {
    kind: libc::c_long,
    text: [u8; 32],
}

impl Queue {
    /// Makes one under a key.
    pub(crate) fn new(key: i32) -> io::Result<Self> {
        // SAFETY: takes numbers alone.
        let id = checked(unsafe { libc::msgget(key, libc::IPC_CREAT | libc::IPC_EXCL | 0o640) })?;
        Ok(Queue(i32::try_from(id).map_err(io::Error::other)?))
    }

    /// Sends a message.
    pub(crate) fn send(&self, kind: i64, text: [u8; 32]) -> io::Result<()> {
        let message = Message { kind, text };
        // SAFETY: a type and as many bytes as said.
        checked(unsafe { libc::msgsnd(self.0, (&raw const message).cast(), 32, libc::IPC_NOWAIT) }).map(drop)
    }

    /// Takes the first message out.
    pub(crate) fn receive(&self) -> io::Result<(i64, [u8; 32])> {
        let mut message = Message { kind: 0, text: [0; 32] };
        // SAFETY: room for a type and as many bytes as said.
        let read = unsafe { libc::msgrcv(self.0, (&raw mut message).cast(), 32, 0, libc::IPC_NOWAIT) };
        checked(i64::try_from(read).map_err(io::Error::other)?)?;
        Ok((message.kind, message.text))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: IPC_RMID reads no structure.
        unsafe { libc::msgctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}
