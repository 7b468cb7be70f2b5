//! Post-copy: the copy runs before its memory is there. `runc checkpoint --lazy-pages` keeps the memory of the source in
//! pipes and serves it, CRIU's lazy-pages daemon on the target's node fetches what the copy touches, and all else after it.

use super::classify::During;
use super::dump::dump_logs;
use super::faults_held;
use super::gate::{Broken, Copy, Gate, Passed};
use super::pipe_size;
use super::restore::{Pages, restore_logs};
use super::runtime::{Inner, SAID, Supervised, blocking, criu_errors, exec_error, io_error, task_failed};
use crate::clock;
use crate::engine::group::kill;
use crate::engine::watchdog::Patience;
use crate::engine::{Arrived, Checkpoint, EngineError, Migration, Moved, Restored, Slot};
use crate::node::Program;
use crate::process::Exec;
use crate::record::{ErrorClass, Phase};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The dump's log, and what CRIU writes there when it has failed and its victim is whole (criu 4.2.1).
const DUMP_LOG: &str = "dump.log";
const GAVE_UP: &str = "Dumping FAILED.";
/// The daemon's log.
const DAEMON_LOG: &str = "lazy-pages.log";
/// How long the two programs may take to end when all is over.
const PARTING: Duration = Duration::from_secs(10);

/// How often what comes of a copy that shall not be is killed.
const AGAIN: Duration = Duration::from_millis(50);

/// The gate at work.
struct Serving {
    task: JoinHandle<Result<Passed, Broken>>,
    /// Set when it has ended before the copy ran. It keeps the way to the daemon open.
    broken: Option<Broken>,
}

/// A source whose images are written and whose memory waits to be fetched.
struct Departed {
    what: String,
    name: String,
    logs: PathBuf,
    program: Box<dyn Program>,
}

/// Who fetches it.
struct Daemon {
    log: PathBuf,
    program: Box<dyn Program>,
}

impl Inner {
    /// See [`crate::engine::Engine::migrate_to`].
    pub(super) async fn post_copy(
        self: &Arc<Self>,
        target: &Arc<Inner>,
        migration: &Migration,
    ) -> Result<Moved, EngineError> {
        let preload = pipe_size::preload(self)?;
        let path = self.checkpoints.join(&migration.name);
        self.make_checkpoint(&path, &migration.name)?;
        let moved = self.leave(target, migration, &path, preload.as_deref()).await;
        if moved.is_err() {
            // The error counts; what cannot be removed shows up among what is left.
            let _ = fs::remove_dir_all(self.host(&path));
        }
        moved
    }

    async fn leave(
        self: &Arc<Self>,
        target: &Arc<Inner>,
        migration: &Migration,
        path: &Path,
        preload: Option<&Path>,
    ) -> Result<Moved, EngineError> {
        let Migration { container, timed, .. } = migration;
        let (node, from) = (self.node.name(), clock::now());
        self.freeze(&container.id).await?;
        timed.ends(Phase::Freeze, node, from);
        let from = clock::now();
        let port = self.free_port()?;
        // Both are waited for, also when one fails: nobody may write on while the folder is removed.
        let (departed, changes) =
            tokio::join!(self.depart(migration, path, port, preload), self.write_changes(container, path));
        timed.ends(Phase::Checkpoint, node, from);
        let moved = match (departed, changes) {
            (Err(e), _) => Err(e),
            (Ok(departed), changes) => self.arrive(target, migration, path, port, departed, changes).await,
        };
        match moved {
            Ok(moved) => Ok(moved),
            Err(e) => self.thaw_for_sure(&container.id).await.and(Err(e)),
        }
    }

