//! The bootstrap tool: makes a root folder of a suite's packages. It is fetched by the system's package manager when it
//! is not there.

use super::Progress;
use super::error::ComponentError;
use super::spec::NodeImageSpec;
use crate::process::{Exec, ExecError};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{timeout, timeout_at};

/// The tool, and the package that brings it on Debian and its kin.
const TOOL: &str = "mmdebstrap";
const KEYRING_PACKAGE: &str = "debian-archive-keyring";
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// How long the making of an image may take in all, and how long the tool may be silent: unpacking says nothing, and
/// takes 10 s on two cores with an SSD.
const WHOLE: Duration = Duration::from_secs(30 * 60);
const SILENCE: Duration = Duration::from_secs(5 * 60);
const TAIL_LINES: usize = 12;

/// Where administrators' programs are, for those whose PATH lacks it (`su` without `-`).
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes a command find administrators' programs too.
pub(crate) fn with_system_path(exec: Exec) -> Exec {
    let own = std::env::var("PATH").unwrap_or_default();
    exec.env("PATH", if own.is_empty() { SYSTEM_PATH.to_owned() } else { format!("{own}:{SYSTEM_PATH}") })
}

/// Where a program of the host is.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let own = std::env::var("PATH").unwrap_or_default();
    std::env::split_paths(&format!("{own}:{SYSTEM_PATH}")).map(|dir| dir.join(program)).find(|p| p.is_file())
}

/// The packages of this system that the making of node images needs, and that are not installed.
pub(crate) fn missing_packages() -> Vec<&'static str> {
    let keyring = KEYRINGS.iter().any(|k| Path::new(k).is_file());
    let lacks = [(find_program(TOOL).is_none(), TOOL), (!keyring, KEYRING_PACKAGE)];
    lacks.into_iter().filter_map(|(lacks, package)| lacks.then_some(package)).collect()
}

/// Installs the bootstrap tool if it is not there, and gives its version.
pub(super) async fn ensure_tool(progress: &dyn Progress) -> Result<String, ComponentError> {
    let missing = missing_packages();
    if !missing.is_empty() {
        install(&missing, progress).await?;
    }
    let exec = with_system_path(Exec::new(TOOL).arg("--version"));
    let said = exec.run().await.map_err(failed("can't use mmdebstrap"))?.text();
    Ok(said.trim_start_matches(TOOL).trim().to_owned())
}

fn failed(doing: &str) -> impl FnOnce(ExecError) -> ComponentError + use<> {
    let doing = doing.to_owned();
    move |source| ComponentError::Exec { doing, source }
}

async fn install(packages: &[&str], progress: &dyn Progress) -> Result<(), ComponentError> {
    let what = packages.join(" and ");
    let lacks = |why: &str, remedy: String| ComponentError::Lacks { what: what.clone(), why: why.to_owned(), remedy };
    if find_program("apt-get").is_none() {
        let remedy = "install mmdebstrap, apt and Debian's archive keyring by this system's package manager (they are \
                      packaged for Fedora, Arch, openSUSE and NixOS as well)";
        return Err(lacks("no apt-get is here to install it by", remedy.to_owned()));
    }
    let by_hand = format!("try it by hand: apt-get update && apt-get install {}", packages.join(" "));
    if !nix::unistd::geteuid().is_root() {
        return Err(lacks("installing it takes root", by_hand));
    }
    let apt = |args: &[&str]| {
        let exec = Exec::new("apt-get").args(["-q", "-o", "DPkg::Lock::Timeout=120"]).args(args);
        with_system_path(exec).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8").timeout(WHOLE)
    };
    let mut args = vec!["install", "--yes", "--no-install-recommends"];
    args.extend(packages);
    progress.say(&format!("{what}: not installed here; installing by apt-get"));
    if !has_package_lists() {
        progress.say("apt-get: fetching the package lists, of which there are none");
        apt(&["update"]).run().await.map_err(|e| lacks(&told(&e), by_hand.clone()))?;
    }
    let first = apt(&args).output().await.map_err(failed("can't install"))?;
    if first.code != 0 {
        // The lists may be older than the archive: it no longer has the versions that they name.
        progress.say("apt-get: could not install by the package lists of this system; fetching new ones");
        apt(&["update"]).run().await.map_err(|e| lacks(&told(&e), by_hand.clone()))?;
        apt(&args).run().await.map_err(|e| lacks(&told(&e), by_hand.clone()))?;
    }
    match missing_packages().as_slice() {
        [] => Ok(()),
        still => Err(lacks(&format!("apt-get says it is installed, but {} is not found", still.join(", ")), by_hand)),
    }
}

fn told(error: &ExecError) -> String {
    format!("installing it failed: {error}")
}

