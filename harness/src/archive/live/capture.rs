//! The source's side.

use super::Sent;
use super::frame::{HEAD, Head, Kind, MOST};
use super::request;
use crate::archive::ArchiveError;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use xxhash_rust::xxh3::Xxh3;

/// The name under which CRIU looks for its streamer (`IMG_STREAMER_CAPTURE_SOCKET_NAME`).
const SOCKET: &str = "streamer-capture.sock";
/// Where CRIU's images lie in a checkpoint.
const IMAGES: &str = "checkpoint";
/// How often the target is told that the source is still there, while CRIU writes nothing, in milliseconds.
const STILL: u16 = 500;
/// What is taken from a pipe at once, and what the pipe shall hold, as far as the kernel gives it.
const CHUNK: usize = 512 << 10;

/// A file that goes with the images: its name in the checkpoint and where its bytes come from.
pub type Beside = (String, PipeReader);

/// A streamer that CRIU can find.
#[derive(Debug)]
pub struct Capture {
    listener: UnixListener,
    folder: PathBuf,
}

struct Open {
    number: u32,
    pipe: File,
}

impl Capture {
    /// Waits for CRIU in a folder, the one that is named to it for its images.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn listen(folder: &Path) -> Result<Self, ArchiveError> {
        let path = folder.join(SOCKET);
        let listener = UnixListener::bind(&path).map_err(|e| ArchiveError::io("write", &path, e))?;
        Ok(Capture { listener, folder: folder.to_owned() })
    }

    /// Sends all that CRIU writes, and what is `beside`, as it comes. `ended` becomes readable, or is closed, when CRIU has
    /// ended; `last` gives the files that are known only then, and is closed if CRIU failed: then the target shall take
    /// nothing for whole.
    ///
    /// # Errors
    /// [`ArchiveError::Link`] when nothing gets through, or when what arrived is not what was sent;
    /// [`ArchiveError::Invalid`] when CRIU failed, or did not speak as it should.
    pub fn send(
        self,
        to: &TcpStream,
        beside: Vec<Beside>,
        ended: &PipeReader,
        last: &Receiver<Vec<(String, Vec<u8>)>>,
    ) -> Result<Sent, ArchiveError> {
        let mut sender =
            Sender { path: self.folder, to, hash: Xxh3::new(), bytes: 0, files: 0, buffer: vec![0; CHUNK] };
        let mut open = Vec::new();
        for (name, pipe) in beside {
            open.push(sender.open(&name, OwnedFd::from(pipe))?);
        }
        let mut criu = Criu::Awaited(self.listener);
        while !(open.is_empty() && matches!(criu, Criu::Gone)) {
            sender.turn(&mut criu, &mut open, ended)?;
        }
        let failed = || ArchiveError::invalid(&sender.path, None, "CRIU did not write it to its end");
        for (name, bytes) in last.recv().map_err(|_| failed())? {
            sender.whole(&name, &bytes)?;
        }
        sender.end()
    }
}

/// The line to CRIU.
enum Criu {
    Awaited(UnixListener),
    Talks(UnixStream),
    Gone,
}

struct Sender<'a> {
    path: PathBuf,
    to: &'a TcpStream,
    hash: Xxh3,
    bytes: u64,
    files: u32,
    buffer: Vec<u8>,
}

