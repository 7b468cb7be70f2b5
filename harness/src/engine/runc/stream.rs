//! A checkpoint that is streamed to the target while CRIU writes it. runc cannot do that (CRIU: streaming is not supported
//! in RPC mode), so CRIU is called with what runc 1.3.6 would have told it (`libcontainer/criu_linux.go`).

use super::classify::During;
use super::dump::dump_logs;
use super::restore::Pages;
use super::runtime::{Inner, SAID, Supervised, blocking, exec_error, io_error};
use crate::archive::{ArchiveError, Capture, Sent, extract};
use crate::clock;
use crate::engine::layers;
use crate::engine::meta::Meta;
use crate::engine::watchdog::Patience;
use crate::engine::{Checkpoint, Container, EngineError, Migration, Moved};
use crate::process::Exec;
use crate::record::{ErrorClass, Phase};
use std::fs;
use std::io::{self, PipeWriter};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use tokio::task::JoinHandle;

type Arriving = JoinHandle<Result<Sent, EngineError>>;

/// Both ends of the way, each in the network of its node.
struct Ends {
    out: TcpStream,
    inward: TcpStream,
}

impl Inner {
    /// See [`crate::engine::Engine::migrate_to`].
    pub(super) async fn stream(
        self: &Arc<Self>,
        target: &Arc<Inner>,
        migration: &Migration,
    ) -> Result<Moved, EngineError> {
        let Migration { name, container, slot, timed, .. } = migration;
        let path = target.arrivals().join(name);
        let ends = self.connect_to(target).await?;
        // Short: the whole path of a socket has to fit into 108 bytes, on the host too.
        let number = ends.out.local_addr().map(|address| address.port());
        let folder = self.home.join("s").join(number.map_err(|e| self.no_way(target, &e))?.to_string());
        let _ = fs::remove_dir_all(self.host(&folder));
        self.make_folder(&folder)?;
        let (node, from) = (self.node.name(), clock::now());
        let moved = async {
            self.freeze(&container.id).await?;
            timed.ends(Phase::Freeze, node, from);
            let sent = self.pour(target, migration, &folder, &path, ends).await?;
            let checkpoint = Checkpoint { name: name.clone(), engine: self.kind, path, archive: false, shared: false };
            match target.restore(slot, &checkpoint, None, Pages::Here).await {
                Ok(restored) => Ok(Moved { restored, moved: sent.bytes, images: Some(checkpoint), pages: None }),
                Err(e) => {
                    // The error counts; what cannot be removed shows up among what is left.
                    let _ = fs::remove_dir_all(target.host(&checkpoint.path));
                    Err(e)
                }
            }
        }
        .await;
        let _ = fs::remove_dir_all(self.host(&folder));
        match moved {
            Ok(moved) => Ok(moved),
            Err(e) => self.thaw_for_sure(&container.id).await.and(Err(e)),
        }
    }

    fn no_way(&self, target: &Inner, e: &io::Error) -> EngineError {
        let (from, to) = (self.node.name(), target.node.name());
        EngineError::new(ErrorClass::LinkBroken, format!("can't connect node {from} with node {to}: {e}"))
    }

    async fn connect_to(self: &Arc<Self>, target: &Arc<Inner>) -> Result<Ends, EngineError> {
        let (source, target) = (Arc::clone(self), Arc::clone(target));
        blocking(move || {
            let quiet = source.limits.quiet;
            let ends = || {
                let listener = target.node.listen((target.node.address(), 0).into())?;
                // Not accepted before it is connected: then nobody waits for who never comes.
                let out = source.node.connect(listener.local_addr()?, quiet)?;
                let (inward, _) = listener.accept()?;
                for end in [&out, &inward] {
                    end.set_read_timeout(Some(quiet))?;
                    end.set_write_timeout(Some(quiet))?;
                }
                Ok(Ends { out, inward })
            };
            ends().map_err(|e| source.no_way(&target, &e))
        })
        .await
    }

    /// Dumps, sends and receives, all at once.
    async fn pour(
        self: &Arc<Self>,
        target: &Arc<Inner>,
        migration: &Migration,
        folder: &Path,
        path: &Path,
        ends: Ends,
    ) -> Result<Sent, EngineError> {
        let Migration { container, timed, .. } = migration;
        let from = clock::now();
        let meta = Meta::of(container, &self.capabilities.version, true).bytes();
        let meta = meta.map_err(|e| io_error("make", Path::new("meta.json"), &e))?;
        let descriptors = self.descriptors(&container.id)?;
        let socket = self.host(folder);
        let capture = Capture::listen(&socket).map_err(|e| self.of_archive(&e))?;
        let piped = io::pipe().and_then(|changes| Ok((changes, io::pipe()?)));
        let ((changes, to_changes), (ended, running)) = piped.map_err(|e| io_error("make", Path::new("a pipe"), &e))?;
        let (finish, last) = mpsc::channel();
        let beside = vec![("rootfs-diff.tar".to_owned(), changes)];
        let Ends { out, inward } = ends;
        let wake = out.try_clone().map_err(|e| self.no_way(target, &e))?;
        let arriving = target.arriving(inward, path, wake);
        let source = Arc::clone(self);
        let sending: Arriving = tokio::task::spawn_blocking(move || {
            let sent = capture.send(&out, beside, &ended, &last);
            // Its end; whether that was all, a digest tells. (Not by dropping it: the receiver's side wakes it too.)
            let _ = out.shutdown(Shutdown::Write);
            sent.map_err(|e| source.of_archive(&e))
        });
        let logs = self.home.join("logs").join(dump_logs(&container.id, &migration.name));
        // All are waited for, also when one fails.
        let (dumped, changed) =
            tokio::join!(self.dump_streamed(container, folder, &logs), self.pour_changes(container, to_changes));
        timed.ends(Phase::Checkpoint, self.node.name(), from);
        drop(running);
        let tail = clock::now();
        let done = dumped.and(changed).and_then(|()| {
            let stats = self.host(&logs.join("stats-dump"));
            let stats = fs::read(&stats).map_err(|e| io_error("read", &stats, &e))?;
            let named = [("meta.json", meta), ("checkpoint/descriptors.json", descriptors), ("stats-dump", stats)];
            // An error: the sender has failed, and says why below.
            let _ = finish.send(named.map(|(name, bytes)| (name.to_owned(), bytes)).into());
            Ok(())
        });
        drop(finish);
        let (sent, came) = tokio::join!(sending, arriving);
        timed.ends(Phase::Transfer, target.node.name(), tail);
        let moving = format!("can't stream container {} to node {}", container.id, target.node.name());
        let named = |e: EngineError| EngineError { message: format!("{moving}: {}", e.message), ..e };
        cause(done, sent.map_err(super::runtime::task_failed)?, came.map_err(super::runtime::task_failed)?)
            .map_err(named)
    }