fn has_package_lists() -> bool {
    let Ok(entries) = std::fs::read_dir("/var/lib/apt/lists") else { return false };
    entries.flatten().any(|e| e.file_name().to_string_lossy().contains("_Packages"))
}

/// Unpacks a suite's packages into `rootfs`, which must not be there yet; gives the packages with their versions.
pub(super) async fn unpack(
    spec: &NodeImageSpec,
    rootfs: &Path,
    progress: &dyn Progress,
) -> Result<BTreeMap<String, String>, ComponentError> {
    // Beside the root, not in it.
    let list = rootfs.with_extension("debs");
    let said = run_tool(&command(spec, rootfs, &list), spec, progress).await?;
    let text = std::fs::read_to_string(&list).map_err(ComponentError::io("can't read", &list))?;
    let packages = packages_in(&text);
    if packages.is_empty() {
        return Err(broken(spec, "mmdebstrap succeeded, but unpacked no package".to_owned(), &said));
    }
    Ok(packages)
}

/// The call of the bootstrap tool. It runs in PID and mount namespaces of its own, as a child that dies with its
/// parent: when podferry is killed, all of it ends, and what it mounted under the unfinished root is gone.
fn command(spec: &NodeImageSpec, rootfs: &Path, list: &Path) -> Exec {
    let owned = ["--pdeathsig", "KILL", "unshare", "--pid", "--mount-proc", "--fork", "--kill-child"];
    let exec = Exec::new("setpriv").args(owned).args([TOOL, "--verbose", "--mode=root", "--variant=extract"]);
    // Its key rings go where the unfinished image goes, also when it is killed; it drops rights to read them.
    let exec = exec.env("TMPDIR", list.parent().unwrap_or(rootfs));
    let exec = exec
        // One option each: joined by commas, a list that begins with a pattern is taken for one pattern (1.3.5).
        .args(spec.packages.iter().map(|package| format!("--include={package}")))
        // sid's Release file is good for a week only, and a machine's clock, or its mirror, may be off by more.
        .arg("--aptopt=Acquire::Check-Valid-Until \"false\"")
        .arg("--aptopt=Acquire::Retries \"3\"")
        .arg("--aptopt=Acquire::http::Timeout \"30\"")
        // The `extract` variant leaves no dpkg database, but at this point the archives are still there.
        .arg("--extract-hook=ls -1 \"$1/var/cache/apt/archives\" >\"$PODFERRY_LIST\"")
        .arg(&spec.suite)
        .arg(rootfs)
        .args(&spec.mirrors)
        .env("PODFERRY_LIST", list)
        .env("LC_ALL", "C.UTF-8");
    with_system_path(exec)
}

/// Runs it to its end; gives the last lines that it said.
async fn run_tool(
    exec: &Exec,
    spec: &NodeImageSpec,
    progress: &dyn Progress,
) -> Result<VecDeque<String>, ComponentError> {
    let from = Instant::now();
    let end = tokio::time::Instant::now() + WHOLE;
    let cant = format!("can't make the node image {}", spec.name);
    let mut program = exec.spawn(Stdio::null(), Stdio::piped()).map_err(failed(&cant))?;
    let mut lines = BufReader::new(program.stderr().expect("it is piped")).lines();
    let mut seen = Seen { name: &spec.name, total: 0, fetched: 0, from };
    let mut tail = VecDeque::new();
    loop {
        let next = timeout_at(end, timeout(SILENCE, lines.next_line())).await;
        let line = match next {
            Ok(Ok(Ok(Some(line)))) => line,
            Ok(Ok(Ok(None))) => break,
            Ok(Ok(Err(source))) => {
                return Err(failed(&cant)(ExecError::Io { command: exec.to_string(), source }));
            }
            Ok(Err(_)) => return Err(broken(spec, format!("mmdebstrap said nothing for {SILENCE:?}"), &tail)),
            Err(_) => return Err(broken(spec, format!("mmdebstrap did not end within {WHOLE:?}"), &tail)),
        };
        seen.line(&line, progress);
        tail.push_back(line);
        if tail.len() > 200 {
            tail.pop_front();
        }
    }
    match program.wait().await.map_err(failed(&cant))? {
        0 => Ok(tail),
        code => Err(broken(spec, format!("mmdebstrap ended with {code}"), &tail)),
    }
}

/// What the tool has said so far.
struct Seen<'a> {
    name: &'a str,
    total: u32,
    fetched: u32,
    from: Instant,
}

