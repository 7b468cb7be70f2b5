use super::{Fault, Ground, failed, never_struck};
use crate::engine::Engine;
use crate::node::{Process, processes};
use crate::process::Exec;
use crate::record::{Chain, ErrorClass, Failure};
use crate::scenario::plan::Role;
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

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
    async fn find(&self) -> Result<Vec<u32>, Failure> {
        let all = || processes(self.engine().node());
        let named = |name: &str| all().iter().filter(|(_, p)| p.comm == name).map(|(pid, _)| *pid).collect();
        Ok(match self.role {
            Role::Containerd => Vec::new(),
            Role::Criu => named("criu"),
            Role::Runtime => named(&basename(self.engine().runtime())),
            Role::Workload => self.first_process().await?.into_iter().collect(),
            Role::Shim => {
                let all = all();
                let shim = self.first_process().await?.and_then(|pid| Some(all.get(&pid)?.parent));
                let found = shim.filter(|pid| all.get(pid).is_some_and(is_shim));
                let kind = self.engine().kind();
                let none = || Failure::new(ErrorClass::Unsupported, format!("{kind} has no shim that could be killed"));
                vec![found.ok_or_else(none)?]
            }
        })
    }

    async fn first_process(&self) -> Result<Option<u32>, Failure> {
        let Some(victim) = &self.ground.victim else { return Ok(None) };
        Ok(self.engine().first_process(victim).await?)
    }
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
        if self.role == Role::Containerd {
            return Ok(self.engine().kill_daemon().await?);
        }
        let began = std::time::Instant::now();
        let mut over = self.ground.over.clone();
        let pids = loop {
            let pids = self.find().await?;
            if !pids.is_empty() {
                break pids;
            }
            let what = || format!("no {} was seen on node {}", self.role.name(), self.node());
            if *over.borrow() {
                return Err(never_struck(format!("{} before the step was over", what())));
            }
            if began.elapsed() > PATIENCE {
                return Err(never_struck(format!("{} within {PATIENCE:?}", what())));
            }
            // An error: nobody will say that it is over.
            let _ = tokio::time::timeout(LOOK, over.changed()).await;
        };
        let kill = Exec::new("kill").arg("-9").args(pids.iter().map(u32::to_string));
        let doing = format!("kill {} on node {}", self.role.name(), self.node());
        let killed = self.engine().node().output(kill).await.map_err(|e| failed(&doing, Chain(&e)))?;
        if killed.code != 0 && killed.tail().contains("No such process") {
            return Err(never_struck(format!("{} had ended before it could be killed", self.role.name())));
        }
        match killed.code {
            0 => Ok(()),
            _ => Err(failed(doing, killed.tail())),
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
