use super::{Fault, Ground, failed, never_struck};
use crate::engine::Engine;
use crate::node::{Process, processes};
use crate::record::{ErrorClass, Failure};
use crate::scenario::plan::Role;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A program that is started is no event that a stranger is told of.
const LOOK: Duration = Duration::from_millis(1);
/// How long it is looked for where no step says when to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// SIGKILL to a process of a node.
pub(super) struct Kill {
    role: Role,
    bare: bool,
    ground: Ground,
}

impl Kill {
    pub(super) fn new(role: Role, bare: bool, ground: Ground) -> Self {
        Kill { role, bare, ground }
    }

    fn engine(&self) -> &Arc<dyn Engine> {
        &self.ground.engine
    }

    fn node(&self) -> &str {
        self.engine().node().name()
    }

    /// The processes that are meant; none yet is an empty list.
    fn find(&self) -> Result<Vec<u32>, Failure> {
        let all = processes(self.engine().node());
        let named = |name: &str| all.iter().filter(|(_, p)| p.comm == name).map(|(pid, _)| *pid).collect::<Vec<_>>();
        let victim = self.ground.victim;
        Ok(match self.role {
            Role::Containerd => Vec::new(),
            Role::Criu if victim.is_some() => named("criu"),
            Role::Criu => restoring(&all),
            Role::Runtime => named(&basename(self.engine().runtime())),
            Role::Workload => victim.into_iter().collect(),
            Role::Shim => {
                let parent = victim.and_then(|pid| Some(all.get(&pid)?.parent));
                let found = parent.filter(|pid| all.get(pid).is_some_and(is_shim));
                let kind = self.engine().kind();
                let none = || Failure::new(ErrorClass::Unsupported, format!("{kind} has no shim that could be killed"));
                vec![found.ok_or_else(none)?]
            }
        })
    }

    /// Kills as soon as there is somebody to kill.
    async fn kill_named(&self) -> Result<(), Failure> {
        let began = Instant::now();
        let mut over = self.ground.over.clone();
        let pids = loop {
            let pids = self.find()?;
            if !pids.is_empty() {
                break pids;
            }
            if *over.borrow() || began.elapsed() > PATIENCE {
                return Err(self.unseen());
            }
            // An error: nobody will say that it is over.
            let _ = tokio::time::timeout(LOOK, over.changed()).await;
        };
        let mut killed = 0;
        for pid in pids {
            match kill(&self.process(pid)) {
                Ok(()) => killed += 1,
                Err(e) if gone(&e) => {}
                Err(e) => return Err(failed(self.doing(), e)),
            }
        }
        match killed {
            0 => Err(never_struck(format!("{} had ended before it could be killed", self.role.name()))),
            _ => Ok(()),
        }
    }

    fn unseen(&self) -> Failure {
        never_struck(format!("no {} was seen on node {} in time", self.role.name(), self.node()))
    }

    fn doing(&self) -> String {
        format!("kill {} on node {}", self.role.name(), self.node())
    }

    fn process(&self, pid: u32) -> PathBuf {
        self.engine().node().host_path(Path::new(&format!("/proc/{pid}")))
    }
}

/// SIGKILL by the harness itself: a program in the node would come milliseconds later. A folder of any `/proc` stands for
/// its process.
fn kill(process: &Path) -> io::Result<()> {
    let process = std::fs::File::open(process)?;
    Ok(rustix::process::pidfd_send_signal(process, rustix::process::Signal::KILL)?)
}

/// It has ended already.
fn gone(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(nix::libc::ESRCH)
}

/// The CRIU that restores: it has children, which carry its name until they are what they were.
fn restoring(all: &BTreeMap<u32, Process>) -> Vec<u32> {
    let is_criu = |pid: u32| all.get(&pid).is_some_and(|p| p.comm == "criu");
    let parents = all.values().map(|p| p.parent).filter(|parent| is_criu(*parent));
    parents.filter(|pid| all.get(pid).is_some_and(|p| !is_criu(p.parent))).collect()
}

fn basename(program: &str) -> String {
    Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The kernel keeps 15 letters of a name.
fn is_shim(process: &Process) -> bool {
    process.comm.starts_with("containerd-shim")
}

#[async_trait]
impl Fault for Kill {
    async fn strike(&self) -> Result<(), Failure> {
        match self.role {
            Role::Containerd => Ok(self.engine().kill_daemon().await?),
            _ => self.kill_named().await,
        }
    }

    /// What is killed stays dead; what was to be found again is the daemon, and what its death left frozen.
    async fn mend(&self) -> Result<(), Failure> {
        let back = match self.bare {
            true => self.engine().start_again().await,
            false => self.engine().revive().await,
        };
        back.map_err(|e| failed(format!("bring back the engine of node {}", self.node()), e))
    }
}