    /// From the moment at which the source's pages are served.
    async fn arrive(
        self: &Arc<Self>,
        target: &Arc<Inner>,
        migration: &Migration,
        path: &Path,
        port: u16,
        departed: Departed,
        changes: Result<(), EngineError>,
    ) -> Result<Moved, EngineError> {
        let Migration { name, slot, timed, .. } = migration;
        let (tell, copy) = watch::channel(Copy::Coming);
        let gate = match self.open_gate(port).await {
            Ok(gate) => gate,
            Err(e) => return Err(self.end_departed(departed, e).await),
        };
        let address = gate.address();
        let mut serving = Serving { task: tokio::spawn(gate.serve(copy)), broken: None };
        let checkpoint =
            Checkpoint { name: name.clone(), engine: self.kind, path: path.to_owned(), archive: false, shared: true };
        let restored = async {
            changes?;
            let from = clock::now();
            let daemon = target.start_daemon(&slot.spec.name, &checkpoint, address).await?;
            timed.ends(Phase::Transfer, target.node.name(), from);
            match target.restore_late(slot, &checkpoint, &daemon, &mut serving).await {
                Ok(restored) => Ok((restored, daemon)),
                Err(e) => Err(daemon.end(target, e).await),
            }
        };
        match restored.await {
            Ok((restored, daemon)) => {
                // An error: the gate has given up already, and says why below.
                let _ = tell.send(Copy::Runs);
                let (source, target, container) = (Arc::clone(self), Arc::clone(target), slot.spec.name.clone());
                let pages =
                    tokio::spawn(async move { source.pages(&target, &container, departed, daemon, serving).await });
                Ok(Moved { restored, moved: 0, images: Some(checkpoint), pages: Some(pages) })
            }
            Err(e) => {
                drop(tell);
                if serving.broken.is_none() {
                    let _ = serving.task.await;
                }
                Err(self.end_departed(departed, e).await)
            }
        }
    }

    /// Restores what has its memory elsewhere. When that is seen to be lost, what there is of the copy is killed: its faults
    /// would be waited for without end.
    async fn restore_late(
        &self,
        slot: &Slot,
        from: &Checkpoint,
        daemon: &Daemon,
        serving: &mut Serving,
    ) -> Result<Restored, EngineError> {
        let mut restoring = std::pin::pin!(self.restore(slot, from, None, Pages::Late));
        let restored = loop {
            tokio::select! {
                restored = &mut restoring => break restored,
                served = &mut serving.task, if serving.broken.is_none() => {
                    serving.broken = Some(served.map_err(task_failed)?.err().unwrap_or_else(Broken::early));
                    self.end_copy(&slot.spec.name).await;
                    let _ = kill(&self.node, &[daemon.program.pid()]).await;
                }
                // Those too that CRIU was about to make.
                () = tokio::time::sleep(AGAIN), if serving.broken.is_some() => self.end_copy(&slot.spec.name).await,
            }
        };
        let Some(Broken { class, why, .. }) = &serving.broken else { return restored };
        if restored.is_ok() {
            self.end_copy(&slot.spec.name).await;
            self.forget(&slot.spec.name).await;
        }
        let message = format!("can't restore {} on node {}: {why}", slot.spec.name, self.node.name());
        let log = restored.err().map(|e| e.log).unwrap_or_default();
        Err(EngineError { log, ..EngineError::new(*class, message) })
    }

    /// A port of the node's loopback that nobody listens on.
    fn free_port(&self) -> Result<u16, EngineError> {
        let listener = self.node.listen((Ipv4Addr::LOCALHOST, 0).into());
        let address = listener.and_then(|listener| listener.local_addr());
        address.map(|address| address.port()).map_err(|e| self.no_gate(&e))
    }

    fn no_gate(&self, e: &io::Error) -> EngineError {
        let message = format!("can't reach the page server on node {}: {e}", self.node.name());
        EngineError::new(ErrorClass::Surroundings, message)
    }

    async fn open_gate(self: &Arc<Self>, port: u16) -> Result<Gate, EngineError> {
        let inner = Arc::clone(self);
        blocking(move || Gate::open(&*inner.node, port, inner.limits.quiet).map_err(|e| inner.no_gate(&e))).await
    }

