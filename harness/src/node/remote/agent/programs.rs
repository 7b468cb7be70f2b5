//! Programs that the guest runs, with their streams.

use crate::node::control::gone;
use crate::node::remote::frame::{self, CHUNK, Tag};
use crate::node::remote::line::Stream;
use crate::node::wire::{Channel, Reply, Request, Spawn};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};

/// The guest, and who waits for what it says of which program.
pub(super) struct Guest {
    channel: Arc<Channel>,
    waiting: Waiting,
    ended: watch::Receiver<bool>,
}

type Waiting = Arc<Mutex<HashMap<u64, mpsc::UnboundedSender<Reply>>>>;

/// How often what a pipe still holds is read when its program has ended: no more than the pipe's capacity is left by then,
/// and a child in the background that writes on can't keep this.
const LAST: usize = 16;

impl Guest {
    pub(super) fn new(channel: Channel, mut child: Child) -> io::Result<Guest> {
        let (channel, waiting) = (Arc::new(channel), Waiting::default());
        let (tell, ended) = watch::channel(false);
        let (from, to) = (Arc::clone(&channel), Arc::clone(&waiting));
        std::thread::Builder::new().name("podferry-guest".to_owned()).spawn(move || {
            while let Ok(Some((reply, _))) = from.recv::<Reply>() {
                let (id, last) = match &reply {
                    Reply::Started { id, .. } => (*id, false),
                    Reply::Refused { id, .. } | Reply::Exited { id, .. } => (*id, true),
                    _ => continue,
                };
                let mut waiting = lock(&to);
                let who = if last { waiting.remove(&id) } else { waiting.get(&id).cloned() };
                let _ = who.map(|who| who.send(reply));
            }
            lock(&to).clear();
            let _ = child.wait();
            tell.send_replace(true);
        })?;
        Ok(Guest { channel, waiting, ended })
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Ends it, with all that it started.
    pub(super) fn hang_up(&self) {
        self.channel.hang_up();
    }

    fn signal(&self, id: u64, signal: i32, group: bool) -> io::Result<()> {
        self.channel.send(&Request::Signal { id, signal, group }, &[])
    }
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, HashMap<u64, mpsc::UnboundedSender<Reply>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a program until it has ended and its streams are closed, or until the harness has let go of it: then it is killed.
pub(super) async fn run(stream: Stream, guest: &Guest, spawn: Spawn, files: usize) -> io::Result<()> {
    let id = spawn.id;
    let (tell, mut told) = mpsc::unbounded_channel();
    lock(&guest.waiting).insert(id, tell);
    let (mut from, mut to) = tokio::io::split(stream);
    let (mut out, mut err, input) =
        start(guest, spawn, files).inspect_err(|_| drop(lock(&guest.waiting).remove(&id)))?;
    // A message that was read in part can't be read anew: it has a task of its own.
    let (say, mut said) = mpsc::unbounded_channel();
    let mut listening = tokio::task::JoinSet::new();
    listening.spawn(async move {
        while let Ok(Some(message)) = frame::read(&mut from).await {
            if say.send(message).is_err() {
                return;
            }
        }
    });
    let (feed, food) = mpsc::unbounded_channel();
    tokio::spawn(feed_input(input, food));
    let mut feed = Some(feed);
    let (mut out_bytes, mut err_bytes) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut ended = false;
    while !ended || out.is_some() || err.is_some() {
        tokio::select! {
            reply = told.recv(), if !ended => {
                let reply = reply.ok_or_else(gone)?;
                if !matches!(reply, Reply::Started { .. }) {
                    ended = true;
                    drain(&out, &mut to, Tag::Data).await?;
                    drain(&err, &mut to, Tag::Error).await?;
                }
                frame::write_json(&mut to, Tag::Reply, &reply).await?;
            }
            read = read(&mut out, &mut out_bytes) => pass(read, &mut out, &out_bytes, &mut to, Tag::Data).await?,
            read = read(&mut err, &mut err_bytes) => pass(read, &mut err, &err_bytes, &mut to, Tag::Error).await?,
            message = said.recv() => match message {
                Some((Tag::Data, bytes)) => drop(feed.as_ref().map(|feed| feed.send(bytes))),
                Some((Tag::End, _)) => feed = None,
                Some((Tag::Signal, bytes)) => {
                    let (signal, group) = serde_json::from_slice(&bytes)?;
                    guest.signal(id, signal, group)?;
                }
                _ => {
                    if !ended {
                        guest.signal(id, nix::libc::SIGKILL, true)?;
                    }
                    return Ok(());
                }
            },
        }
    }
    Ok(())
}

type Ends = (Option<pipe::Receiver>, Option<pipe::Receiver>, Option<pipe::Sender>);

/// Asks the guest for it, with as many pipes as are wanted.
fn start(guest: &Guest, spawn: Spawn, files: usize) -> io::Result<Ends> {
    let mut theirs: Vec<OwnedFd> = Vec::new();
    let mut outputs = Vec::new();
    for _ in 0..files.min(2) {
        let (reader, writer) = io::pipe()?;
        theirs.push(writer.into());
        outputs.push(pipe::Receiver::from_owned_fd(reader.into())?);
    }
    let mut input = None;
    if files > 2 {
        let (reader, writer) = io::pipe()?;
        theirs.push(reader.into());
        input = Some(pipe::Sender::from_owned_fd(writer.into())?);
    }
    let beside: Vec<_> = theirs.iter().map(AsFd::as_fd).collect();
    guest.channel.send(&Request::Spawn(spawn), &beside)?;
    let mut outputs = outputs.into_iter();
    Ok((outputs.next(), outputs.next(), input))
}

async fn feed_input(input: Option<pipe::Sender>, mut food: mpsc::UnboundedReceiver<Vec<u8>>) {
    let Some(mut input) = input else { return };
    while let Some(bytes) = food.recv().await {
        // A program may end, or close its input, before it has read all of it.
        if input.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// What comes next of a pipe; of one that is closed, never anything.
async fn read(pipe: &mut Option<pipe::Receiver>, into: &mut [u8]) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read(into).await,
        None => std::future::pending().await,
    }
}

async fn pass(
    read: io::Result<usize>,
    pipe: &mut Option<pipe::Receiver>,
    bytes: &[u8],
    to: &mut (impl AsyncWrite + Unpin),
    tag: Tag,
) -> io::Result<()> {
    match read? {
        0 => {
            *pipe = None;
            Ok(())
        }
        n => frame::write(to, tag, &bytes[..n]).await,
    }
}

/// What the program wrote before its end.
async fn drain(pipe: &Option<pipe::Receiver>, to: &mut (impl AsyncWrite + Unpin), tag: Tag) -> io::Result<()> {
    let Some(pipe) = pipe else { return Ok(()) };
    let mut bytes = vec![0; CHUNK];
    for _ in 0..LAST {
        match nix::unistd::read(pipe, &mut bytes) {
            Ok(0) | Err(nix::errno::Errno::EAGAIN) => break,
            Ok(n) => frame::write(to, tag, &bytes[..n]).await?,
            Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}
