//! The other end of a control line whose programs run elsewhere.

use super::frame::{self, CHUNK, Tag};
use super::line::Opener;
use super::protocol::Call;
use crate::node::wire::{Channel, Reply, Request, Spawn};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

type Signals = Arc<Mutex<HashMap<u64, mpsc::UnboundedSender<(i32, bool)>>>>;

/// Does what comes on the line, by a stream for each program, until it is hung up on, or the line to the node ends.
pub(super) fn serve(control: Channel, opener: Opener, on: Handle, name: &str) -> io::Result<()> {
    let control = Arc::new(control);
    let (hung, until) = (Arc::clone(&control), opener.clone());
    on.spawn(async move {
        until.ended().await;
        hung.hang_up();
    });
    let signals = Signals::default();
    std::thread::Builder::new().name(format!("podferry-far-{name}")).spawn(move || {
        while let Ok(Some((request, files))) = control.recv::<Request>() {
            match request {
                Request::Spawn(spawn) => {
                    let (signal, told) = mpsc::unbounded_channel();
                    signals.lock().unwrap_or_else(PoisonError::into_inner).insert(spawn.id, signal);
                    let start = Start { id: spawn.id, control: Arc::clone(&control), signals: Arc::clone(&signals) };
                    on.spawn(start.run(opener.clone(), spawn, files, told));
                }
                Request::Signal { id, signal, group } => {
                    let to = signals.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
                    // None: it has ended.
                    let _ = to.map(|to| to.send((signal, group)));
                }
                Request::Setup(_) => return,
            }
        }
        control.hang_up();
    })?;
    Ok(())
}

/// One program.
struct Start {
    id: u64,
    control: Arc<Channel>,
    signals: Signals,
}

impl Drop for Start {
    fn drop(&mut self) {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Start {
    async fn run(self, opener: Opener, spawn: Spawn, files: Vec<OwnedFd>, told: mpsc::UnboundedReceiver<(i32, bool)>) {
        let mut started = false;
        let Err(e) = self.relay(&opener, spawn, files, told, &mut started).await else { return };
        if !started {
            let reply = Reply::Refused { id: self.id, errno: e.raw_os_error(), message: e.to_string() };
            // An error: the caller is gone.
            let _ = self.control.send(&reply, &[]);
        }
    }

    async fn relay(
        &self,
        opener: &Opener,
        spawn: Spawn,
        files: Vec<OwnedFd>,
        mut told: mpsc::UnboundedReceiver<(i32, bool)>,
        started: &mut bool,
    ) -> io::Result<()> {
        let mut stream = opener.open().await?;
        frame::write_json(&mut stream, Tag::Call, &Call::Program { spawn, files: files.len() }).await?;
        let (mut from, mut to) = tokio::io::split(stream);
        let mut files = files.into_iter();
        let (mut out, mut err) = (Sink::of(files.next()), Sink::of(files.next()));
        let mut input = files.next().map(pipe_in).transpose()?;
        // What the program hears. It ends with this function, and the stream with it.
        let speak = async {
            let mut bytes = vec![0; CHUNK];
            loop {
                tokio::select! {
                    read = read(&mut input, &mut bytes) => match read? {
                        0 => {
                            input = None;
                            frame::write(&mut to, Tag::End, &[]).await?;
                        }
                        n => frame::write(&mut to, Tag::Data, &bytes[..n]).await?,
                    },
                    signal = told.recv() => match signal {
                        Some(signal) => frame::write_json(&mut to, Tag::Signal, &signal).await?,
                        None => return io::Result::Ok(()),
                    },
                }
            }
        };
        let hear = async {
            while let Some((tag, bytes)) = frame::read(&mut from).await? {
                match tag {
                    Tag::Data => out.write(&bytes).await,
                    Tag::Error => err.write(&bytes).await,
                    Tag::Reply => {
                        let reply: Reply = serde_json::from_slice(&bytes)?;
                        *started = true;
                        self.control.send(&reply, &[])?;
                    }
                    _ => return Err(io::Error::from(io::ErrorKind::InvalidData)),
                }
            }
            io::Result::Ok(())
        };
        tokio::select! {
            heard = hear => heard?,
            spoken = speak => spoken?,
        }
        if *started { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

fn pipe_in(file: OwnedFd) -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(file)
}

async fn read(pipe: &mut Option<pipe::Receiver>, into: &mut [u8]) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read(into).await,
        None => std::future::pending().await,
    }
}

/// Where a program's output goes at the harness.
enum Sink {
    Pipe(pipe::Sender),
    File(File),
    Nowhere,
}

impl Sink {
    fn of(file: Option<OwnedFd>) -> Sink {
        let Some(file) = file else { return Sink::Nowhere };
        let Ok(second) = file.try_clone() else { return Sink::File(file.into()) };
        pipe::Sender::from_owned_fd(second).map_or_else(|_| Sink::File(file.into()), Sink::Pipe)
    }

    /// Nobody may read it any more: then it goes nowhere, as with a program's own pipe.
    async fn write(&mut self, bytes: &[u8]) {
        let written = match self {
            Sink::Pipe(pipe) => write_all(pipe, bytes).await,
            Sink::File(file) => file.write_all(bytes),
            Sink::Nowhere => Ok(()),
        };
        if written.is_err() {
            *self = Sink::Nowhere;
        }
    }
}

async fn write_all(pipe: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    pipe.write_all(bytes).await
}
