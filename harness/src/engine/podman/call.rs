//! podman's command line: how it is called, and how its words become errors.

use super::classify::{During, classify, podman_message};
use super::watchdog::watch;
use super::{Limits, config, probe};
use crate::engine::criu_options::NetworkLock;
use crate::engine::failing::{exec_error, io_error, read_tail};
use crate::engine::group::Group;
use crate::engine::network::Addresses;
use crate::engine::watchdog::{Patience, Stuck};
use crate::engine::{Capabilities, EngineError, criu_log, criu_options, criu_words};
use crate::node::{CONTAINERS, SharedNode};
use crate::process::{Exec, Output};
use crate::record::{EngineKind, ErrorClass};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// podman on one node.
pub(super) struct Inner {
    pub(super) node: SharedNode,
    pub(super) kind: EngineKind,
    /// The OCI runtime's name.
    pub(super) runtime: &'static str,
    pub(super) limits: Limits,
    pub(super) capabilities: Capabilities,
    /// In the node, on its disk.
    pub(super) home: PathBuf,
    /// In the node, for what does not outlive it.
    run: PathBuf,
    /// The line for CRIU's configuration, if this node's CRIU takes it.
    pub(super) network_lock: Option<NetworkLock>,
    pub(super) addresses: Mutex<Addresses>,
    /// References of images that are on the node; held while one is pulled.
    pub(super) images: tokio::sync::Mutex<HashSet<String>>,
    /// Where CRIU's options of a container are, by its id, and who may write there.
    pub(super) options: Mutex<HashMap<String, PathBuf>>,
    turns: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
}

impl Inner {
    pub(super) async fn new(node: SharedNode, kind: EngineKind, limits: Limits) -> Result<Self, EngineError> {
        let runtime = if kind == EngineKind::PodmanRunc { "runc" } else { "crun" };
        let capabilities = probe::capabilities(&node, runtime).await?;
        let inner = Inner {
            addresses: Mutex::new(Addresses::of(kind)),
            network_lock: criu_options::network_lock(&node).await,
            home: Path::new("/data").join(kind.name()),
            run: Path::new("/run").join(kind.name()),
            images: tokio::sync::Mutex::default(),
            options: Mutex::default(),
            turns: Mutex::default(),
            node,
            kind,
            runtime,
            limits,
            capabilities,
        };
        for folder in ["criu", "logs", "tmp", "checkpoints", "arrivals"] {
            inner.make_folder(&inner.home.join(folder))?;
        }
        inner.make_folder(&inner.calls())?;
        for (file, text) in [("containers.conf", config::containers()), ("registries.conf", config::registries())] {
            inner.write(&inner.home.join(file), &text)?;
        }
        Ok(inner)
    }

    /// The path on the host of a path in the node.
    pub(super) fn host(&self, inside: &Path) -> PathBuf {
        self.node.host_path(inside)
    }

    pub(super) fn storage(&self) -> PathBuf {
        self.home.join("storage")
    }

    /// What podman keeps of a container: CRIU's images and the log of a restored one on the disk, ids of processes beside.
    pub(super) fn userdata(&self, id: &str) -> PathBuf {
        self.storage().join("overlay-containers").join(id).join("userdata")
    }

    pub(super) fn run_folder(&self) -> &Path {
        &self.run
    }

    pub(super) fn checkpoints(&self) -> PathBuf {
        self.home.join("checkpoints")
    }

    pub(super) fn arrivals(&self) -> PathBuf {
        self.home.join("arrivals")
    }

    /// What containers wrote.
    pub(super) fn logs(&self) -> PathBuf {
        self.home.join("logs")
    }

    /// What podman printed and CRIU logged, call by call. Not on the disk, which may be full: then they say so.
    pub(super) fn calls(&self) -> PathBuf {
        self.run.join("calls")
    }

    /// With a dot: no name of an engine has one, so that none begins like another.
    pub(super) fn netns(&self, name: &str) -> String {
        format!("{}.{name}", self.kind)
    }

    /// The parent of its containers' control groups: the engine's own, so that it sees what is left there.
    pub(super) fn groups(&self) -> String {
        format!("{CONTAINERS}/{}", self.kind)
    }

    pub(super) fn group(&self, id: &str) -> Group {
        Group::of(&self.node, format!("{}/libpod-{id}", self.groups()))
    }

    pub(super) fn make_folder(&self, inside: &Path) -> Result<(), EngineError> {
        let path = self.host(inside);
        fs::create_dir_all(&path).map_err(|e| io_error("make", &path, &e))
    }

