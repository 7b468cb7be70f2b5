//! The node's files, for a FUSE mount at the harness: its kernel's requests come as they are.

use super::tell;
use crate::node::remote::frame::{self, Tag};
use crate::node::remote::line::Stream;
use fuse_backend_rs::api::server::Server;
use fuse_backend_rs::passthrough::{CachePolicy, Config, PassthroughFs};
use fuse_backend_rs::transport::{FuseBuf, FuseDevWriter, Reader, Writer};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// So many requests are served side by side: some wait (a pipe's other end, a process that ends).
const WORKERS: usize = 8;
/// A mebibyte, which is the most that the kernel reads at once, and a header.
const ANSWER: usize = (1 << 20) + 4096;

type Files = Server<PassthroughFs<()>>;

/// Serves until the stream ends.
pub(super) async fn serve(mut stream: Stream, root: &Path) -> io::Result<()> {
    let served = match files(root) {
        Ok(served) => Arc::new(served),
        Err(e) => return tell::<()>(&mut stream, Err(e)).await,
    };
    tell(&mut stream, Ok(())).await?;
    let (ask, asked) = mpsc::channel();
    let (reply, mut replies) = tokio::sync::mpsc::unbounded_channel();
    let asked = Arc::new(Mutex::new(asked));
    for number in 0..WORKERS {
        let (served, asked, reply) = (Arc::clone(&served), Arc::clone(&asked), reply.clone());
        let name = format!("podferry-files-{number}");
        std::thread::Builder::new().name(name).spawn(move || work(&served, &asked, &reply))?;
    }
    drop(reply);
    let (mut from, mut to) = tokio::io::split(stream);
    let requests = async {
        while let Some((Tag::Data, request)) = frame::read(&mut from).await? {
            ask.send(request).map_err(io::Error::other)?;
        }
        io::Result::Ok(())
    };
    let answers = async {
        while let Some(answer) = replies.recv().await {
            frame::write(&mut to, Tag::Data, &answer).await?;
        }
        io::Result::Ok(())
    };
    tokio::select! {
        done = requests => done,
        done = answers => done,
    }
}

/// Nothing is remembered at the harness: others change the same files. With `direct_io` (the policy) files are read whose
/// size is said to be 0, as those of `/proc` are.
fn files(root: &Path) -> io::Result<Files> {
    let config = Config {
        root_dir: format!("{}/", root.display()),
        entry_timeout: Duration::ZERO,
        attr_timeout: Duration::ZERO,
        cache_policy: CachePolicy::Never,
        xattr: true,
        // One file may be seen by two mounts, of which one is read-only.
        enable_mntid: true,
        ..Config::default()
    };
    Ok(Server::new(PassthroughFs::new(config)?))
}

fn work(files: &Files, asked: &Mutex<mpsc::Receiver<Vec<u8>>>, reply: &tokio::sync::mpsc::UnboundedSender<Vec<u8>>) {
    let Ok(mut answer) = memfd_create("podferry-answer", MFdFlags::MFD_CLOEXEC).map(File::from) else { return };
    let mut buffer = vec![0; ANSWER];
    loop {
        let next = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut request) = next else { return };
        let begins = opcode(&request) == Some(INIT);
        let Ok(reader) = Reader::<()>::from_fuse_buffer(FuseBuf::new(&mut request)) else { return };
        let Ok(writer) = FuseDevWriter::new(answer.as_raw_fd(), &mut buffer) else { return };
        // What could not be done is in the answer; of what has none (`FORGET`) nobody waits to hear.
        let _ = files.handle_message(reader, Writer::FuseDev(writer), None, None);
        let Ok(mut bytes) = taken(&mut answer) else { return };
        if begins {
            large_writes(&mut bytes);
        }
        if !bytes.is_empty() && reply.send(bytes).is_err() {
            return;
        }
    }
}

/// The first request of a kernel's (`linux/fuse.h`, 6.18).
const INIT: u32 = 26;

fn opcode(request: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(request.get(4..8)?.try_into().ok()?))
}

/// Takes writes of a mebibyte. A `PassthroughFs` by itself does not say so (fuse-backend-rs 0.14.0), and the kernel then writes
/// 4 KiB at a time, each of which waits for its answer. Kernels that know no such pages (before 4.20) take what they know.
fn large_writes(answer: &mut [u8]) {
    /// `FUSE_ASYNC_READ`, `FUSE_BIG_WRITES` and `FUSE_MAX_PAGES`.
    const FLAGS: u32 = 1 | 1 << 5 | 1 << 22;
    const PAGES: u16 = 256;
    // `fuse_out_header` has 16 bytes; in `fuse_init_out` the flags are at 12, `max_write` at 20 and `max_pages` at 28.
    let Some(answer) = answer.get_mut(16..16 + 30) else { return };
    let flags = u32::from_le_bytes([answer[12], answer[13], answer[14], answer[15]]) | FLAGS;
    answer[12..16].copy_from_slice(&flags.to_le_bytes());
    answer[20..24].copy_from_slice(&(1_u32 << 20).to_le_bytes());
    answer[28..30].copy_from_slice(&PAGES.to_le_bytes());
}

/// What was written into a file, which is empty afterwards.
fn taken(file: &mut File) -> io::Result<Vec<u8>> {
    let length = file.stream_position()?;
    file.rewind()?;
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact(&mut bytes)?;
    file.rewind()?;
    Ok(bytes)
}