    fn arriving(self: &Arc<Self>, mut inward: TcpStream, path: &Path, wake: TcpStream) -> Arriving {
        let (target, to) = (Arc::clone(self), self.host(path));
        tokio::task::spawn_blocking(move || {
            // The sender would wait for an answer that cannot come.
            let came = extract(&mut inward, &to).inspect_err(|_| drop(wake.shutdown(Shutdown::Both)));
            came.map_err(|e| target.of_archive(&e))
        })
    }

    /// An error of the archive's room, with paths as they are in the node.
    fn of_archive(&self, e: &ArchiveError) -> EngineError {
        let root = self.host(Path::new("/"));
        let within = format!("{}:", self.node.name());
        let message = e.to_string().replace(root.to_string_lossy().trim_end_matches('/'), &within);
        EngineError::new(e.class(), message)
    }

    async fn pour_changes(&self, container: &Container, to: PipeWriter) -> Result<(), EngineError> {
        let upper = self.host(&self.folder(&container.id).join("upper"));
        blocking(move || layers::write_diff_to(&upper, to).map_err(|e| io_error("send the changes of", &upper, &e)))
            .await
    }

    /// CRIU as runc calls it, but for the images' way.
    async fn dump_streamed(&self, container: &Container, folder: &Path, logs: &Path) -> Result<(), EngineError> {
        let id = &container.id;
        self.make_folder(logs)?;
        let what = format!("can't checkpoint container {id} on node {}", self.node.name());
        let missing = |what: &str| EngineError::new(ErrorClass::NotRunning, format!("container {id} has no {what}"));
        let pid = self.recorded_pid(id).ok_or_else(|| missing("process"))?;
        let netns = Path::new("/run/netns").join(self.netns(id));
        let on_host = self.host(&netns);
        let inode = fs::metadata(&on_host).map_err(|e| io_error("look at", &on_host, &e))?.ino();
        let options = self.write_criu_options(&container.slot.spec.criu)?;
        let freezer = self.freezer_inside(id).ok_or_else(|| missing("control group"))?;
        let mut exec = Exec::new("criu").args(["dump", "--stream", "--leave-running", "-t"]).arg(pid.to_string());
        exec = exec.arg("-D").arg(folder).arg("-W").arg(logs).args(["-o", "dump.log"]).arg("--config").arg(options);
        exec = exec.arg("--external").arg(format!("net[{inode}]:extRootNetNS")).arg("--freeze-cgroup").arg(freezer);
        exec = exec.args(["--manage-cgroups=soft", "--root"]).arg(self.folder(id).join("rootfs"));
        for mount in &container.slot.spec.mounts {
            let target = mount.target.display();
            exec = exec.arg("--external").arg(format!("mnt[{target}]:{target}"));
        }
        let program = self.node.spawn(exec, &logs.join(SAID)).await;
        let mut program = program.map_err(|e| exec_error(&what, &e))?;
        let call = Supervised {
            program: "criu",
            what: &what,
            during: During::Checkpoint,
            args: Vec::new(),
            container: id,
            folder: logs,
            out: None,
            criu_log: Some("dump.log"),
            patience: Patience::Watch(self.limits.dump),
        };
        self.to_its_end(&call, &mut *program).await
    }

    /// What runc writes as `descriptors.json`: the standard streams of the first process, as it found them at its start.
    fn descriptors(&self, id: &str) -> Result<Vec<u8>, EngineError> {
        let file = self.host(&self.state().join(id).join("state.json"));
        let text = fs::read(&file).map_err(|e| io_error("read", &file, &e))?;
        let state: serde_json::Value = serde_json::from_slice(&text)
            .map_err(|e| EngineError::new(ErrorClass::Other, format!("{} is no JSON: {e}", file.display())))?;
        Ok(state["external_descriptors"].to_string().into_bytes())
    }
}

/// What became of it; of several errors the one that made the others.
fn cause(
    dumped: Result<(), EngineError>,
    sent: Result<Sent, EngineError>,
    came: Result<Sent, EngineError>,
) -> Result<Sent, EngineError> {
    let is = |result: &Result<Sent, EngineError>, class| result.as_ref().is_err_and(|e| e.class == class);
    // A target without room, or with something else than was sent, ends the connection, and with it the dump.
    if came.is_err() && !is(&came, ErrorClass::LinkBroken) {
        return came;
    }
    // A connection that breaks ends the dump; a dump that fails is no broken connection to its sender.
    if is(&sent, ErrorClass::LinkBroken) {
        return sent;
    }
    dumped.and(sent).and(came)
}