    /// Dumps all but the memory, and serves that. The dump's end is not waited for: it comes when all pages are over.
    async fn depart(
        &self,
        migration: &Migration,
        path: &Path,
        port: u16,
        preload: Option<&Path>,
    ) -> Result<Departed, EngineError> {
        let (id, name) = (&migration.container.id, &migration.name);
        let logs = self.home.join("logs").join(dump_logs(id, name));
        let images = path.join("checkpoint");
        self.make_folder(&images)?;
        self.make_folder(&logs)?;
        self.write_meta(&migration.container, path)?;
        let what = format!("can't checkpoint container {id} on node {}", self.node.name());
        let mut call = checkpoint_call(&what, id, &logs, Patience::Watch(self.limits.dump));
        let server = format!("127.0.0.1:{port}");
        call.args =
            ["checkpoint", "--lazy-pages", "--page-server", &server, "--status-fd", "1"].map(str::to_owned).into();
        let folders = ["--image-path".into(), text(&images), "--work-path".into(), text(&logs), id.clone()];
        call.args.extend(folders);
        let mut exec = self.supervised_command(&call);
        if let Some(library) = preload {
            exec = exec.env("LD_PRELOAD", library);
        }
        let (mut status, program) = self.tells(exec, &logs).await.map_err(|e| named(&what, e))?;
        let mut departed = Departed { what: what.clone(), name: id.clone(), logs: logs.clone(), program };
        let ready = tokio::select! {
            biased;
            read = status.read_u8() => read.is_ok(),
            ended = self.to_its_end(&call, &mut *departed.program) => return Err(early(&what, ended)),
        };
        if ready {
            return Ok(departed);
        }
        Err(early(&what, self.to_its_end(&call, &mut *departed.program).await))
    }

    /// Starts a program that says on its standard output that it is ready.
    async fn tells(&self, exec: Exec, logs: &Path) -> Result<(pipe::Receiver, Box<dyn Program>), EngineError> {
        let piped = io::pipe().and_then(|(out, end)| Ok((pipe::Receiver::from_owned_fd(out.into())?, end)));
        let (status, end) = piped.map_err(|e| io_error("make", Path::new("a pipe"), &e))?;
        let program = self.node.spawn_telling(exec, end.into(), &logs.join(SAID)).await;
        Ok((status, program.map_err(|e| exec_error("can't start it", &e))?))
    }

    /// CRIU's lazy-pages daemon, ready for the restore.
    async fn start_daemon(&self, name: &str, from: &Checkpoint, gate: SocketAddr) -> Result<Daemon, EngineError> {
        let logs = self.home.join("logs").join(restore_logs(name, from));
        self.make_folder(&logs)?;
        let what = format!("can't start criu lazy-pages for {name} on node {}", self.node.name());
        let exec = Exec::new("criu").args(["lazy-pages", "--page-server", "--address"]).arg(gate.ip().to_string());
        let exec = exec.arg("--port").arg(gate.port().to_string()).arg("-D").arg(from.path.join("checkpoint"));
        let exec = exec.arg("-W").arg(&logs).args(["-o", DAEMON_LOG, "--status-fd", "1"]);
        let (mut status, program) = self.tells(exec, &logs).await.map_err(|e| named(&what, e))?;
        let daemon = Daemon { log: self.host(&logs.join(DAEMON_LOG)), program };
        match timeout(self.limits.other, status.read_u8()).await {
            Ok(Ok(_)) => Ok(daemon),
            Ok(Err(_)) => {
                let error = EngineError::new(ErrorClass::RestoreFailed, format!("{what}: it ended"));
                Err(daemon.end(self, error).await)
            }
            Err(_) => {
                let text = format!("{what}: it was not ready after {:?}", self.limits.other);
                Err(daemon.end(self, EngineError::new(ErrorClass::Timeout, text)).await)
            }
        }
    }

