//! What a node's CRIU can do, by asking and by doing. For every engine that has CRIU dump.

use super::{EngineError, criu_log};
use crate::node::{SharedNode, processes};
use crate::process::Exec;
use crate::record::{Chain, ErrorClass};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Of the probe of sockets alone.
const DIR: &str = "/tmp/podferry-probe";
const PORT: u16 = 6391;
/// All of it takes 0.2 s.
const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(2);

/// Why CRIUs can't, by what they say of their version: nodes of one image have one. `None` is one that can.
static SEEN: Mutex<BTreeMap<String, Option<String>>> = Mutex::const_new(BTreeMap::new());

/// Why the node's CRIU dumps no process that has a socket on this kernel, found out by having it dump one that listens;
/// `None` if it does. `criu check` says good where it cannot: CRIU 4.1.1 dumps no process with a socket on Linux 6.16 and
/// later (`Can't get 1:16 opt: Operation not supported`), and 4.2 does.
///
/// # Errors
/// It could not be found out.
pub async fn refuses_sockets(node: &SharedNode) -> Result<Option<String>, EngineError> {
    let version = node.output(Exec::new("criu").arg("--version").timeout(PATIENCE)).await;
    let version = version.map_err(|e| untried(node, &Chain(&e)))?.text();
    // Whoever comes meanwhile waits for the answer: two probes at once would meet on the port.
    let mut seen = SEEN.lock().await;
    if let Some(found) = seen.get(&version) {
        return Ok(found.clone());
    }
    let number = version.lines().find_map(|l| l.strip_prefix("Version: ")).unwrap_or(&version);
    let found = dump_a_listener(node).await?.map(|why| format!("criu {number}: {why}"));
    seen.insert(version.clone(), found.clone());
    Ok(found)
}

fn untried(node: &SharedNode, why: &dyn std::fmt::Display) -> EngineError {
    let message = format!("can't try whether criu on node {} dumps a process with a socket: {why}", node.name());
    EngineError::new(ErrorClass::Surroundings, message)
}

async fn dump_a_listener(node: &SharedNode) -> Result<Option<String>, EngineError> {
    node.run(Exec::new("mkdir").args(["-p", DIR])).await.map_err(|e| untried(node, &Chain(&e)))?;
    // A session of its own, as containers have one: CRIU refuses a process whose session's leader it does not dump.
    let listener = Exec::new("setsid").args(["--wait", "busybox", "nc", "-l", "-p", &PORT.to_string()]);
    let listener = node.spawn(listener, &Path::new(DIR).join("nc.log")).await;
    let mut listener = listener.map_err(|e| untried(node, &Chain(&e)))?;
    let dumped = dump(node, listener.pid()).await;
    // After a dump it has ended.
    let stop = ["-c", "kill -9 $0; rm -rf \"$1\"", &listener_pid(node, listener.pid()), DIR];
    let _ = node.output(Exec::new("/bin/sh").args(stop)).await;
    let _ = tokio::time::timeout(PATIENCE, listener.wait()).await;
    dumped
}

/// The program below `setsid`, which forks if it has to; as a word, and `0` when there is none any more.
fn listener_pid(node: &SharedNode, setsid: u32) -> String {
    let all = processes(node);
    let child = all.iter().find(|(_, process)| process.parent == setsid).map(|(pid, _)| *pid);
    child.unwrap_or(setsid).to_string()
}

async fn dump(node: &SharedNode, setsid: u32) -> Result<Option<String>, EngineError> {
    let began = Instant::now();
    // As `/proc/net/tcp` has it: the port in hexadecimal, and the state of one that listens.
    let (port, state) = (format!(":{PORT:04X} "), " 0A ");
    let listens = |table: &str| {
        let text = std::fs::read_to_string(node.host_path(Path::new(table))).unwrap_or_default();
        text.lines().any(|line| line.contains(&port) && line.contains(state))
    };
    while !listens("/proc/1/net/tcp") && !listens("/proc/1/net/tcp6") {
        if began.elapsed() > PATIENCE {
            let said = std::fs::read_to_string(node.host_path(&Path::new(DIR).join("nc.log"))).unwrap_or_default();
            return Err(untried(node, &format!("busybox did not listen within {PATIENCE:?}: {}", said.trim())));
        }
        tokio::time::sleep(GLANCE).await;
    }
    let pid = listener_pid(node, setsid);
    let dump = Exec::new("criu").args(["dump", "--tree", &pid, "--images-dir", DIR, "--log-file", "dump.log"]);
    let Err(e) = node.run(dump.timeout(PATIENCE)).await else { return Ok(None) };
    let log = criu_log::ends(&node.host_path(&Path::new(DIR).join("dump.log")));
    let why = criu_log::errors(&log).first().map(|line| criu_log::said(line).to_owned());
    Ok(Some(why.unwrap_or_else(|| Chain(&e).to_string())))
}

/// The first major version of CRIU whose images this room reads (`nr_pages` as a 64-bit field).
const LEAST_CRIU: u32 = 4;

/// That there is a CRIU, not too old, which finds what it needs of the kernel. An error says why not.
pub(super) async fn criu(node: &SharedNode) -> Result<(), String> {
    let name = node.name();
    let output = node.output(Exec::new("criu").arg("--version")).await;
    let output = output.map_err(|_| format!("node {name} has no criu"))?;
    let text = output.text();
    let version = text.lines().find_map(|l| l.strip_prefix("Version: ")).unwrap_or_default();
    let major: Option<u32> = version.split('.').next().and_then(|m| m.parse().ok());
    match major {
        _ if output.code == 127 => Err(format!("node {name} has no criu")),
        None => Err(format!("criu on node {name} does not say its version: {text}")),
        Some(major) if major < LEAST_CRIU => Err(format!("criu {version} on node {name} is older than {LEAST_CRIU}.0")),
        Some(_) => check(node, version).await,
    }
}

async fn check(node: &SharedNode, version: &str) -> Result<(), String> {
    let name = node.name();
    let output =
        node.output(Exec::new("criu").arg("check")).await.map_err(|e| format!("criu check on node {name}: {e}"))?;
    if output.code == 0 {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = criu_log::errors(&said);
    let reason = lines.last().cloned().unwrap_or_else(|| said.trim().to_owned());
    Err(format!("criu {version} cannot work on node {name}: {reason}"))
}