impl Sender<'_> {
    /// Waits until something has come, and sends it on.
    fn turn(&mut self, criu: &mut Criu, open: &mut Vec<Open>, ended: &PipeReader) -> Result<(), ArchiveError> {
        let broken = |path: &Path, e| ArchiveError::io("read", path, e);
        let mut watched: Vec<PollFd<'_>> =
            open.iter().map(|o| PollFd::new(o.pipe.as_fd(), PollFlags::POLLIN)).collect();
        match &*criu {
            Criu::Awaited(listener) => {
                watched.push(PollFd::new(listener.as_fd(), PollFlags::POLLIN));
                watched.push(PollFd::new(ended.as_fd(), PollFlags::POLLIN));
            }
            Criu::Talks(stream) => watched.push(PollFd::new(stream.as_fd(), PollFlags::POLLIN)),
            Criu::Gone => {}
        }
        let some = poll(&mut watched, PollTimeout::from(STILL)).or_else(|e| match e {
            nix::errno::Errno::EINTR => Ok(-1),
            e => Err(broken(&self.path, e.into())),
        })?;
        if some == 0 {
            return self.frame(Kind::Still, 0, &[]);
        }
        let ready: Vec<bool> = watched.iter().map(|w| w.any().unwrap_or(false)).collect();
        drop(watched);
        let files = open.len();
        let mut at = 0;
        let mut failed = Ok(());
        open.retain_mut(|file| {
            at += 1;
            if failed.is_err() || !ready[at - 1] {
                return true;
            }
            match self.carry(file) {
                Ok(more) => more,
                Err(e) => {
                    failed = Err(e);
                    true
                }
            }
        });
        failed?;
        if !ready.get(files).copied().unwrap_or(false) {
            // Nobody comes any more.
            if ready.get(files + 1).copied().unwrap_or(false) {
                *criu = Criu::Gone;
            }
            return Ok(());
        }
        match criu {
            Criu::Awaited(listener) => {
                let (stream, _) = listener.accept().map_err(|e| broken(&self.path, e))?;
                *criu = Criu::Talks(stream);
            }
            Criu::Talks(stream) => {
                let invalid = |e: io::Error| ArchiveError::invalid(&self.path, None, e.to_string());
                match request::next(stream).map_err(invalid)? {
                    Some((name, pipe)) => open.push(self.open(&format!("{IMAGES}/{name}"), pipe)?),
                    None => *criu = Criu::Gone,
                }
            }
            Criu::Gone => {}
        }
        Ok(())
    }

    fn open(&mut self, name: &str, pipe: OwnedFd) -> Result<Open, ArchiveError> {
        let number = self.files;
        self.files += 1;
        self.frame(Kind::Open, number, name.as_bytes())?;
        // As large as it may be; one that may not be made larger serves as well.
        let _ = rustix::pipe::fcntl_setpipe_size(&pipe, MOST);
        Ok(Open { number, pipe: pipe.into() })
    }

    /// One pipe full at most. `false`: that was all of the file.
    fn carry(&mut self, file: &mut Open) -> Result<bool, ArchiveError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = loop {
            match file.pipe.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let sent = match read {
            Ok(0) => self.frame(Kind::Close, file.number, &[]).map(|()| false),
            Ok(got) => self.frame(Kind::Data, file.number, &buffer[..got]).map(|()| true),
            Err(e) => Err(ArchiveError::io("read", &self.path, e)),
        };
        self.buffer = buffer;
        sent
    }

    fn whole(&mut self, name: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
        let number = self.files;
        self.files += 1;
        self.frame(Kind::Open, number, name.as_bytes())?;
        for part in bytes.chunks(MOST) {
            self.frame(Kind::Data, number, part)?;
        }
        self.frame(Kind::Close, number, &[])
    }

    fn frame(&mut self, kind: Kind, file: u32, bytes: &[u8]) -> Result<(), ArchiveError> {
        let length = u32::try_from(bytes.len()).expect("at most MOST bytes");
        let head = Head { kind, file, length }.bytes();
        self.hash.update(&head);
        self.hash.update(bytes);
        self.bytes += (HEAD + bytes.len()) as u64;
        let sent = self.to.write_all(&head).and_then(|()| self.to.write_all(bytes));
        sent.map_err(|e| ArchiveError::of_link("send", &self.path, e))
    }

    /// Says the digest, and hears what arrived.
    fn end(mut self) -> Result<Sent, ArchiveError> {
        let sent = Sent { bytes: self.bytes, digest: self.hash.digest128() };
        self.frame(Kind::End, 0, &sent.digest.to_be_bytes())?;
        let mut heard = [0; 16];
        self.to.read_exact(&mut heard).map_err(|e| ArchiveError::of_link("send", &self.path, e))?;
        if u128::from_be_bytes(heard) == sent.digest {
            return Ok(sent);
        }
        let what = "what arrived is not what was sent";
        Err(ArchiveError::of_link("send", &self.path, io::Error::new(io::ErrorKind::InvalidData, what)))
    }
}