    pub(super) fn write(&self, inside: &Path, text: &str) -> Result<(), EngineError> {
        let path = self.host(inside);
        fs::write(&path, text).map_err(|e| io_error("write", &path, &e))
    }

    /// The right to write one file of CRIU's options, and to have CRIU read it: copies of one archive share it, and with it
    /// the log that it names.
    pub(super) fn turn(&self, options: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(options.to_owned()).or_default())
    }

    /// podman with its global options; in a network namespace of the node, or in the node's own.
    pub(super) fn podman(&self, netns: Option<&str>) -> Exec {
        let exec = match netns {
            // Not by `ip netns exec`: that mounts a new /sys, without the control groups.
            Some(name) => Exec::new("nsenter").arg(format!("--net=/run/netns/{name}")).arg("podman"),
            None => Exec::new("podman"),
        };
        exec.args(config::globals(&self.storage(), &self.run, self.runtime))
            .env("CONTAINERS_CONF", self.home.join("containers.conf"))
            .env("CONTAINERS_REGISTRIES_CONF", self.home.join("registries.conf"))
            .env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1")
            .env("TMPDIR", self.home.join("tmp"))
            .env("HOME", "/root")
            .timeout(self.limits.other)
    }

    /// Runs a call that makes nothing; any exit code is an `Ok`.
    pub(super) async fn output(&self, args: &[&str], what: &str) -> Result<Output, EngineError> {
        self.node.output(self.podman(None).args(args)).await.map_err(|e| exec_error(what, &e))
    }

    /// Runs a call that makes nothing, to its end.
    pub(super) async fn call(&self, exec: Exec, during: During, what: &str) -> Result<String, EngineError> {
        let output = self.node.output(exec).await.map_err(|e| exec_error(what, &e))?;
        if output.code == 0 {
            return Ok(output.text());
        }
        Err(said(what, during, &String::from_utf8_lossy(&output.stderr), &[]))
    }

    /// Runs a call that makes or dumps a container, with a watchdog, and explains its failure from its words and CRIU's
    /// log. Gives what it printed.
    pub(super) async fn supervised(&self, call: Supervised<'_>) -> Result<String, EngineError> {
        let Supervised { what, during, .. } = call;
        let out = self.calls().join(format!("{}.out", call.log));
        let out_on_host = self.host(&out);
        // It is appended to, and a name may come again.
        let _ = fs::remove_file(&out_on_host);
        let exec = self.podman(Some(call.netns)).args(call.args);
        let program = self.node.spawn(exec, &out).await.map_err(|e| exec_error(what, &e))?;
        let criu_log = self.host(&self.criu_log(call.log));
        let ended = watch(self, program, call.container, call.patience, &criu_log).await;
        let printed = read_tail(&out_on_host).unwrap_or_default();
        let lines = || read_tail(&criu_log).map(|text| criu_log::errors(&text)).unwrap_or_default();
        match ended.map_err(|e| exec_error(what, &e))? {
            Ok(0) => Ok(printed),
            Ok(_) => Err(said(what, during, &printed, &lines())),
            Err(Stuck { class, why }) => {
                let mut error = EngineError::new(class, format!("{what}: {why}; criu was killed"));
                error.log = lines();
                Err(error)
            }
        }
    }

    /// Where CRIU logs in a call.
    pub(super) fn criu_log(&self, call: &str) -> PathBuf {
        self.calls().join(format!("{call}.log"))
    }
}

/// A call of [`Inner::supervised`].
pub(super) struct Supervised<'a> {
    pub(super) what: &'a str,
    pub(super) during: During,
    pub(super) netns: &'a str,
    pub(super) args: Vec<String>,
    /// The container's name.
    pub(super) container: &'a str,
    /// What its logs are called.
    pub(super) log: &'a str,
    pub(super) patience: Patience,
}

fn said(what: &str, during: During, printed: &str, criu: &[String]) -> EngineError {
    let message = podman_message(printed);
    let class = classify(during, &message, criu);
    let text = criu_log::named(class, format!("{what}: podman says: {message}"), criu);
    EngineError { class, message: text, hint: hint(class).map(str::to_owned), log: criu.to_vec() }
}

fn hint(class: ErrorClass) -> Option<&'static str> {
    match class {
        ErrorClass::CriuMissing => Some("the node needs criu 4 or later in its PATH, and libcriu.so.2 for crun"),
        ErrorClass::NoSpace => {
            Some("checkpoints lie in memory: a larger data size for the nodes, or a smaller data set")
        }
        other => criu_words::hint(other),
    }
}
