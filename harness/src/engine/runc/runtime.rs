//! The runtime's command line: how it is called, and how its words become errors.

pub(super) use crate::engine::failing::{blocking, exec_error, io_error, task_failed};

use super::Limits;
use super::classify::{During, classify, runtime_message};
use super::probe;
use super::watchdog::watch;
use crate::engine::failing::read_tail;
use crate::engine::network::Addresses;
use crate::engine::watchdog::{Patience, Stuck};
use crate::engine::{Capabilities, ContainerSpec, EngineError};
use crate::engine::{criu_log as log_of_criu, criu_options, criu_words};
use crate::node::CONTAINERS;
use crate::node::{Program, SharedNode};
use crate::process::Exec;
use crate::record::{CriuChoices, EngineKind, ErrorClass, Trick};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// An engine on one node.
pub(super) struct Inner {
    pub(super) node: SharedNode,
    pub(super) kind: EngineKind,
    pub(super) limits: Limits,
    pub(super) capabilities: Capabilities,
    /// In the node.
    pub(super) home: PathBuf,
    /// In the node; shared with the other nodes, if there is such a folder.
    pub(super) checkpoints: PathBuf,
    /// The line for CRIU's configuration, if this node's CRIU takes it.
    network_lock: Option<criu_options::NetworkLock>,
    pub(super) addresses: Mutex<Addresses>,
    /// The pod of each container that is in one.
    pub(super) pods: Mutex<HashMap<String, String>>,
    /// One image is unpacked at a time: two slots of one image would do it twice.
    pub(super) unpacking: tokio::sync::Mutex<()>,
}

impl Inner {
    pub(super) async fn new(node: SharedNode, kind: EngineKind, limits: Limits) -> Result<Self, EngineError> {
        let capabilities = probe::capabilities(&node, kind).await?;
        let home = Path::new("/data").join(kind.name());
        let checkpoints = node.shared_dir().unwrap_or(&home).join("checkpoints");
        let inner = Inner {
            addresses: Mutex::new(Addresses::of(kind)),
            pods: Mutex::default(),
            unpacking: tokio::sync::Mutex::default(),
            network_lock: criu_options::network_lock(&node).await,
            node,
            kind,
            limits,
            capabilities,
            home,
            checkpoints,
        };
        for folder in ["images", "containers", "state", "logs", "arrivals"] {
            inner.make_folder(&inner.home.join(folder))?;
        }
        inner.make_folder(&inner.checkpoints)?;
        Ok(inner)
    }

    /// The path on the host of a path in the node.
    pub(super) fn host(&self, inside: &Path) -> PathBuf {
        self.node.host_path(inside)
    }

    /// Writes CRIU's options for a container; containers with the same choices share the file. It is one of our own, so
    /// that containerd's runc on the same node keeps its own.
    pub(super) fn write_criu_options(&self, choices: &CriuChoices) -> Result<PathBuf, EngineError> {
        let inside = self.home.join(criu_options::file_name(choices));
        let path = self.host(&inside);
        fs::write(&path, criu_options::text(choices, self.network_lock)).map_err(|e| io_error("write", &path, &e))?;
        Ok(inside)
    }

    /// Makes CRIU find out anew what the kernel can do, if that is what is to be shown.
    pub(super) fn warm_or_cold(&self, spec: &ContainerSpec) {
        if !spec.does(Trick::WarmProbe) {
            // Where there is none, it is cold.
            let _ = fs::remove_file(self.host(Path::new(criu_options::KERNEL_DATA)));
        }
    }

    pub(super) fn state(&self) -> PathBuf {
        self.home.join("state")
    }