impl Seen<'_> {
    fn line(&mut self, line: &str, progress: &dyn Progress) {
        let Seen { name, total, .. } = *self;
        let s = self.from.elapsed().as_secs();
        if line.starts_with("Get:") && total > 0 {
            self.fetched += 1;
            progress.update(&format!("node image {name}: fetching packages, {} of {total} ({s} s)", self.fetched));
        } else if let Some(count) = newly_installed(line) {
            self.total = count;
            progress.say(&format!("node image {name}: fetching and unpacking {count} packages"));
        } else if line == "I: extracting archives..." {
            progress.update(&format!("node image {name}: unpacking {total} packages ({s} s)"));
        } else if line == "I: running apt-get update..." {
            progress.update(&format!("node image {name}: fetching the package lists"));
        }
    }
}

/// `0 upgraded, 141 newly installed, 0 to remove and 0 not upgraded.` -> 141
fn newly_installed(line: &str) -> Option<u32> {
    line.split(", ").find_map(|part| part.strip_suffix(" newly installed"))?.parse().ok()
}

/// `busybox-static_1%3a1.38.0-3+b1_amd64.deb` -> its name and version; apt writes the colon of an epoch as `%3a`.
fn packages_in(listing: &str) -> BTreeMap<String, String> {
    let one = |line: &str| {
        let mut parts = line.strip_suffix(".deb")?.split('_');
        let (name, version) = (parts.next()?, parts.next()?);
        Some((name.to_owned(), version.replace("%3a", ":")))
    };
    listing.lines().filter_map(one).collect()
}

/// The error for a failed bootstrap: what is known to go wrong is named.
fn broken(spec: &NodeImageSpec, reason: String, said: &VecDeque<String>) -> ComponentError {
    let error = |l: &&String| l.starts_with("E: ") || l.starts_with("Err:") || l.contains("No space left");
    let has = |what: &str| said.iter().any(|line| line.contains(what));
    let from = if spec.mirrors.is_empty() { "the default mirror".to_owned() } else { spec.mirrors.join(", ") };
    let (reason, remedy) = if has("No space left on device") {
        ("no space left on the disk".to_owned(), "make room, or name another place by PODFERRY_CACHE".to_owned())
    } else if let Some(package) = said.iter().find_map(|l| l.strip_prefix("E: Unable to locate package ")) {
        (format!("the suite {} has no package {package}", spec.suite), "correct the package list".to_owned())
    } else if has("does not have a Release file") {
        (
            format!("{from} has no suite {}", spec.suite),
            "name a suite that is there: sid (the default), trixie".to_owned(),
        )
    } else if [
        "Temporary failure resolving",
        "Could not connect",
        "Could not resolve",
        "Connection failed",
        "timed out",
    ]
    .iter()
    .any(|what| has(what))
    {
        (format!("{from} is not reached"), "look at the network and at apt's proxy settings, then try again".to_owned())
    } else if has("NO_PUBKEY") || has("is not signed") {
        (
            format!("the signature of the suite {} can't be checked", spec.suite),
            format!("install a newer {KEYRING_PACKAGE}"),
        )
    } else {
        (reason, "the lines above are the end of its output".to_owned())
    };
    // The error lines say more than the last lines; those are of the tool's own tidying up.
    let mut tail: Vec<String> = said.iter().filter(error).cloned().collect();
    if tail.is_empty() {
        tail = said.iter().cloned().collect();
    }
    let tail = tail.split_off(tail.len().saturating_sub(TAIL_LINES));
    ComponentError::Build { name: spec.name.clone(), reason, tail, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_apt_left() {
        let packages =
            packages_in("busybox-static_1%3a1.38.0-3+b1_amd64.deb\nlock\nhostname_3.25_amd64.deb\npartial\n");
        let want = [("busybox-static", "1:1.38.0-3+b1"), ("hostname", "3.25")];
        assert_eq!(packages, want.map(|(n, v)| (n.to_owned(), v.to_owned())).into());
    }

    #[test]
    fn counts_packages() {
        assert_eq!(newly_installed("0 upgraded, 141 newly installed, 0 to remove and 0 not upgraded."), Some(141));
        assert_eq!(newly_installed("I: extracting archives..."), None);
    }

    #[test]
    fn known_failures_are_named() {
        let spec = NodeImageSpec::named("nosuch").unwrap();
        let text = |line: &str| broken(&spec, "ended with 25".into(), &[line.to_owned()].into()).to_string();
        assert_eq!(
            text("E: The repository 'http://a/debian nosuch Release' does not have a Release file."),
            "can't make the node image nosuch: the default mirror has no suite nosuch\n  \
             | E: The repository 'http://a/debian nosuch Release' does not have a Release file."
        );
        assert!(text("E: Unable to locate package nix").contains("the suite nosuch has no package nix"));
        assert!(text("tar: x: Cannot write: No space left on device").contains("no space left on the disk"));
        assert!(text("Err:1 http://a sid InRelease Temporary failure resolving 'a'").contains("is not reached"));
        assert!(text("something else").contains("ended with 25\n  | something else"));
    }
}
