//! The agent on a node that the harness reaches by one stream of bytes alone. It is a privileged program in the node's own
//! PID and network namespace (a pod that has both of its host's), and a guest of its own joins the rest, as in a container
//! on the harness's machine.

mod files;
mod listen;
mod owned;
mod programs;

use super::carry::carry;
use super::frame::{self, Tag};
use super::line::{Opener, Stream, line};
use super::protocol::{Agent, Answer, Call};
use crate::node::init::GUEST;
use crate::node::sandbox::{PATIENCE, Unready, expect};
use crate::node::wire::{Channel, Reply};
use crate::process::guest_in_pid_namespace;
use owned::Owned;
use programs::Guest;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use yamux::Mode;

/// Of the node's first process.
const NAMESPACES: &str = "/proc/1/ns";
const ROOT: &str = "/proc/1/root";

/// An agent that hears nothing of its harness for so long ends, with all that it started: the harness is gone, or can't be
/// reached, which it will see by the same sign.
const SILENCE: Duration = Duration::from_secs(60);

/// What all calls share.
struct Node {
    guest: Guest,
    opener: Opener,
    owned: Owned,
    /// Told when nothing was heard of the harness for long.
    silent: Notify,
}

/// Serves the harness at the other end of standard input and output until it is gone.
pub(in crate::node) fn serve() -> io::Result<()> {
    let (input, output) = streams()?;
    raise_limits();
    let guest = guest()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let served = runtime.block_on(async move {
        use tokio::net::unix::pipe::{Receiver, Sender};
        let (input, output) =
            (Receiver::from_file_unchecked(input.into())?, Sender::from_file_unchecked(output.into())?);
        serve_over(tokio::io::join(input, output), guest).await
    });
    // Questions that wait in the kernel wait for nobody.
    runtime.shutdown_background();
    served
}

async fn serve_over(io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, guest: Guest) -> io::Result<()> {
    let (streams, mut came) = tokio::sync::mpsc::unbounded_channel();
    let (opener, drive) = line(io, Mode::Server, std::future::pending(), move |stream| drop(streams.send(stream)));
    let owned = Owned::new(Path::new(ROOT));
    let node = Arc::new(Node { guest, opener, owned: owned.clone(), silent: Notify::new() });
    let silent = {
        let node = Arc::clone(&node);
        async move { node.silent.notified().await }
    };
    let calls = async {
        while let Some(stream) = came.recv().await {
            let node = Arc::clone(&node);
            tokio::spawn(async move { drop(answer(stream, node).await) });
        }
    };
    let ended = tokio::select! {
        () = drive => Ok(()),
        () = calls => Ok(()),
        () = silent => Err(io::Error::other("the harness was not heard any more")),
        () = node.guest.ended() => Err(io::Error::other("the guest has ended")),
    };
    node.guest.hang_up();
    owned.remove();
    ended
}

/// The two streams as files that no program finds: what the agent itself prints goes to standard error.
fn streams() -> io::Result<(std::os::fd::OwnedFd, std::os::fd::OwnedFd)> {
    let (input, output) = (io::stdin().as_fd().try_clone_to_owned()?, io::stdout().as_fd().try_clone_to_owned()?);
    nix::unistd::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    nix::unistd::dup2_stdout(io::stderr())?;
    for stream in [&input, &output] {
        rustix::io::ioctl_fionbio(stream, true)?;
    }
    Ok((input, output))
}

/// A file of the node's that the harness knows is one here.
fn raise_limits() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // A lower limit serves too, for a while.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Runs programs in the node's own namespaces. Before there is a second thread.
fn guest() -> io::Result<Guest> {
    let (channel, theirs) = Channel::pair()?;
    let own = Path::new("/proc/self/exe");
    let mut agent = Unready::of(guest_in_pid_namespace(own, GUEST, Path::new(NAMESPACES), theirs)?);
    channel.set_patience(Some(PATIENCE))?;
    expect(&channel, |reply| matches!(reply, Reply::Ready)).map_err(io::Error::other)?;
    channel.set_patience(None)?;
    Guest::new(channel, agent.done())
}

async fn answer(mut stream: Stream, node: Arc<Node>) -> io::Result<()> {
    match frame::expect(&mut stream, Tag::Call).await? {
        Call::Hello => tell(&mut stream, Ok(Agent { version: env!("CARGO_PKG_VERSION").to_owned() })).await,
        Call::Pulse => pulse(stream, &node.silent).await,
        Call::Program { spawn, files } => programs::run(stream, &node.guest, spawn, files).await,
        Call::Connect { to, limit_ms } => connect(stream, tcp(to, limit_ms)).await,
        Call::ConnectUnix(path) => connect(stream, UnixStream::connect(inside(&path))).await,
        Call::Listen { number, network, address } => {
            listen::listen(stream, node.opener.clone(), number, network.map(|path| inside(&path)), address).await
        }
        Call::Own(paths) => {
            node.owned.add(paths);
            tell(&mut stream, Ok(())).await
        }
        Call::Files => files::serve(stream, Path::new(ROOT)).await,
    }
}

/// Where a path of the node is seen.
fn inside(path: &Path) -> PathBuf {
    Path::new(ROOT).join(path.strip_prefix("/").unwrap_or(path))
}

/// Answers a call.
async fn tell<T: serde::Serialize>(stream: &mut Stream, done: io::Result<T>) -> io::Result<()> {
    frame::write_json(stream, Tag::Answer, &Answer::of(done)).await
}

async fn pulse(mut stream: Stream, silent: &Notify) -> io::Result<()> {
    tell(&mut stream, Ok(())).await?;
    let mut byte = [0];
    loop {
        match tokio::time::timeout(SILENCE, stream.read_exact(&mut byte)).await {
            Ok(Ok(_)) => tokio::io::AsyncWriteExt::write_all(&mut stream, &byte).await?,
            Ok(Err(e)) => return Err(e),
            Err(_) => {
                silent.notify_one();
                return Ok(());
            }
        }
    }
}

async fn tcp(to: SocketAddr, limit_ms: u64) -> io::Result<TcpStream> {
    let connected = tokio::time::timeout(Duration::from_millis(limit_ms), TcpStream::connect(to)).await;
    let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn connect<S>(mut stream: Stream, connected: impl Future<Output = io::Result<S>>) -> io::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + AsFd + Unpin,
{
    match connected.await {
        Ok(socket) => {
            tell(&mut stream, Ok(())).await?;
            carry(socket, stream).await;
            Ok(())
        }
        Err(e) => tell::<()>(&mut stream, Err(e)).await,
    }
}