    /// Until all memory is there, or the copy is dead.
    async fn pages(
        &self,
        target: &Inner,
        copy: &str,
        mut departed: Departed,
        mut daemon: Daemon,
        serving: Serving,
    ) -> Result<Arrived, EngineError> {
        let what = format!("the memory of {copy} on node {} did not come over", target.node.name());
        let lost = |why: String| {
            let message = format!("{what}: {why}; the copy was ended, for the kernel gives zeros for what is missing");
            EngineError::new(ErrorClass::PagesLost, message)
        };
        let held = faults_held::hold(&target.node, daemon.program.pid());
        let passed = match serving.task.await.map_err(task_failed)? {
            Ok(passed) => passed,
            Err(broken) => {
                target.end_copy(copy).await;
                let mut why = broken.why.clone();
                if let Err(e) = &held {
                    why += &format!(", and nothing held the copy up meanwhile ({e})");
                }
                let error = daemon.end(target, lost(why)).await;
                drop((broken, held));
                return Err(self.end_departed(departed, error).await);
            }
        };
        drop(held);
        let at = clock::now();
        match timeout(PARTING, daemon.program.wait()).await {
            Ok(Ok(0)) => {}
            ended => {
                target.end_copy(copy).await;
                let error = daemon.end(target, lost(format!("criu lazy-pages ended with {ended:?}"))).await;
                return Err(self.end_departed(departed, error).await);
            }
        }
        // All of it is over: what the source's side says now is about the source alone.
        departed.end(self).await?;
        Ok(Arrived { at, moved: passed.bytes })
    }

    /// Ends a dump whose pages nobody fetches any more; what went wrong before is the error.
    async fn end_departed(&self, mut departed: Departed, mut error: EngineError) -> EngineError {
        let ended = departed.end(self).await;
        // CRIU says so at its own end, when it has taken its code out of the process again.
        let own = fs::read_to_string(self.host(&departed.logs.join(DUMP_LOG))).is_ok_and(|log| log.contains(GAVE_UP));
        if !own {
            self.end_copy(&departed.name).await;
            let why = ended.err().map_or_else(|| "its dump had come to its end".to_owned(), |e| e.message);
            error.message += &format!("; the source was ended too: {why}");
        }
        error
    }

    /// Kills what runs of a copy; its container stays, to be removed.
    async fn end_copy(&self, name: &str) {
        let pids = self.processes(name).unwrap_or_default();
        // An error: the node has gone, and the copy with it.
        let _ = kill(&self.node, &pids).await;
    }
}

impl Departed {
    /// Waits for its end; it is killed if that does not come.
    async fn end(&mut self, inner: &Inner) -> Result<(), EngineError> {
        let call = checkpoint_call(&self.what, &self.name, &self.logs, Patience::Watch(PARTING));
        inner.to_its_end(&call, &mut *self.program).await
    }
}

impl Daemon {
    /// Kills it, and adds what it said to the error.
    async fn end(mut self, inner: &Inner, mut error: EngineError) -> EngineError {
        let _ = kill(&inner.node, &[self.program.pid()]).await;
        let _ = timeout(PARTING, self.program.wait()).await;
        error.log.extend(criu_errors(&self.log));
        error
    }
}

fn checkpoint_call<'a>(what: &'a str, container: &'a str, logs: &'a Path, patience: Patience) -> Supervised<'a> {
    Supervised {
        program: "runc",
        what,
        during: During::Checkpoint,
        args: Vec::new(),
        container,
        folder: logs,
        out: None,
        criu_log: Some(DUMP_LOG),
        patience,
    }
}

/// A dump that ended before its pages were served.
fn early(what: &str, ended: Result<(), EngineError>) -> EngineError {
    let none = || EngineError::new(ErrorClass::DumpFailed, format!("{what}: it ended without serving any page"));
    ended.err().unwrap_or_else(none)
}

fn named(what: &str, mut error: EngineError) -> EngineError {
    error.message = format!("{what}: {}", error.message);
    error
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
