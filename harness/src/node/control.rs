use super::wire::{Channel, Reply, Request, Spawn, Streams};
use crate::process::Exec;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::process::Child;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// How long a killed program may take to end.
pub(super) const DEATH: Duration = Duration::from_secs(5);

/// The harness's end of the line to PID 1 of a node. A thread of its own reads the replies, so that a node serves
/// callers on any runtime.
#[derive(Debug)]
pub(super) struct Control {
    channel: Channel,
    next: AtomicU64,
    /// `None` once PID 1 has ended.
    waiting: Mutex<Option<HashMap<u64, Waiting>>>,
    ended: watch::Receiver<bool>,
    /// Process ids in the node and exit codes, the newest last.
    orphans: Mutex<VecDeque<(u32, i32)>>,
}

/// How many ends of orphans are kept.
const ORPHANS: usize = 512;

#[derive(Debug)]
struct Waiting {
    started: Option<oneshot::Sender<io::Result<u32>>>,
    exited: Option<oneshot::Sender<i32>>,
}

/// A program that PID 1 was asked to start. It is killed, with its process group, if this is dropped before the
/// program's end is known, or before it was let go.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) control: Arc<Control>,
    pub(super) id: u64,
    started: oneshot::Receiver<io::Result<u32>>,
    /// `None`: it has ended, or was let go.
    exited: Option<oneshot::Receiver<i32>>,
}

impl Started {
    /// Its process id in the node, once it runs.
    pub(super) async fn pid(&mut self) -> io::Result<u32> {
        let pid = (&mut self.started).await.map_err(|_| gone()).flatten();
        if pid.is_err() {
            self.exited = None;
        }
        pid
    }

    /// Waits for its end; to be called again if it was cancelled.
    pub(super) async fn exit(&mut self) -> io::Result<i32> {
        let exited = self.exited.as_mut().ok_or_else(gone)?;
        let code = exited.await.map_err(|_| gone());
        self.exited = None;
        code
    }

    /// Kills it and waits until it is gone.
    pub(super) async fn end(mut self) {
        self.kill();
        // It may hang in the kernel, or be frozen: the caller has waited long enough.
        let _ = timeout(DEATH, self.exit()).await;
    }

    /// Lets it live on: its exit code is told by what is returned.
    pub(super) fn let_go(mut self) -> Option<oneshot::Receiver<i32>> {
        self.exited.take()
    }

    fn kill(&self) {
        // An error: the node has gone, and the program with it.
        let _ = self.control.signal(self.id, nix::libc::SIGKILL, true);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.exited.is_some() {
            self.kill();
        }
    }
}

impl Control {
    /// Takes over the line to `init`, which has said that it is ready. `None`: it is no child of this process, and ends with
    /// the line.
    pub(super) fn new(channel: Channel, init: Option<Child>, name: &str) -> io::Result<Arc<Control>> {
        let (tell_end, ended) = watch::channel(false);
        let waiting = Mutex::new(Some(HashMap::new()));
        let control = Arc::new(Control { channel, next: AtomicU64::new(1), waiting, ended, orphans: Mutex::default() });
        let reader = control.clone();
        let body = move || reader.read(init, &tell_end);
        std::thread::Builder::new().name(format!("podferry-node-{name}")).spawn(body)?;
        Ok(control)
    }

    /// Asks PID 1 to start a program. The caller's ends of `files` may be closed afterwards.
    pub(super) fn start(
        self: &Arc<Self>,
        exec: &Exec,
        streams: Streams,
        files: &[BorrowedFd<'_>],
    ) -> io::Result<Started> {
        crate::process::note_start();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (tell_start, started) = oneshot::channel();
        let (tell_exit, exited) = oneshot::channel();
        match self.waiting().as_mut() {
            None => return Err(gone()),
            Some(map) => map.insert(id, Waiting { started: Some(tell_start), exited: Some(tell_exit) }),
        };
        let Exec { argv, env, cwd, .. } = exec.clone();
        if let Err(e) = self.channel.send(&Request::Spawn(Spawn { id, argv, env, cwd, streams }), files) {
            self.waiting().as_mut().map(|map| map.remove(&id));
            return Err(e);
        }
        Ok(Started { control: self.clone(), id, started, exited: Some(exited) })
    }

    /// Sends a signal to a program, or to its process group. One that has ended is no error.
    pub(super) fn signal(&self, id: u64, signal: i32, group: bool) -> io::Result<()> {
        if !self.alive() {
            return Ok(());
        }
        self.channel.send(&Request::Signal { id, signal, group }, &[])
    }

    /// The exit code of the newest orphan of this process id.
    pub(super) fn orphan_exit(&self, pid: u32) -> Option<i32> {
        let orphans = self.orphans.lock().unwrap_or_else(PoisonError::into_inner);
        orphans.iter().rev().find(|(orphan, _)| *orphan == pid).map(|(_, code)| *code)
    }

    pub(super) fn alive(&self) -> bool {
        !*self.ended.borrow()
    }

    /// Makes PID 1, and with it the node, end; does not wait for it.
    pub(super) fn hang_up(&self) {
        self.channel.hang_up();
    }

    /// Waits until PID 1 has ended and was reaped.
    pub(super) async fn ended(&self) {
        // An error: the reader is gone, which it is only after that.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    fn read(&self, init: Option<Child>, tell_end: &watch::Sender<bool>) {
        // An error here is a broken line: the node can't be used any more, so it shall end.
        while let Ok(Some((reply, _))) = self.channel.recv::<Reply>() {
            self.deliver(reply);
        }
        self.hang_up();
        // Nobody may take the number for this node's any more, before it is free for another process.
        if let Some(init) = &init {
            wait_without_reaping(init);
        }
        tell_end.send_replace(true);
        *self.waiting() = None;
        let _ = init.map(|mut init| init.wait());
    }

    fn deliver(&self, reply: Reply) {
        let mut waiting = self.waiting();
        let Some(map) = waiting.as_mut() else { return };
        match reply {
            Reply::Started { id, pid } => {
                if let Some(started) = map.get_mut(&id).and_then(|w| w.started.take()) {
                    let _ = started.send(Ok(u32::try_from(pid).unwrap_or(0)));
                }
            }
            Reply::Refused { id, errno, message } => {
                if let Some(started) = map.remove(&id).and_then(|w| w.started) {
                    let kind = errno.map_or(io::ErrorKind::Other, |n| io::Error::from_raw_os_error(n).kind());
                    let _ = started.send(Err(io::Error::new(kind, message)));
                }
            }
            Reply::Exited { id, code } => {
                if let Some(exited) = map.remove(&id).and_then(|w| w.exited) {
                    let _ = exited.send(code);
                }
            }
            Reply::Orphan { pid, code } => {
                let mut orphans = self.orphans.lock().unwrap_or_else(PoisonError::into_inner);
                if orphans.len() == ORPHANS {
                    orphans.pop_front();
                }
                orphans.push_back((u32::try_from(pid).unwrap_or(0), code));
            }
            Reply::Unshared | Reply::Ready | Reply::Broken(_) => {}
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<HashMap<u64, Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait_without_reaping(init: &Child) {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    let Ok(pid) = i32::try_from(init.id()) else { return };
    let pid = nix::unistd::Pid::from_raw(pid);
    while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(nix::errno::Errno::EINTR) {}
}

/// What is said when the node has ended under a request.
pub(super) fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the node has ended")
}
