//! Whether this machine can do what podferry needs, found out by doing it: `criu check` says good where the dump of a
//! listening process fails, so one is dumped and restored.

mod dump;
mod host;
mod room;
#[cfg(test)]
mod tests;

use crate::component::{Cache, NodeImageSpec, Override, Progress, node_image, resolve};
use crate::ledger::Ledger;
use crate::node::SharedNode;
use crate::provider::Provider;
use crate::provider::local::{LocalConfig, LocalProvider, sweep_cgroups};
use crate::record::{Chain, Failure, RunId};
use crate::scenario::plan::HostTrait;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is as it should be.
    Ok,
    /// podferry works, but not all of it or not well.
    Warn,
    /// podferry does not work.
    Missing,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub name: &'static str,
    /// How it went.
    pub state: State,
    /// What was seen, and what it means.
    pub detail: String,
    /// What to do about it; none when all is well.
    pub remedy: Option<String>,
}

impl Finding {
    fn ok(name: &'static str, detail: impl Into<String>) -> Finding {
        Finding { name, state: State::Ok, detail: detail.into(), remedy: None }
    }

    fn warn(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { name, state: State::Warn, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    fn missing(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { name, state: State::Missing, detail: detail.into(), remedy: Some(remedy.into()) }
    }
}

/// What the doctor works with.
pub struct Context<'a> {
    /// The `podferry` binary, which becomes PID 1 of a node.
    pub podferry: PathBuf,
    /// Where node images are.
    pub cache: &'a Cache,
    /// The node image to look at; it is made if it is not there.
    pub image: &'a NodeImageSpec,
    /// Binaries of the user's own.
    pub overrides: &'a [Override],
    /// Told what is going on.
    pub progress: &'a dyn Progress,
}

/// Whether the host has something that a scenario can want it to lack.
pub fn host_has(what: HostTrait) -> bool {
    match what {
        HostTrait::CapSysResource => host::may_raise_limits(),
    }
}

/// Whether nothing is missing: exit code 0, else 21.
pub fn healthy(findings: &[Finding]) -> bool {
    findings.iter().all(|f| f.state != State::Missing)
}

/// What a run looks at before it begins; takes no more than some milliseconds. Only what is not all right is of use to
/// the reader.
pub fn quick_host_check() -> Vec<Finding> {
    let root = host::root(nix::unistd::geteuid().as_raw());
    let is_root = root.state == State::Ok;
    let mut findings = vec![root];
    // Who is not root lacks them all, and needs one advice and not two.
    if is_root {
        findings.push(host::capabilities(&host::status()));
    }
    findings.extend([host::namespaces(), host::programs(), host::bootstrap_tool()]);
    findings
}

/// Does all checks, the last of them in a throw-away node: takes a second, or half a minute when the node image is to be
/// made first. Each check that could not be done because of one before it says so.
pub async fn doctor(cx: &Context<'_>) -> Vec<Finding> {
    let mut findings = quick_host_check();
    findings.extend([host::kernel(), host::cgroups(), room::disk(cx.cache.dir()), room::memory(&room::meminfo())]);
    // Without root nothing below can do any good, and each would fail in a way of its own.
    if findings.iter().all(|f| f.name != "root" || f.state == State::Ok) {
        findings.push(host::overlay(cx.cache.dir()).await);
        if let Err(finding) = in_a_node(cx, &mut findings).await {
            findings.push(*finding);
        }
    }
    for name in ["overlay", "node image", "node", "criu", "dump and restore"] {
        if findings.iter().all(|f| f.name != name) {
            findings.push(Finding::missing(name, "not tried, because of what is missing above", "mend that first"));
        }
    }
    findings
}

async fn in_a_node(cx: &Context<'_>, findings: &mut Vec<Finding>) -> Result<(), Box<Finding>> {
    let image = node_image(cx.image, cx.cache, cx.progress).await.map_err(|e| {
        let remedy = e.hint().unwrap_or_else(|| "see above".to_owned());
        Finding::missing("node image", Chain(&e).to_string(), remedy)
    })?;
    let mut components = image.components.clone();
    let overrides = resolve(cx.overrides, &image, cx.progress).await.map_err(|e| {
        let remedy = e.hint().unwrap_or_else(|| "leave out --component, or name another file".to_owned());
        Finding::missing("node image", Chain(&e).to_string(), remedy)
    })?;
    for own in &overrides {
        components.retain(|c| c.name != own.record.name);
        components.push(own.record.clone());
    }
    let versions: Vec<_> = components.iter().map(|c| format!("{} {}", c.name, c.version)).collect();
    findings.push(Finding::ok("node image", format!("{} {}: {}", image.suite, image.key, versions.join(", "))));

    let run_id = RunId(format!("doctor-{}-{}", jiff::Timestamp::now().as_millisecond(), std::process::id()));
    let ledger = Ledger::open(&run_id).map_err(|e| {
        Finding::missing("node", Chain(&e).to_string(), "make the folder writable, or set XDG_STATE_HOME")
    })?;
    let ledger = Arc::new(ledger);
    let config = LocalConfig {
        run_id: run_id.clone(),
        podferry: cx.podferry.clone(),
        image_rootfs: image.rootfs.clone(),
        overrides: overrides.into_iter().map(|o| (o.bind.host, o.bind.inside)).collect(),
        binds: Vec::new(),
        components,
        data_size: 256 << 20,
        claims: ledger.clone(),
    };
    try_node(config, findings).await?;
    clean_up(&run_id, &ledger)
}

/// Makes a node, does the checks in it and takes it down.
async fn try_node(config: LocalConfig, findings: &mut Vec<Finding>) -> Result<(), Box<Finding>> {
    let failed = |failure: Failure| {
        let remedy = failure.hint.unwrap_or_else(|| {
            "run on a machine, or in a container, that may make namespaces, mounts and control groups (docker run \
             --privileged)"
                .to_owned()
        });
        Box::new(Finding::missing("node", failure.message, remedy))
    };
    let provider = LocalProvider::new(config).map_err(failed)?;
    let node: SharedNode = provider.node("doctor").await.map_err(failed)?;
    findings.push(Finding::ok("node", format!("up in {:.0} ms", node.record().up_ms)));
    findings.push(dump::criu_check(&node).await);
    findings.push(dump::dump_and_restore(&node).await);
    drop(node);
    provider.down("doctor").await.map_err(failed)
}

fn clean_up(run_id: &RunId, ledger: &Ledger) -> Result<(), Box<Finding>> {
    let leaked = |what: String| Box::new(Finding::warn("cleanup", what, "run `podferry clean`"));
    let leaks = sweep_cgroups(run_id).map_err(|e| leaked(e.to_string()))?;
    if let Some(leak) = leaks.first() {
        return Err(leaked(format!("{} {} is left: {}", leak.kind, leak.name, leak.reason)));
    }
    ledger.sweep(|_| Ok(())).map_err(|e| leaked(e.to_string()))?;
    std::fs::remove_file(ledger.path()).map_err(|e| leaked(e.to_string()))
}

/// The findings as text, aligned: state, check, what was seen; and below it what to do.
pub fn render(findings: &[Finding]) -> String {
    let width = findings.iter().map(|f| f.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for finding in findings {
        let state = match finding.state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Missing => "missing",
        };
        let mut lines = finding.detail.lines();
        let _ = writeln!(text, "{state:7}  {:width$}  {}", finding.name, lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(text, "{:7}  {:width$}  {line}", "", "");
        }
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "{:7}  {:width$}  -> {remedy}", "", "");
        }
    }
    text
}