    /// A container's folder: bundle, overlay.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.home.join("containers").join(name)
    }

    /// Where a container's standard output and error go. It outlives the container.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.home.join("logs").join(format!("{name}.log"))
    }

    /// Where checkpoints are put that came through the network.
    pub(super) fn arrivals(&self) -> PathBuf {
        self.home.join("arrivals")
    }

    /// The network namespace of a container, which is that of its pod if it is in one.
    pub(super) fn netns(&self, name: &str) -> String {
        format!("{}-{}", self.kind, self.pod_of(name).as_deref().unwrap_or(name))
    }

    /// The container's folder in each hierarchy of control groups, below that of its pod if it is in one.
    pub(super) fn cgroup(&self, name: &str) -> String {
        match self.pod_of(name) {
            Some(pod) => format!("{CONTAINERS}/{}-{pod}/{name}", self.kind),
            None => format!("{CONTAINERS}/{}-{name}", self.kind),
        }
    }

    pub(super) fn make_folder(&self, inside: &Path) -> Result<(), EngineError> {
        let path = self.host(inside);
        fs::create_dir_all(&path).map_err(|e| io_error("make", &path, &e))
    }

    /// The runtime with its global options.
    pub(super) fn command(&self, log: Option<&Path>) -> Exec {
        let mut exec = Exec::new(self.kind.name()).arg("--root").arg(self.state()).timeout(self.limits.other);
        if let Some(log) = log {
            exec = exec.arg("--log").arg(log).args(["--log-format", "json"]);
        }
        exec
    }

    /// Runs a short call to its end.
    pub(super) async fn call(&self, args: &[&str], during: During, what: &str) -> Result<String, EngineError> {
        let output = self.node.output(self.command(None).args(args)).await.map_err(|e| exec_error(what, &e))?;
        if output.code == 0 {
            return Ok(output.text());
        }
        let message = runtime_message(&String::from_utf8_lossy(&output.stderr));
        Err(EngineError::new(classify(during, &message, &[]), format!("{what}: {} says: {message}", self.kind)))
    }

    /// Runs a call that makes or dumps a container, with a watchdog, and explains its failure from its logs.
    ///
    /// `folder` takes the runtime's and CRIU's log; `out` what the container writes, if the call makes one.
    pub(super) async fn supervised(&self, call: Supervised<'_>) -> Result<(), EngineError> {
        let exec = self.supervised_command(&call);
        let program = match call.out {
            Some(out) => self.node.spawn_piped(exec, out).await,
            None => self.node.spawn(exec, &call.folder.join(SAID)).await,
        };
        let mut program = program.map_err(|e| exec_error(call.what, &e))?;
        self.to_its_end(&call, &mut *program).await
    }

    /// What a supervised call runs.
    pub(super) fn supervised_command(&self, call: &Supervised<'_>) -> Exec {
        self.command(Some(&call.folder.join(LOG))).args(&call.args)
    }

    /// Watches such a call until it has ended.
    pub(super) async fn to_its_end(&self, call: &Supervised<'_>, program: &mut dyn Program) -> Result<(), EngineError> {
        let Supervised { what, during, .. } = *call;
        let log = call.folder.join(LOG);
        let criu_log = call.criu_log.map(|name| self.host(&call.folder.join(name)));
        let making = call.out.is_some().then_some(call.container);
        let ended = watch(self, program, making, call.patience, criu_log.as_deref()).await;
        let (class, message) = match ended.map_err(|e| exec_error(what, &e))? {
            Ok(0) => return Ok(()),
            Ok(code) => {
                let text = read_tail(&self.host(&log)).unwrap_or_default();
                let text = if text.is_empty() {
                    read_tail(&self.host(&call.folder.join(SAID))).unwrap_or_default()
                } else {
                    text
                };
                let message = runtime_message(&text);
                (None, format!("{what}: {} ended with {code} and says: {message}", call.program))
            }
            Err(Stuck { class, why }) if call.program == "criu" => {
                (Some(class), format!("{what}: {why}; criu was killed"))
            }
            Err(Stuck { class, why }) => (Some(class), format!("{what}: {why}; {} and criu were killed", self.kind)),
        };
        let lines = criu_log.map(|path| criu_errors(&path)).unwrap_or_default();
        let class = class.unwrap_or_else(|| classify(during, &message, &lines));
        let mut error = EngineError::new(class, log_of_criu::named(class, message, &lines));
        error.hint = hint(class).map(str::to_owned);
        error.log = lines;
        Err(error)
    }
}

/// The runtime's own log, and what it says beside that, in the folder of a supervised call.
const LOG: &str = "runtime.json";
pub(super) const SAID: &str = "runtime.out";

/// The errors in a log of CRIU's.
pub(super) fn criu_errors(log: &Path) -> Vec<String> {
    read_tail(log).map(|text| log_of_criu::errors(&text)).unwrap_or_default()
}

/// A call of [`Inner::supervised`].
pub(super) struct Supervised<'a> {
    /// Who is called: the runtime, or CRIU itself.
    pub(super) program: &'a str,
    pub(super) what: &'a str,
    pub(super) during: During,
    pub(super) args: Vec<String>,
    pub(super) container: &'a str,
    pub(super) folder: &'a Path,
    pub(super) out: Option<&'a Path>,
    pub(super) criu_log: Option<&'a str>,
    pub(super) patience: Patience,
}

fn hint(class: ErrorClass) -> Option<&'static str> {
    match class {
        ErrorClass::CriuMissing => Some("the node needs criu 4 or later in its PATH"),
        ErrorClass::NoSpace => {
            Some("checkpoints lie in memory: a larger data size for the nodes, or a smaller data set")
        }
        other => criu_words::hint(other),
    }
}
