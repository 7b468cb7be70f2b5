//! IPC of System V and POSIX.

use crate::zoo::kind::{Area, Kind, Label, absent, bytes, same};
use crate::zoo::sys::ipc::{Queue, Semaphores};
use crate::zoo::sys::memory::{Map, Segment};
use nix::mqueue::{MQ_OFlag, MqAttr, MqdT, mq_getattr, mq_open, mq_receive, mq_send, mq_unlink};
use nix::sys::stat::Mode;
use nix::unistd::getpid;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::PathBuf;

const fn label(name: &'static str, about: &'static str) -> Label {
    Label::new(name, Area::Ipc, about)
}

/// A key of System V of this process's own: several zoos may share a machine.
fn key(number: i32) -> i32 {
    0x7000_0000 | (getpid().as_raw() & 0x1ff_ffff) << 3 | number
}

/// A segment of shared memory.
pub(super) struct SysvShm(Segment);

impl Kind for SysvShm {
    const LABEL: Label =
        label("sysv-shm", "a segment of System V's shared memory, attached").zdtm("shm shm-unaligned ipc_namespace");

    fn hold() -> io::Result<Self> {
        let segment = Segment::new(key(1), 50_000)?;
        segment.write(&bytes(70, 50_000));
        Ok(SysvShm(segment))
    }

    fn verify(&mut self) -> io::Result<String> {
        same("its content", &true, &(self.0.read() == bytes(70, 50_000)))?;
        same("the id under its key", &self.0.id, &Segment::find(key(1))?)?;
        Ok(format!("id {}, 50,000 bytes", self.0.id))
    }
}

/// A set of semaphores.
pub(super) struct SysvSem(Semaphores);

impl Kind for SysvSem {
    const LABEL: Label = label("sysv-sem", "a set of System V's semaphores with values").zdtm("sem");

    fn hold() -> io::Result<Self> {
        Ok(SysvSem(Semaphores::new(key(2), &[3, 0, 99])?))
    }

    fn verify(&mut self) -> io::Result<String> {
        let values = [self.0.value(0)?, self.0.value(1)?, self.0.value(2)?];
        same("the values", &[3, 0, 99], &values)?;
        self.0.add(0, -1, false)?;
        self.0.add(0, 1, false)?;
        Ok("3, 0, 99".to_owned())
    }
}

/// A queue with messages.
pub(super) struct SysvMsg(Queue);

const MESSAGES: [(i64, [u8; 32]); 2] =
    [(7, *b"a message in a queue, type seven"), (3, *b"a message in a queue, type three")];

impl Kind for SysvMsg {
    const LABEL: Label = label("sysv-msg", "a queue of System V with two messages").zdtm("msgque");

    fn hold() -> io::Result<Self> {
        let queue = Queue::new(key(3))?;
        MESSAGES.iter().try_for_each(|(kind, text)| queue.send(*kind, *text))?;
        Ok(SysvMsg(queue))
    }

    fn verify(&mut self) -> io::Result<String> {
        let found = [self.0.receive()?, self.0.receive()?];
        MESSAGES.iter().try_for_each(|(kind, text)| self.0.send(*kind, *text))?;
        same("the messages", &MESSAGES, &found)?;
        Ok("two messages".to_owned())
    }
}

/// Shared memory by a name.
pub(super) struct PosixShm(Map);

fn shm_name() -> PathBuf {
    format!("/dev/shm/podferry-zoo-{}", getpid()).into()
}

impl Kind for PosixShm {
    const LABEL: Label = label("posix-shm", "shared memory by a name of /dev/shm, mapped")
        .zdtm("maps05 tempfs")
        .outside(&["maps./dev/shm"]);

    fn hold() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(shm_name());
        let file = file.map_err(|e| absent(format!("the container has no /dev/shm: {e}")))?;
        file.set_len(40_960)?;
        let map = Map::new(40_960, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, Some(&file))?;
        map.write(0, &bytes(71, 40_960));
        Ok(PosixShm(map))
    }

    fn verify(&mut self) -> io::Result<String> {
        same("the mapping", &true, &(self.0.read() == bytes(71, 40_960)))?;
        same("the file under its name", &true, &(fs::read(shm_name())? == bytes(71, 40_960)))?;
        Ok("40,960 bytes".to_owned())
    }
}

impl Drop for PosixShm {
    fn drop(&mut self) {
        let _ = fs::remove_file(shm_name());
    }
}

/// A queue with a message.
pub(super) struct PosixQueue(MqdT);

fn queue_name() -> String {
    format!("/podferry-zoo-{}", getpid())
}

impl PosixQueue {
    fn fill(&self) -> io::Result<()> {
        Ok(mq_send(&self.0, b"a message of priority 9", 9)?)
    }
}

impl Kind for PosixQueue {
    const LABEL: Label = label("posix-mqueue", "a queue of POSIX with a message")
        .zdtm("mqueue")
        .alone("CRIU knows no message queues of POSIX");

    fn hold() -> io::Result<Self> {
        let _ = mq_unlink(queue_name().as_str());
        let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_RDWR | MQ_OFlag::O_NONBLOCK;
        let attributes = MqAttr::new(0, 4, 64, 0);
        let queue = mq_open(queue_name().as_str(), flags, Mode::from_bits_truncate(0o600), Some(&attributes));
        let held = PosixQueue(queue.map_err(|e| absent(format!("the kernel gives none: {e}")))?);
        held.fill()?;
        Ok(held)
    }

    fn verify(&mut self) -> io::Result<String> {
        same("messages in it", &1, &mq_getattr(&self.0)?.curmsgs())?;
        let (mut text, mut priority) = ([0; 64], 0);
        let read = mq_receive(&self.0, &mut text, &mut priority)?;
        self.fill()?;
        same("the message", &(&b"a message of priority 9"[..], 9), &(&text[..read], priority))?;
        Ok("one message, priority 9".to_owned())
    }
}

impl Drop for PosixQueue {
    fn drop(&mut self) {
        let _ = mq_unlink(queue_name().as_str());
    }
}
